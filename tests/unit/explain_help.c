// SPDX-License-Identifier: GPL-2.0-only
/* What holds for every finding: see explain_help.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain_help.h"

static void blank_out(char *text, const char *word)
{
	for (char *at; *word && (at = strstr(text, word));)
		memset(at, ' ', strlen(word));
}

/* Does one of the evidence's numbers print as these len characters do? */
static bool in_evidence(const json_t *evidence, const char *number, size_t len)
{
	const char *point = memchr(number, '.', len);
	int decimals = point ? (int)(number + len - point - 1) : 0;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)evidence, key, value) {
		char text[64];

		if (!json_is_number(value))
			continue;
		if (json_is_integer(value) && point)
			continue;
		snprintf(text, sizeof(text), "%.*f", decimals, json_number_value(value));
		if (strlen(text) == len && !strncmp(text, number, len))
			return true;
	}
	return false;
}

void explain_check_numbers(const struct facts *f, const struct finding *finding)
{
	char *text = strdup(finding->sentence);
	const char *key;
	json_t *value;

	assert_non_null(text);
	blank_out(text, f->name);
	if (f->baseline_name)
		blank_out(text, f->baseline_name);
	json_object_foreach(finding->evidence, key, value) {
		if (json_is_string(value))
			blank_out(text, json_string_value(value));
		if (json_is_real(value))
			assert_true(isfinite(json_real_value(value)));
	}
	for (char *at = text; *at;) {
		size_t len = strspn(at, "0123456789.");

		while (len && at[len - 1] == '.')
			len--;
		if (isdigit((unsigned char)*at) && !in_evidence(finding->evidence, at, len))
			fail_msg("%.*s is not in the evidence: %s", (int)len, at,
				 finding->sentence);
		at += len ? len : 1;
	}
	free(text);
}

static void check_form(const struct facts *f, const struct finding *finding)
{
	json_t *json = finding_json(finding);
	size_t len = strlen(finding->sentence);

	assert_non_null(json);
	assert_true(json_is_object(json_object_get(json, "evidence")));
	assert_true(isfinite(finding->bound) && isfinite(finding->lost_speedup));
	assert_ptr_equal(strstr(finding->sentence, f->name), finding->sentence);
	assert_true(finding->sentence[len - 1] == '.' && finding->sentence[len - 2] != '.');
	assert_null(strstr(finding->sentence, "  "));
	assert_true(strlen(finding->remedy) > 0);
	assert_true(finding->lost_ns >= 0);
	assert_int_equal(finding->lost_ns > 0,
			 strstr(finding->sentence, "Without it at most ") != NULL);
	json_decref(json);
}

void explain_check_all(const struct facts *f, const struct findings *all)
{
	const struct stack *s = f->stack;
	int64_t needed = s->part_ns[STACK_USEFUL], lost = 0;

	if (s->part_ns[STACK_INFLATION] < 0)
		needed += s->part_ns[STACK_INFLATION];
	assert_true(all->nr > 0);
	for (size_t i = 0; i < all->nr; i++) {
		const struct finding *finding = &all->finding[i];

		check_form(f, finding);
		explain_check_numbers(f, finding);
		lost += finding->lost_ns;
		if (i)
			assert_true(all->finding[i - 1].lost_ns >= finding->lost_ns);
		for (size_t k = 0; k < i; k++)
			assert_true(strcmp(finding->cause, "none") == 0 ||
				    strcmp(finding->cause, all->finding[k].cause) != 0);
	}
	assert_true(lost <= (int64_t)s->workers * s->wall_ns - needed);
}

/* ---- runs made up for a test ---- */

void explain_make(struct made *m)
{
	*m = (struct made){
		.oncpu_ns = { 0, T, 0, 0, 0 },
		.run = { .nr = WORKERS, .bpf = true, .one_process = true },
		.stack = { .workers = WORKERS, .wall_ns = T, .has_reference = true },
		.facts = { .name = "run-7",
			   .baseline_ns = 2 * T,
			   .baseline_name = "alone-1",
			   .reference_ns = 2 * T,
			   .cpus = WORKERS },
	};
	m->run.oncpu_ns = m->oncpu_ns;
	m->run.worker = m->worker;
	for (int i = 0; i < WORKERS; i++) {
		m->worker[i].begin_ns = 50 * T;
		m->worker[i].end_ns = 51 * T;
	}
	m->facts.run = &m->run;
	m->facts.stack = &m->stack;
	m->stack.part_ns[STACK_USEFUL] = WORKERS * T;
}

void explain_lose(struct made *m, enum stack_part part, int64_t ms)
{
	m->stack.part_ns[part] += ms * MS;
	m->stack.part_ns[STACK_USEFUL] -= ms * MS;
}

struct worker_lock *explain_wait_for(struct made *m, enum lock_kind kind, const char *name,
				     uint64_t waits, int64_t ms)
{
	struct worker_waits *w = &m->run.waits;
	struct worker_lock *lock = &w->lock[w->nr++];

	*lock = (struct worker_lock){ .kind = kind,
				      .class = lock_kind_class(kind),
				      .waits = waits,
				      .wait_ns = (uint64_t)(ms * MS),
				      .all_waits = waits,
				      .all_wait_ns = (uint64_t)(ms * MS),
				      .doing_ns = { [LOCK_RUNNING] = (uint64_t)(ms * MS) } };
	snprintf(lock->name, sizeof(lock->name), "%s", name);
	w->nr_locks[lock->class]++;
	w->kind_ns[kind] += lock->wait_ns;
	return lock;
}

void explain_holder_did(struct worker_lock *lock, enum lock_doing what, int64_t ms)
{
	lock->doing_ns[what] += (uint64_t)(ms * MS);
	lock->doing_ns[LOCK_RUNNING] -= (uint64_t)(ms * MS);
}

void explain_find(const struct made *m, struct findings *all)
{
	assert_int_equal(findings_make(&m->facts, all), 0);
	explain_check_all(&m->facts, all);
}

const struct finding *explain_the(const struct findings *all, const char *cause)
{
	for (size_t i = 0; i < all->nr; i++)
		if (!strcmp(all->finding[i].cause, cause))
			return &all->finding[i];
	return NULL;
}

const struct finding *explain_find_the(const struct made *m, struct findings *all,
				       const char *cause)
{
	explain_find(m, all);
	return explain_the(all, cause);
}

void explain_says(const struct finding *f, const char *text)
{
	assert_non_null(f);
	if (!strstr(f->sentence, text))
		fail_msg("'%s' is not in: %s", text, f->sentence);
}

void explain_silent(const struct finding *f, const char *text)
{
	assert_non_null(f);
	if (strstr(f->sentence, text))
		fail_msg("'%s' is in: %s", text, f->sentence);
}

double explain_evidence(const struct finding *f, const char *key)
{
	return json_number_value(json_object_get(f->evidence, key));
}
