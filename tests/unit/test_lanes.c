// SPDX-License-Identifier: GPL-2.0-only
/* A program's time in n lanes: whatever its threads do, the parts sum to n * T; and each case's parts are those worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/lanes.h"
#include "sched_sim.h"
#include "trace_text.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The words that threads wait for in these traces, from 1 on. */
static struct lock locks[] = {
	{ .kind = LOCK_MUTEX },
	{ .kind = LOCK_GIL },
	{ .kind = LOCK_BARRIER },
	{ .kind = LOCK_JOIN },
};

static void check_sums(const struct lanes *l)
{
	uint64_t whole = l->end_ns - l->begin_ns, at_once = 0, alone = 0;
	int64_t sum = 0;

	for (int part = 0; part < STACK_NR; part++) {
		assert_true(l->part_ns[part] >= 0);
		sum += l->part_ns[part];
	}
	assert_int_equal(sum, l->nr * whole);
	for (size_t k = 0; k <= l->nr; k++)
		at_once += l->at_once_ns[k];
	assert_int_equal(at_once, whole);
	assert_int_equal(l->part_ns[STACK_USEFUL] + l->beyond_ns, l->oncpu_ns);
	assert_true(l->beyond_ns <= l->wanted_ns * (l->oncpu_ns + 1));
	assert_true(l->wanted_ns <= whole && (l->nr < 2 || l->wanted_ns <= l->crowded_ns));
	assert_true(l->alone_ns <= whole && l->alone_most_ns <= l->alone_ns);
	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		assert_true(l->alone_kind_ns[kind] <= l->kind_ns[kind]);
		alone += l->alone_kind_ns[kind];
	}
	assert_true(alone <= (uint64_t)l->part_ns[STACK_SYNC]);
	assert_true(l->exclusive_ns <= (uint64_t)(l->part_ns[STACK_SYNC] + l->part_ns[STACK_LOCK] +
						  l->part_ns[STACK_GIL] + l->part_ns[STACK_KLOCK]));
}

static const struct row {
	const char *name;
	size_t n;
	const char *text; /* from 0 to 1000, two CPUs */
	struct {
		enum stack_part part;
		int64_t ns;
	} part[6];
	uint64_t exclusive, alone, beyond, crowded;
} rows[] = {
	{ "one thread, one lane",
	  1,
	  "0 cpu0 snap A tid=7 oncpu\n",
	  { { STACK_USEFUL, 1000 } },
	  0,
	  0,
	  0,
	  0 },
	{ "one thread, four lanes: three follow it",
	  4,
	  "0 cpu0 snap A tid=7 oncpu\n",
	  { { STACK_USEFUL, 1000 }, { STACK_SYNC, 3000 } },
	  3000,
	  1000,
	  0,
	  0 },
	{ "main works alone, then two threads, main joins, one ends first",
	  2,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "200 cpu0 fork A > B tid=8\n"
	  "200 cpu0 fork A > C tid=9\n"
	  "200 cpu1 wakeup B by A new nowake\n"
	  "200 cpu1 switch idle B\n"
	  "200 cpu0 wakeup C by A new nowake\n"
	  "200 cpu0 futex A addr=4\n"
	  "200 cpu0 switch A/S:futex C\n"
	  "800 cpu1 exit B\n"
	  "800 cpu1 switch B/X idle\n",
	  { { STACK_USEFUL, 200 + 600 * 2 + 200 }, { STACK_SYNC, 200 + 200 } },
	  400,
	  400,
	  0,
	  0 },
	{ "a mutex: who waits for it waits for what only one can have",
	  2,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 oncpu\n"
	  "300 cpu0 futex A addr=1\n"
	  "300 cpu0 switch A/S:futex idle\n"
	  "700 cpu0 wakeup A by B nowake\n"
	  "700 cpu0 switch idle A\n",
	  { { STACK_USEFUL, 1600 }, { STACK_LOCK, 400 } },
	  400,
	  0,
	  0,
	  0 },
	{ "the GIL and a mutex at once",
	  3,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 oncpu\n"
	  "0 cpu2 snap C tid=9 oncpu\n"
	  "100 cpu0 futex A addr=1\n"
	  "100 cpu0 switch A/S:futex idle\n"
	  "200 cpu1 futex B addr=2\n"
	  "200 cpu1 switch B/S:futex idle\n",
	  { { STACK_USEFUL, 1000 + 200 + 100 }, { STACK_LOCK, 900 }, { STACK_GIL, 800 } },
	  1700,
	  0,
	  0,
	  100 },
	{ "a barrier while two others work is no serial time",
	  3,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 oncpu\n"
	  "0 cpu2 snap C tid=9 oncpu\n"
	  "400 cpu0 futex A addr=3\n"
	  "400 cpu0 switch A/S:futex idle\n"
	  "900 cpu1 futex B addr=3\n"
	  "900 cpu1 switch B/S:futex idle\n",
	  { { STACK_USEFUL, 400 * 3 + 500 * 2 + 100 }, { STACK_SYNC, 500 + 200 } },
	  200,
	  100,
	  0,
	  400 },
	{ "more threads than lanes: who works has them, who waits for others' work last",
	  1,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 blocked S:read\n"
	  "0 cpu1 snap C tid=9 blocked S:nanosleep\n"
	  "600 cpu0 switch A/S:nanosleep idle\n",
	  { { STACK_USEFUL, 600 }, { STACK_IO, 400 } },
	  0,
	  0,
	  0,
	  0 },
	{ "more on a CPU than lanes",
	  1,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 oncpu\n"
	  "0 cpu2 snap C tid=9 oncpu\n",
	  { { STACK_USEFUL, 1000 } },
	  0,
	  0,
	  2000,
	  1000 },
	{ "ready without a CPU; an end, others go on",
	  3,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "0 cpu1 snap B tid=8 blocked S:nanosleep\n"
	  "0 cpu1 snap C tid=9 oncpu\n"
	  "0 cpu1 wakeup B nowake\n"
	  "0 cpu1 switch C/P B\n"
	  "500 cpu0 exit A\n"
	  "500 cpu0 switch A/X C\n",
	  { { STACK_USEFUL, 2000 }, { STACK_RUNQ_PREEMPTED, 500 }, { STACK_IMBALANCE, 500 } },
	  0,
	  0,
	  0,
	  500 },
	{ "alone, asleep: the others follow a thread that sleeps, but no one runs",
	  2,
	  "0 cpu0 snap A tid=7 oncpu\n"
	  "500 cpu0 switch A/S:nanosleep idle\n",
	  { { STACK_USEFUL, 500 }, { STACK_SLEEP, 500 }, { STACK_SYNC, 1000 } },
	  1000,
	  500,
	  0,
	  0 },
	{ "nobody: nothing begins, and nothing is worked at any more",
	  2,
	  "100 cpu0 snap A tid=7 oncpu\n"
	  "600 cpu0 exit A\n"
	  "600 cpu0 switch A/X idle\n",
	  { { STACK_SPAWN, 200 },
	    { STACK_USEFUL, 500 },
	    { STACK_SYNC, 500 },
	    { STACK_TEARDOWN, 800 } },
	  500,
	  500,
	  0,
	  0 },
};

static void check_row(const struct row *row)
{
	int64_t expected[STACK_NR] = { 0 };
	struct lanes *lanes;
	struct ledger *l;
	struct err err;

	print_message("%s\n", row->name);
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	ledger_on_wait(l, trace_text_on_wait, locks);
	assert_int_equal(lanes_new(l, row->n, 2, 0, 1000, &lanes, &err), 0);
	trace_text_feed(l, row->text);
	ledger_finish(l, 1000);
	assert_int_equal(lanes_finish(lanes), 0);
	check_sums(lanes);
	for (size_t i = 0; i < ARRAY_SIZE(row->part); i++)
		expected[row->part[i].part] += row->part[i].ns;
	for (int part = 0; part < STACK_NR; part++) {
		if (lanes->part_ns[part] != expected[part])
			print_error("%s: got %lld, expected %lld\n", stack_part_name(part),
				    (long long)lanes->part_ns[part], (long long)expected[part]);
		assert_int_equal(lanes->part_ns[part], expected[part]);
	}
	assert_int_equal(lanes->exclusive_ns, row->exclusive);
	assert_int_equal(lanes->alone_ns, row->alone);
	assert_int_equal(lanes->beyond_ns, row->beyond);
	assert_int_equal(lanes->crowded_ns, row->crowded);
	lanes_free(lanes);
	ledger_free(l);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

/* The parts of a run that begins and ends in the middle of the trace. */
static void test_cut(void **state)
{
	struct lanes *lanes;
	struct ledger *l;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	assert_int_equal(lanes_new(l, 2, 2, 300, 700, &lanes, &err), 0);
	trace_text_feed(l, "100 cpu0 snap A tid=7 oncpu\n"
			   "500 cpu0 switch A/S:nanosleep idle\n"
			   "900 cpu0 wakeup A nowake\n"
			   "900 cpu0 switch idle A\n");
	ledger_finish(l, 1000);
	assert_int_equal(lanes_finish(lanes), 0);
	check_sums(lanes);
	assert_int_equal(lanes->part_ns[STACK_USEFUL], 200);
	assert_int_equal(lanes->part_ns[STACK_SLEEP], 200);
	assert_int_equal(lanes->alone_most_serial, 1);
	lanes_free(lanes);
	ledger_free(l);
}

/* Random threads, with lost events too: the sums hold whatever comes; without losses the time on a CPU is the truth. */
static void random_run(const struct sim_options *opt, size_t n)
{
	uint64_t oncpu = 0, begin, end;
	struct sim_result sim;
	struct lanes *lanes;
	struct ledger *l;
	struct err err;

	sim_run(opt, &sim);
	begin = sim.end_ns / 4;
	end = sim.end_ns / 4 * 3;
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &l, &err), 0);
	ledger_epoch(l, SIM_EPOCH);
	assert_int_equal(lanes_new(l, n, 2, begin, end, &lanes, &err), 0);
	for (size_t i = 0; i < sim.nr; i++) {
		struct trace_event ev = { .time_ns = sim.event[i].time_ns,
					  .cpu = sim.event[i].cpu,
					  .rec = sim.event[i].rec };

		assert_int_equal(ledger_event(l, &ev), 0);
	}
	ledger_finish(l, sim.end_ns);
	assert_int_equal(lanes_finish(lanes), 0);
	check_sums(lanes);
	for (unsigned int serial = 1; serial <= sim.nr_serials; serial++)
		for (size_t i = 0; i < sim.thread[serial].nr; i++) {
			const struct sim_interval *v = &sim.thread[serial].interval[i];
			uint64_t from = v->from_ns > begin ? v->from_ns : begin;
			uint64_t to = v->to_ns < end ? v->to_ns : end;

			if (v->class == CLASS_ONCPU && to > from)
				oncpu += to - from;
		}
	/* of two events at the same time on two CPUs the later may come first, and its moment counts for both */
	if (!opt->drops && !opt->holes && !opt->ties)
		assert_int_equal(lanes->oncpu_ns, oncpu);
	lanes_free(lanes);
	ledger_free(l);
	sim_free(&sim);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		const struct sim_options opt = { .seed = seed,
						 .steps = 400,
						 .drops = seed % 3 == 0,
						 .ties = seed % 2 == 0,
						 .holes = seed % 5 == 0,
						 .locks = seed % 4 == 0 };

		random_run(&opt, 1 + seed % 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
