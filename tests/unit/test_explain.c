// SPDX-License-Identifier: GPL-2.0-only
/* Which cause speaks for which run, in which order, and the bound that it gives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "explain_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Two workers: the parts are given in thousandths of their time, 2 * T; what is left is useful. */
struct row {
	const char *name;
	int part[3]; /* enum stack_part */
	int thousandths[3];
	bool single, no_bpf, lock;
	uint64_t baseline_ns;
	const char *cause[3]; /* in order; NULL ends */
	double bound;         /* of the first */
	const char *says;     /* stands in the first one's sentence */
};

static const struct row rows[] = {
	{ "nothing is lost",
	  { 0 },
	  { 0 },
	  false,
	  false,
	  false,
	  2 * T,
	  { "none" },
	  2.0,
	  "2.00 times as fast" },
	{ "the baseline", { 0 }, { 0 }, true, false, false, T, { "none" }, 1.0, "baseline" },
	{ "half of the time in futexes",
	  { STACK_SYNC },
	  { 500 },
	  false,
	  false,
	  false,
	  T,
	  { "sync" },
	  2.0,
	  "50.0 %" },
	{ "with Python's lock",
	  { STACK_SYNC },
	  { 500 },
	  false,
	  false,
	  true,
	  T,
	  { "sync" },
	  2.0,
	  "lock" },
	{ "run queue",
	  { STACK_RUNQ_PREEMPTED, STACK_RUNQ_WAKEUP },
	  { 150, 100 },
	  false,
	  false,
	  false,
	  T,
	  { "runqueue" },
	  4.0 / 3,
	  "25.0 %" },
	{ "run queue by /proc",
	  { STACK_RUNQ_WAKEUP },
	  { 250 },
	  false,
	  true,
	  false,
	  T,
	  { "runqueue" },
	  4.0 / 3,
	  "25.0 %" },
	{ "largest loss first",
	  { STACK_SPAWN, STACK_IMBALANCE, STACK_IO },
	  { 20, 100, 50 },
	  false,
	  false,
	  false,
	  T,
	  { "imbalance", "io", "spawn" },
	  1 / 0.9,
	  "10.0 %" },
	{ "inflation",
	  { STACK_INFLATION },
	  { 200 },
	  false,
	  false,
	  false,
	  T,
	  { "inflation" },
	  1.25,
	  "times the CPU time" },
	{ "less CPU time than the reference is no finding",
	  { STACK_INFLATION },
	  { -100 },
	  false,
	  false,
	  false,
	  T,
	  { "none" },
	  1.0,
	  "" },
	{ "a quota",
	  { STACK_THROTTLED },
	  { 400 },
	  false,
	  false,
	  false,
	  T,
	  { "throttled" },
	  1 / 0.6,
	  "quota" },
	{ "below a hundredth nobody speaks",
	  { STACK_IO },
	  { 9 },
	  false,
	  false,
	  false,
	  T,
	  { "none" },
	  1.0,
	  "" },
	{ "without privileges",
	  { STACK_UNTRACKED },
	  { 300 },
	  false,
	  true,
	  false,
	  T,
	  { "none" },
	  1 / 0.7,
	  "privileges" },
	{ "after lost events",
	  { STACK_UNTRACKED },
	  { 300 },
	  false,
	  false,
	  false,
	  T,
	  { "none" },
	  1 / 0.7,
	  "not guessed" },
	{ "stopped for most of it",
	  { STACK_STOPPED, STACK_SLEEP },
	  { 800, 20 },
	  false,
	  false,
	  false,
	  T,
	  { "none" },
	  2.0,
	  "stopped" },
	{ "everything lost",
	  { STACK_SYNC },
	  { 1000 },
	  false,
	  false,
	  false,
	  T,
	  { "sync" },
	  1.0,
	  "100.0 %" },
};

static void make_stack(const struct row *r, struct stack *s)
{
	int64_t left = 2 * T;

	*s = (struct stack){ .workers = 2, .wall_ns = T, .has_reference = true };
	for (size_t i = 0; i < ARRAY_SIZE(r->part); i++) {
		int64_t ns = (int64_t)r->thousandths[i] * 2 * T / 1000;

		s->part_ns[r->part[i]] += ns;
		left -= ns;
	}
	s->part_ns[STACK_USEFUL] += left;
}

static void check(const struct row *r, const struct findings *all)
{
	size_t nr = 0;

	while (nr < ARRAY_SIZE(r->cause) && r->cause[nr])
		nr++;
	assert_int_equal(all->nr, nr);
	for (size_t i = 0; i < nr; i++)
		assert_string_equal(all->finding[i].cause, r->cause[i]);
	assert_true(fabs(all->finding[0].bound - r->bound) < 1e-9);
	assert_non_null(strstr(all->finding[0].sentence, r->says));
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		uint64_t oncpu[3] = { 0, T / 2, T / 2 };
		struct experiment run = { .nr = 2,
					  .bpf = !r->no_bpf,
					  .oncpu_ns = r->no_bpf ? NULL : oncpu };
		struct stack stack;
		struct facts facts = {
			.name = "test-run",
			.single = r->single,
			.run = &run,
			.stack = &stack,
			.baseline_ns = r->baseline_ns,
			.baseline_name = "alone",
			.reference_ns = T,
			.interpreter_lock = r->lock,
			.cpus = 2,
		};
		struct findings all;

		print_message("%s\n", r->name);
		make_stack(r, &stack);
		assert_int_equal(findings_make(&facts, &all), 0);
		check(r, &all);
		explain_check_all(&facts, &all);
		findings_free(&all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
