// SPDX-License-Identifier: GPL-2.0-only
/* The speedup stack sums to N * T exactly, whatever the workers report; and what each part holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/stack.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int64_t sum(const struct stack *s)
{
	int64_t all = 0;

	for (int part = 0; part < STACK_NR; part++)
		all += s->part_ns[part];
	return all;
}

static const struct row {
	const char *name;
	struct stack_worker worker[2];
	size_t nr;
	int64_t t0, t1;
	uint64_t reference;
	int64_t useful, inflation, spawn, imbalance, teardown, sync, untracked;
} rows[] = {
	{ "one worker, all on a CPU",
	  { { 100, 200, { [CLASS_ONCPU] = 100 } } },
	  1,
	  100,
	  200,
	  0,
	  100,
	  0,
	  0,
	  0,
	  0,
	  0,
	  0 },
	{ "spawn and teardown",
	  { { 110, 190, { [CLASS_ONCPU] = 80 } } },
	  1,
	  100,
	  200,
	  80,
	  80,
	  0,
	  10,
	  0,
	  10,
	  0,
	  0 },
	{ "the first one waits for the last",
	  { { 100, 150, { [CLASS_ONCPU] = 50 } }, { 100, 200, { [CLASS_ONCPU] = 100 } } },
	  2,
	  100,
	  200,
	  150,
	  150,
	  0,
	  0,
	  50,
	  0,
	  0,
	  0 },
	{ "the same work took more CPU time",
	  { { 0, 100, { [CLASS_ONCPU] = 100 } }, { 0, 100, { [CLASS_ONCPU] = 100 } } },
	  2,
	  0,
	  100,
	  160,
	  160,
	  40,
	  0,
	  0,
	  0,
	  0,
	  0 },
	{ "or less: inflation is negative",
	  { { 0, 100, { [CLASS_ONCPU] = 100 } } },
	  1,
	  0,
	  100,
	  120,
	  120,
	  -20,
	  0,
	  0,
	  0,
	  0,
	  0 },
	{ "what the ledger does not hold is untracked",
	  { { 0, 100, { [CLASS_ONCPU] = 30, [CLASS_SYNC] = 50 } } },
	  1,
	  0,
	  100,
	  0,
	  30,
	  0,
	  0,
	  0,
	  0,
	  50,
	  20 },
	{ "a worker that began before the run and ended after it",
	  { { -50, 500, { [CLASS_ONCPU] = 100 } } },
	  1,
	  0,
	  100,
	  0,
	  100,
	  0,
	  0,
	  0,
	  0,
	  0,
	  0 },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct stack s;

		print_message("%s\n", r->name);
		stack_make(r->worker, r->nr, r->t0, r->t1, r->reference, &s);
		assert_int_equal(s.part_ns[STACK_USEFUL], r->useful);
		assert_int_equal(s.part_ns[STACK_INFLATION], r->inflation);
		assert_int_equal(s.part_ns[STACK_SPAWN], r->spawn);
		assert_int_equal(s.part_ns[STACK_IMBALANCE], r->imbalance);
		assert_int_equal(s.part_ns[STACK_TEARDOWN], r->teardown);
		assert_int_equal(s.part_ns[STACK_SYNC], r->sync);
		assert_int_equal(s.part_ns[STACK_UNTRACKED], r->untracked);
		assert_int_equal(sum(&s), (int64_t)r->nr * (r->t1 - r->t0));
	}
}

static void random_worker(struct stack_worker *w, unsigned int *seed)
{
	int64_t left;

	memset(w, 0, sizeof(*w));
	w->begin_ns = rand_r(seed) % 1000;
	w->end_ns = w->begin_ns + rand_r(seed) % 1000;
	left = w->end_ns - w->begin_ns;
	for (int class = 0; class < CLASS_NR && left; class ++) {
		int64_t part = rand_r(seed) % (left + 1);

		w->ledger_ns[class] = (uint64_t)part;
		left -= part;
	}
}

static void test_sums_always(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		struct stack_worker worker[8];
		unsigned int seed = i;
		size_t nr = 1 + (size_t)(rand_r(&seed) % 8);
		int64_t t0 = rand_r(&seed) % 1500, t1 = t0 + rand_r(&seed) % 2000;
		struct stack s;

		for (size_t k = 0; k < nr; k++)
			random_worker(&worker[k], &seed);
		stack_make(worker, nr, t0, t1,
			   rand_r(&seed) % 2 ? (uint64_t)(rand_r(&seed) % 5000) : 0, &s);
		if (sum(&s) != (int64_t)nr * (t1 - t0))
			fail_msg("seed %u: the parts sum to %ld, not %zu * %ld", i, (long)sum(&s),
				 nr, (long)(t1 - t0));
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int a = 0; a < STACK_NR; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(stack_part_name(a), stack_part_name(b));
	assert_string_equal(stack_part_name(STACK_USEFUL), "useful");
	assert_string_equal(stack_part_name(STACK_UNTRACKED), "untracked");
	assert_string_equal(stack_part_name(STACK_NR), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sums_always),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
