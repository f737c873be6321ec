// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is said of a lock, of programs that ran (progs/locks): a convoy, a lock-holder that is preempted, one that sleeps, and a lock
 * that is rarely wanted, of which nothing is said. The sentences' words for made-up numbers: unit/test_explain_locks.c. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain/finding.h"
#include "tests/bpf/one_trace.h"

#define MAX_WORKERS 8

/* ---- a program that ran ---- */

struct ran {
	struct experiment run;
	struct stack stack;
	struct findings findings;
	const struct finding *lock; /* the one of cause "lock", NULL: there is none */
};

/* The workers are those that say so, from the begin of the first to the end of the last one's work. */
static void read_workers(struct experiment *e)
{
	FILE *f = fopen(one_facts, "re");
	char line[1024];

	assert_non_null(f);
	e->worker = calloc(MAX_WORKERS, sizeof(*e->worker));
	assert_non_null(e->worker);
	while (fgets(line, sizeof(line), f)) {
		json_t *fact = json_loads(line, 0, NULL);
		struct experiment_worker *w = &e->worker[e->nr];

		assert_non_null(fact);
		if (!strcmp(json_string_value(json_object_get(fact, "role")), "worker")) {
			assert_true(e->nr++ < MAX_WORKERS);
			w->tid = (uint32_t)one_number(fact, "tid");
			w->begin_ns = one_number(fact, "begin_ns");
			w->end_ns = one_number(fact, "end_ns");
			w->exec_ns = w->delay_ns = -1;
			if (e->nr == 1 || w->begin_ns < e->t0_ns)
				e->t0_ns = w->begin_ns;
			if (w->end_ns > e->t1_ns)
				e->t1_ns = w->end_ns;
		}
		json_decref(fact);
	}
	fclose(f);
	e->one_process = true;
}

static void ran(struct ran *r, char *const *argv)
{
	struct facts facts = { .name = "locks", .run = &r->run, .stack = &r->stack, .cpus = 2 };
	struct err err = {};

	memset(r, 0, sizeof(*r));
	one_whole_command(argv);
	read_workers(&r->run);
	if (experiment_load(&r->run, one_trace, &err))
		fail_msg("experiment_load: %s", err.msg);
	assert_int_equal(experiment_stack(&r->run, 0, &r->stack), 0);
	assert_int_equal(findings_make(&facts, &r->findings), 0);
	for (size_t i = 0; i < r->findings.nr; i++)
		if (!strcmp(r->findings.finding[i].cause, "lock"))
			r->lock = &r->findings.finding[i];
}

static void ran_free(struct ran *r)
{
	findings_free(&r->findings);
	experiment_free(&r->run);
}

static double evidence(const struct ran *r, const char *key)
{
	const json_t *value = json_object_get(r->lock->evidence, key);

	if (!json_is_number(value))
		fail_msg("no %s in the evidence of: %s", key, r->lock->sentence);
	return json_number_value(value);
}

static void says(const struct ran *r, const char *text)
{
	if (!r->lock || !strstr(r->lock->sentence, text))
		fail_msg("not \"%s\", but: %s", text, r->lock ? r->lock->sentence : "(nothing)");
}

/* "45.6 %" of the words' own evidence stands right before them. */
static void says_share(const struct ran *r, const char *key, const char *words)
{
	char text[200];

	snprintf(text, sizeof(text), "for %.1f %% of ", evidence(r, key));
	says(r, text);
	says(r, words);
}

/* What stands in the evidence is what the workers' own waits were, within the ledger's classes. */
static void check_lock(const struct ran *r, const char *name, const char *kind)
{
	uint64_t ns = 0;

	assert_non_null(r->lock);
	says(r, name);
	assert_string_equal(json_string_value(json_object_get(r->lock->evidence, "kind")), kind);
	for (size_t i = 0; i < r->run.nr; i++)
		ns += r->run.worker[i].ledger_ns[CLASS_LOCK];
	assert_int_equal((uint64_t)one_number(r->lock->evidence, "wait_ns"), ns);
	assert_true(one_number(r->lock->evidence, "waits") > 0);
	assert_true(r->lock->lost_ns > 0 && (uint64_t)r->lock->lost_ns <= ns + ns / 100);
}

/* ---- the cases ---- */

static void test_convoy(void **state)
{
	char *argv[] = { one_prog("locks"), "handed", "3", "5", "15", NULL };
	struct ran r;

	(void)state;
	ran(&r, argv);
	check_lock(&r, "priority-inheriting mutex pi_lock in locks", "pi_mutex");
	says_share(
		&r, "holder_handed_percent",
		"the lock had been handed to a waiter that first had to get a CPU (a lock convoy)");
	assert_true(evidence(&r, "holder_handed_percent") >= 40);
	assert_int_equal(one_number(r.lock->evidence, "convoys"), 3);
	ran_free(&r);
}

static void test_preempted(void **state)
{
	char *argv[] = { one_prog("locks"), "crowded", "2", "6", "12", NULL };
	struct ran r;

	(void)state;
	ran(&r, argv);
	check_lock(&r, "mutex counter_lock in locks", "mutex");
	says_share(&r, "holder_preempted_percent",
		   "its holder was ready to run but had no CPU (a preempted lock-holder)");
	assert_true(evidence(&r, "holder_preempted_percent") >= 30);
	ran_free(&r);
}

static void test_asleep(void **state)
{
	char *argv[] = { one_prog("locks"), "convoy", "3", "5", "5000", NULL };
	struct ran r;

	(void)state;
	ran(&r, argv);
	check_lock(&r, "mutex counter_lock in locks", "mutex");
	says_share(&r, "holder_asleep_percent", "its holder slept");
	if (evidence(&r, "holder_asleep_percent") > 50)
		assert_non_null(strstr(r.lock->remedy, "do not sleep"));
	ran_free(&r);
}

/* Taken, and let go at once, every 5 ms: that is not what makes it slow. */
static void test_rarely(void **state)
{
	char *argv[] = { one_prog("locks"), "share", "2", "10", "0", "5000", NULL };
	struct ran r;

	(void)state;
	ran(&r, argv);
	if (r.lock)
		fail_msg("of a lock that nobody waits for: %s", r.lock->sentence);
	assert_true(r.findings.nr > 0);
	ran_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_convoy),
		cmocka_unit_test(test_preempted),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_rarely),
	};

	return cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
}
