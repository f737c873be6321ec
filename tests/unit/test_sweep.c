// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scaling curve from runs made up for it: what it loses is Karp and Flatt's fraction, part by part; whether the fits and the measurement
 * agree; what is left out; and nothing of it is ever printed as NaN.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/sweep_report.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ONE 1000000000.0 /* ns of one worker */

/* What n workers do more than one, as shares of one's time for each worker beyond the first. */
struct made {
	double exclusive, queue, imbalance, asleep;
	double inflation; /* for each pair: times n */
	enum stack_part exclusive_is;
};

static double lost(const struct made *m, double n)
{
	return m->exclusive + m->queue + m->imbalance + m->asleep + m->inflation * n;
}

static void make_run(struct sweep_run *r, unsigned int n, const struct made *m)
{
	double each = (n - 1) * ONE;
	int64_t *part = r->stack.part_ns;

	r->wall_ns = (uint64_t)((ONE + lost(m, n) * each) / n);
	r->run.bpf = true;
	r->run.nr = n;
	r->run.voluntary = 10 * n;
	r->run.oncpu_ns = calloc(n + 1, sizeof(uint64_t));
	r->stack.workers = n;
	r->stack.wall_ns = (int64_t)r->wall_ns;
	part[STACK_USEFUL] = (int64_t)(ONE + m->inflation * n * each);
	part[m->exclusive_is ? m->exclusive_is : STACK_SYNC] = (int64_t)(m->exclusive * each);
	part[STACK_RUNQ_PREEMPTED] = (int64_t)(m->queue * each);
	part[STACK_IMBALANCE] = (int64_t)(m->imbalance * each);
	part[STACK_SLEEP] = (int64_t)(m->asleep * each);
	r->exclusive_ns = (int64_t)(m->exclusive * each);
	r->oncpu_ns = part[STACK_USEFUL];
}

/* `noise`: of the repeated runs, as a share; the median stays exact. */
static void make(struct sweep *s, const unsigned int *n, size_t nr, const struct made *m,
		 size_t runs, double noise)
{
	*s = (struct sweep){
		.point = calloc(nr, sizeof(*s->point)), .nr = nr, .cpus = 64, .bpf = true
	};
	for (size_t i = 0; i < nr; i++) {
		struct sweep_point *p = &s->point[i];

		p->n = n[i];
		p->runs = runs;
		p->wall_ns = calloc(runs, sizeof(*p->wall_ns));
		make_run(&p->median, n[i], m);
		for (size_t k = 0; k < runs; k++)
			p->wall_ns[k] = (uint64_t)((double)p->median.wall_ns *
						   (1 + noise * ((double)k - (double)(runs / 2))));
	}
}

static const unsigned int powers[] = { 1, 2, 4, 8 };

/* Everything that is printed of it, by all three forms; the caller frees. */
static char *print(const struct sweep *s, const struct sweep_findings *f)
{
	static char *const argv[] = { "pro<g", "{n}", "\"&\x1b[2J", NULL };
	struct sweep_report r = {
		.sweep = s, .findings = f, .argv = argv, .how = "{n}", .repeats = 3, .why_not = ""
	};
	struct report_options o = { .width = 100 };
	char *text = NULL;
	struct err err;
	json_t *json;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(sweep_report_table(&r, &o, out, &err), 0);
	json = sweep_report_object(&r);
	assert_non_null(json);
	assert_int_equal(json_dumpf(json, out, 0), 0);
	json_decref(json);
	if (s->base)
		assert_int_equal(sweep_report_svg(&r, out, &err), 0);
	fclose(out);
	return text;
}

static bool has_word(const char *text, const char *word)
{
	for (const char *at = text; (at = strstr(at, word)); at++)
		if ((at == text || strchr(" \":,(\t-", at[-1])) &&
		    strchr(" ,)\"\n<.", at[strlen(word)]))
			return true;
	return false;
}

static void check_print(const struct sweep *s, struct sweep_findings *f)
{
	char *text;

	assert_int_equal(sweep_findings_make(s, f), 0);
	text = print(s, f);
	assert_false(has_word(text, "nan") || has_word(text, "inf") || has_word(text, "NaN"));
	assert_null(strchr(text, '\x1b'));
	assert_null(strstr(strstr(text, "<svg") ? strstr(text, "<svg") : "", "pro<g"));
	free(text);
}

static const struct finding *about(const struct sweep_findings *f, const char *what)
{
	for (size_t i = 0; i < f->curve.nr; i++) {
		const char *its =
			json_string_value(json_object_get(f->curve.finding[i].evidence, "about"));

		if (its && !strcmp(its, what))
			return &f->curve.finding[i];
	}
	return NULL;
}

static void check_shares(const struct sweep *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct sweep_point *p = &s->point[i];
		double sum = 0, stack = 0;

		for (int part = 0; part < STACK_NR; part++)
			stack += stack_share(&p->median.stack, (enum stack_part)part);
		assert_true(fabs(stack - p->n) < 1e-6);
		for (int k = 0; k < SHARE_NR; k++)
			sum += p->share[k];
		if (p->n == 1)
			assert_true(isnan(p->karp_flatt) && isnan(sum));
		else
			assert_true(fabs(sum - p->karp_flatt) < 1e-9);
	}
}

/* ---- what was lost, and what the laws say of it ---- */

static const struct row {
	const char *name;
	struct made made;
	double serial, sigma, kappa;      /* fitted; serial -1: Amdahl's law does not hold */
	int agrees[CHECK_NR];             /* -1: not asked */
	const char *about, *cause, *says; /* of one finding */
} rows[] = {
	{ "a serial share",
	  { .exclusive = 0.25 },
	  0.25,
	  0.25,
	  0,
	  { 1, 1, 1 },
	  "serial",
	  "serial",
	  "The measurement agrees" },
	{ "a lock",
	  { .exclusive = 0.4, .exclusive_is = STACK_LOCK },
	  0.4,
	  0.4,
	  0,
	  { 1, 1, 1 },
	  "serial",
	  "lock",
	  "mostly for locks" },
	{ "the GIL",
	  { .exclusive = 1, .exclusive_is = STACK_GIL },
	  1,
	  1,
	  0,
	  { 1, 1, 1 },
	  "serial",
	  "gil",
	  "CPython's GIL" },
	{ "ideal", { .exclusive = 0 }, 0, 0, 0, { 1, 1, 1 }, "serial", "none", "0.000" },
	{ "inflation: coherency, and it was measured",
	  { .inflation = 0.05 },
	  -1,
	  0,
	  0.05,
	  { -1, 1, 1 },
	  "coherency",
	  "inflation",
	  "The measurement agrees" },
	{ "both",
	  { .exclusive = 0.1, .inflation = 0.03 },
	  -1,
	  0.1,
	  0.03,
	  { -1, 1, 1 },
	  "contention",
	  "serial",
	  "The measurement agrees" },
	{ "a curve like a serial share's, of another cause",
	  { .imbalance = 0.3 },
	  0.3,
	  0.3,
	  0,
	  { 0, 0, 1 },
	  "serial",
	  "none",
	  "mostly workers that had ended" },
	{ "waiting for a CPU is not contention",
	  { .exclusive = 0.05, .queue = 0.3 },
	  0.35,
	  0.35,
	  0,
	  { 0, 0, 1 },
	  "serial",
	  "serial",
	  "mostly waiting for a CPU (0.300)" },
	{ "work that itself takes longer",
	  { .asleep = 0.2 },
	  0.2,
	  0.2,
	  0,
	  { 0, 0, 1 },
	  "serial",
	  "none",
	  "sleeping longer" },
};

static void check_row(const struct row *row)
{
	struct sweep_findings f;
	const struct finding *it;
	struct sweep s;

	print_message("%s\n", row->name);
	make(&s, powers, ARRAY_SIZE(powers), &row->made, 3, 0.001);
	sweep_conclude(&s);
	check_shares(&s);
	assert_true(s.fit[LAW_AMDAHL].ok && s.fit[LAW_USL].ok && s.nr_fitted == 4);
	if (row->serial >= 0)
		assert_true(fabs(s.fit[LAW_AMDAHL].value[FIT_SIGMA] - row->serial) < 1e-3);
	assert_true(fabs(s.fit[LAW_USL].value[FIT_SIGMA] - row->sigma) < 1e-3);
	assert_true(fabs(s.fit[LAW_USL].value[FIT_KAPPA] - row->kappa) < 1e-3);
	for (int i = 0; i < CHECK_NR; i++)
		if (row->agrees[i] >= 0)
			assert_true(s.check[i].known && s.check[i].agrees == (row->agrees[i] == 1));
	assert_true(fabs(s.point[2].share[SHARE_EXCLUSIVE] - row->made.exclusive) < 1e-6);
	assert_true(fabs(s.point[2].share[SHARE_QUEUE] - row->made.queue) < 1e-6);
	assert_true(fabs(s.point[2].share[SHARE_IMBALANCE] - row->made.imbalance) < 1e-6);
	assert_true(fabs(s.point[2].share[SHARE_ASLEEP] - row->made.asleep) < 1e-6);
	assert_true(fabs(s.point[2].share[SHARE_INFLATION] - 4 * row->made.inflation) < 1e-6);
	check_print(&s, &f);
	it = about(&f, row->about);
	assert_non_null(it);
	if (strcmp(it->cause, row->cause) || !strstr(it->sentence, row->says))
		print_error("%s: %s\n", it->cause, it->sentence);
	assert_string_equal(it->cause, row->cause);
	assert_non_null(strstr(it->sentence, row->says));
	sweep_findings_free(&f);
	sweep_free(&s);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

/* ---- what is left out ---- */

static void test_crowded(void **state)
{
	const struct made m = { .exclusive = 0.1 };
	struct sweep_findings f;
	struct sweep s;

	(void)state;
	make(&s, powers, ARRAY_SIZE(powers), &m, 2, 0.001);
	s.cpus = 2;
	s.point[2].median.crowded_ns = s.point[2].median.wall_ns / 2; /* n = 4; n = 8 sleeps */
	sweep_conclude(&s);
	assert_true(s.point[2].crowded && !s.point[3].crowded && s.nr_fitted == 3);
	check_print(&s, &f);
	assert_non_null(about(&f, "points"));
	assert_non_null(strstr(about(&f, "points")->sentence, "n = 4 the"));
	sweep_findings_free(&f);
	sweep_free(&s);
	/* with --cpus, n threads more than CPUs is what is asked */
	make(&s, powers, ARRAY_SIZE(powers), &m, 1, 0);
	s.cpus = 8;
	s.limits_cpus = true;
	s.point[2].median.crowded_ns = s.point[2].median.wall_ns;
	sweep_conclude(&s);
	assert_true(s.nr_fitted == 4);
	sweep_free(&s);
}

static void test_failed(void **state)
{
	const struct made m = { .exclusive = 0.1 };
	struct sweep_findings f;
	struct sweep s;

	(void)state;
	make(&s, powers, ARRAY_SIZE(powers), &m, 1, 0);
	s.point[0].failed = strdup("the command ended with status 3");
	sweep_conclude(&s);
	assert_true(s.base == &s.point[1] && s.nr_fitted == 3 && s.point[1].speedup == 1);
	assert_true(isnan(s.point[2].karp_flatt) && !s.check[CHECK_SERIAL].known);
	assert_non_null(strstr(s.check[CHECK_SERIAL].why, "n = 1"));
	assert_true(s.fit[LAW_AMDAHL].ok && fabs(s.fit[LAW_AMDAHL].value[FIT_SIGMA] - 0.1) < 1e-6);
	/* n = 2 is 1, so one worker is 1 / (2 / 1.1) */
	assert_true(fabs(sweep_curve(&s, &s.fit[LAW_AMDAHL], 1) - 1.1 / 2) < 1e-6);
	check_print(&s, &f);
	sweep_findings_free(&f);
	for (size_t i = 1; i < s.nr; i++)
		s.point[i].failed = strdup("the command was ended by signal 9");
	s.base = NULL;
	s.nr_fitted = 0;
	sweep_conclude(&s);
	assert_true(!s.base && !s.fit[LAW_AMDAHL].ok);
	check_print(&s, &f);
	sweep_findings_free(&f);
	sweep_free(&s);
}

/* One point, two, and no time at all. */
static void test_few(void **state)
{
	const struct made m = { .exclusive = 0.2 };
	struct sweep_findings f;
	struct sweep s;

	(void)state;
	for (size_t nr = 1; nr <= 3; nr++) {
		make(&s, powers, nr, &m, 1, 0);
		sweep_conclude(&s);
		assert_true(s.fit[LAW_AMDAHL].ok == (nr >= 2) && s.fit[LAW_USL].ok == (nr >= 3));
		if (nr == 2) /* no error: nothing is said to agree */
			assert_true(isnan(s.check[CHECK_SERIAL].se));
		check_print(&s, &f);
		sweep_findings_free(&f);
		sweep_free(&s);
	}
	make(&s, powers, 4, &m, 1, 0);
	s.point[1].median.wall_ns = s.point[1].wall_ns[0] = 0;
	sweep_conclude(&s);
	assert_false(s.fit[LAW_AMDAHL].ok);
	check_print(&s, &f);
	sweep_findings_free(&f);
	sweep_free(&s);
}

/* The capacity of the CPUs is divided out, of what ran on them. */
static void test_capacity(void **state)
{
	struct made m = { .exclusive = 0 };
	struct sweep s;

	(void)state;
	/* no serial share, but n CPUs are worth (1 + n) / 2: as if half of it were lost */
	make(&s, powers, ARRAY_SIZE(powers), &m, 1, 0);
	for (size_t i = 1; i < s.nr; i++) {
		struct sweep_point *p = &s.point[i];

		p->capacity_cpus = p->n;
		p->capacity = (1.0 + p->n) / 2;
		p->median.wall_ns = p->wall_ns[0] = (uint64_t)(ONE / p->capacity);
		p->median.stack.wall_ns = (int64_t)p->median.wall_ns;
		p->median.stack.part_ns[STACK_USEFUL] = (int64_t)(p->median.wall_ns * p->n);
		p->median.oncpu_ns = p->median.stack.part_ns[STACK_USEFUL];
	}
	sweep_conclude(&s);
	assert_true(s.fit[LAW_AMDAHL].value[FIT_SIGMA] > 0.1);
	assert_true(fabs(s.divided[LAW_AMDAHL].value[FIT_SIGMA]) < 1e-6);
	assert_true(fabs(s.point[3].worth - 4.5) < 1e-9);
	sweep_free(&s);
	/* who sleeps does not need them */
	make(&s, powers, ARRAY_SIZE(powers), &m, 1, 0);
	for (size_t i = 1; i < s.nr; i++) {
		s.point[i].capacity_cpus = 2;
		s.point[i].capacity = 1.2;
		s.point[i].median.oncpu_ns = 0;
		s.point[i].median.stack.part_ns[STACK_SLEEP] = 1000000;
	}
	sweep_conclude(&s);
	assert_true(s.point[3].worth == 8);
	sweep_free(&s);
}

static double bound_of(const struct findings *f, const char *cause)
{
	for (size_t i = 0; i < f->nr; i++)
		if (!strcmp(f->finding[i].cause, cause))
			return f->finding[i].bound;
	return 0;
}

/* One worker that had a CPU for a quarter of its time alone would be four times as fast with one of its own, and two of them eight times. */
static void test_waited(void **state)
{
	static const unsigned int n[] = { 1, 2 };
	const struct made m = { 0 };
	struct sweep_findings f;
	struct sweep s;

	(void)state;
	make(&s, n, ARRAY_SIZE(n), &m, 1, 0);
	for (size_t i = 0; i < s.nr; i++) {
		int64_t *part = s.point[i].median.stack.part_ns;

		part[STACK_RUNQ_PREEMPTED] = part[STACK_USEFUL] / 4 * 3;
		part[STACK_USEFUL] -= part[STACK_RUNQ_PREEMPTED];
		s.point[i].median.oncpu_ns = part[STACK_USEFUL];
	}
	sweep_conclude(&s);
	assert_int_equal(sweep_findings_make(&s, &f), 0);
	assert_true(fabs(bound_of(&f.point[0], "runqueue") - 4) < 1e-6);
	assert_true(fabs(bound_of(&f.point[1], "runqueue") - 8) < 1e-6);
	sweep_findings_free(&f);
	sweep_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),     cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_failed),   cmocka_unit_test(test_few),
		cmocka_unit_test(test_capacity), cmocka_unit_test(test_waited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
