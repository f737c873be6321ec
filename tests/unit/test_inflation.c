// SPDX-License-Identifier: GPL-2.0-only
/*
 * The split of inflation (analysis/inflation.h): cases whose answer can be worked out by hand, and random ones whose parts must sum to
 * the whole, exactly, and whose interval must hold what remains.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/inflation.h"

#define MS 1000000ll

/* A run of nr workers, all of them on a CPU for oncpu_ns, and at once as `at_once` says. */
struct made {
	struct experiment e;
	struct experiment_worker worker[4];
	uint64_t at_once[5];
};

static void make(struct made *m, size_t nr, uint64_t oncpu_ns)
{
	memset(m, 0, sizeof(*m));
	m->e.nr = nr;
	m->e.bpf = true;
	m->e.t1_ns = (int64_t)oncpu_ns;
	m->e.worker = m->worker;
	m->e.oncpu_ns = m->at_once;
	m->at_once[nr] = oncpu_ns;
	for (size_t i = 0; i < nr; i++) {
		m->worker[i].end_ns = (int64_t)oncpu_ns;
		m->worker[i].ledger_ns[CLASS_ONCPU] = oncpu_ns;
		m->worker[i].steal_known = true;
	}
}

static void split(const struct made *run, const struct made *reference,
		  const struct shared_capacity *capacity, const struct machine_costs *costs,
		  struct inflation_split *ret)
{
	struct shared_capacity none = {};
	struct stack stack;

	assert_int_equal(experiment_stack(&run->e,
					  reference ? experiment_work_ns(&reference->e) : 0,
					  &stack),
			 0);
	inflation_make(&run->e, reference ? &reference->e : NULL, &stack, capacity ?: &none, costs,
		       ret);
}

static int64_t sum(const struct inflation_split *s)
{
	int64_t ns = 0;

	for (int part = 0; part < INFLATION_NR; part++)
		ns += s->piece[part].ns;
	return ns;
}

/* Nothing is known but the total: all of it is unexplained. */
static void test_nothing_known(void **state)
{
	struct made run, reference;
	struct inflation_split s;

	(void)state;
	make(&run, 2, 60 * MS);
	make(&reference, 1, 100 * MS);
	run.worker[0].steal_known = false;
	split(&run, &reference, NULL, NULL, &s);
	assert_true(s.known);
	assert_int_equal(s.total_ns, 20 * MS);
	for (int part = 0; part < INFLATION_UNEXPLAINED; part++) {
		assert_false(s.piece[part].known);
		assert_int_equal(s.piece[part].ns, 0);
	}
	assert_int_equal(s.piece[INFLATION_UNEXPLAINED].ns, 20 * MS);
	assert_false(s.piece[INFLATION_UNEXPLAINED].estimate);
	split(&run, NULL, NULL, NULL, &s);
	assert_false(s.known);
	assert_int_equal(sum(&s), 0);
}

/* Two at once take 1.25 times as long for a turn: of their 2 x 50 ms at once, a fifth was that: 20 ms. */
static void test_shared(void **state)
{
	struct shared_capacity capacity = { 2, 1.25, 1.0, 2.0 };
	struct made run, reference;
	struct inflation_split s;

	(void)state;
	make(&run, 2, 60 * MS);
	run.at_once[2] = 50 * MS;
	run.at_once[1] = 20 * MS;
	make(&reference, 1, 100 * MS);
	split(&run, &reference, &capacity, NULL, &s);
	assert_int_equal(s.piece[INFLATION_SHARED].ns, 20 * MS);
	assert_int_equal(s.piece[INFLATION_SHARED].low_ns, 0);
	assert_int_equal(s.piece[INFLATION_SHARED].high_ns, 50 * MS);
	assert_int_equal(s.piece[INFLATION_UNEXPLAINED].ns, 0);
	assert_int_equal(s.piece[INFLATION_UNEXPLAINED].low_ns, -30 * MS);
	assert_int_equal(s.piece[INFLATION_UNEXPLAINED].high_ns, 20 * MS);
	assert_true(s.piece[INFLATION_UNEXPLAINED].estimate);
	/* measured on 3: two at once suffer half of that, 1 + 0.5 / 2 */
	capacity = (struct shared_capacity){ 3, 1.5, 1.5, 1.5 };
	split(&run, &reference, &capacity, NULL, &s);
	assert_int_equal(s.piece[INFLATION_SHARED].ns, 20 * MS);
}

static void test_counted(void **state)
{
	const struct machine_costs costs = { { true, 1000, 900, 1200 },
					     { true, 5000, -1000, 50000 } };
	struct made run, reference;
	struct inflation_split s;

	(void)state;
	make(&run, 2, 60 * MS);
	make(&reference, 1, 100 * MS);
	run.worker[0].switches = 600;
	run.worker[1].switches = 500;
	reference.worker[0].switches = 100;
	run.worker[1].migrations = 10;
	run.worker[0].steal_ns = 3 * MS;
	reference.worker[0].steal_ns = 4 * MS;
	split(&run, &reference, NULL, &costs, &s);
	assert_int_equal(s.piece[INFLATION_SWITCHES].ns, 1000 * 1000);
	assert_int_equal(s.piece[INFLATION_SWITCHES].low_ns, 1000 * 900);
	assert_int_equal(s.piece[INFLATION_SWITCHES].high_ns, 1000 * 1200);
	assert_int_equal(s.piece[INFLATION_MIGRATIONS].ns, 10 * 5000);
	assert_int_equal(s.piece[INFLATION_MIGRATIONS].low_ns, -10 * 1000);
	assert_int_equal(s.piece[INFLATION_STEAL].ns, -1 * MS);
	assert_false(s.piece[INFLATION_STEAL].estimate);
	assert_int_equal(sum(&s), 20 * MS);
	/* fewer than the reference: the interval turns round */
	reference.worker[0].switches = 2100;
	split(&run, &reference, NULL, &costs, &s);
	assert_int_equal(s.piece[INFLATION_SWITCHES].low_ns, -1000 * 1200);
	assert_int_equal(s.piece[INFLATION_SWITCHES].high_ns, -1000 * 900);
}

/* 10 % more instructions, each of them 1.2 / 1.1 as many cycles: 10 ms and 10 ms of 100. */
static void test_counters(void **state)
{
	struct made run, reference;
	struct inflation_split s;

	(void)state;
	make(&run, 2, 60 * MS);
	make(&reference, 1, 100 * MS);
	run.e.instructions = 1100;
	run.e.cycles = 2400;
	reference.e.instructions = 1000;
	reference.e.cycles = 2000;
	split(&run, &reference, NULL, NULL, &s);
	assert_int_equal(s.piece[INFLATION_INSTRUCTIONS].ns, 10 * MS);
	assert_int_equal(s.piece[INFLATION_IPC].ns, 10 * MS);
	assert_int_equal(s.piece[INFLATION_UNEXPLAINED].ns, 0);
	reference.e.cycles = 0;
	split(&run, &reference, NULL, NULL, &s);
	assert_true(s.piece[INFLATION_INSTRUCTIONS].known);
	assert_false(s.piece[INFLATION_IPC].known);
}

static uint64_t random_number(uint64_t *seed, uint64_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 20) % below;
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++) {
		uint64_t random = seed;
		size_t nr = 1 + random_number(&random, 4);
		double low = (double)random_number(&random, 3000) / 1000;
		struct shared_capacity capacity = { (unsigned int)random_number(&random, 6),
						    low + 0.5, low, low + 1 };
		struct machine_costs costs = { { random & 1, 700, 600, 800 },
					       { random & 2, 0, -9e3, 1e6 } };
		struct made run, reference;
		struct inflation_split s;
		const struct inflation_piece *rest = &s.piece[INFLATION_UNEXPLAINED];

		make(&run, nr, 1 + random_number(&random, 1000 * MS));
		make(&reference, 1, 1 + random_number(&random, 1000 * MS));
		for (size_t i = 0; i < nr; i++) {
			run.worker[i].switches = random_number(&random, 100000);
			run.worker[i].migrations = random_number(&random, 1000);
			run.worker[i].steal_ns = random_number(&random, MS);
		}
		if (random & 4)
			run.e.instructions = reference.e.instructions =
				1 + random_number(&random, 1e9);
		split(&run, &reference, &capacity, random & 8 ? &costs : NULL, &s);
		if (sum(&s) != s.total_ns)
			fail_msg("seed %" PRIu64 ": the parts sum to %" PRId64 ", not %" PRId64,
				 seed, sum(&s), s.total_ns);
		if (rest->low_ns > rest->ns || rest->ns > rest->high_ns)
			fail_msg("seed %" PRIu64 ": the interval of the rest", seed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_counted),       cmocka_unit_test(test_counters),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
