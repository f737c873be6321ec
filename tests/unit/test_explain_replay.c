// SPDX-License-Identifier: GPL-2.0-only
/* What the replay adds to findings: their bounds, or why there is none; and the causes that are counts only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "explain_help.h"
#include "replay_help.h"
#include "trace_text.h"

/* The made run (T, twice as fast as its reference) lies in a recording of 1.2 T. */
static struct replay made_replay(void)
{
	struct replay r = { .good = true,
			    .measured_ns = 6 * T / 5,
			    .as_is_ns = 6 * T / 5,
			    .cpus = WORKERS,
			    .nr_locks = 1 };

	for (int what = 0; what < REPLAY_NR; what++)
		r.without[what] =
			(struct replay_time){ .made = true, .expected_ns = T, .least_ns = T };
	strcpy(r.lock[0].name, "m in prog");
	r.lock[0].kind = LOCK_MUTEX;
	r.lock[0].without = (struct replay_time){ true, 11 * T / 10, 11 * T / 10 };
	return r;
}

static const char *bound_by(const struct finding *f)
{
	return json_string_value(json_object_get(f->evidence, "bound_by"));
}

static void test_bounds(void **state)
{
	struct replay replay = made_replay();
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.facts.replay = &replay;
	explain_lose(&m, STACK_LOCK, 1000);
	explain_lose(&m, STACK_RUNQ_PREEMPTED, 600);
	explain_lose(&m, STACK_IMBALANCE, 400);
	replay.without[REPLAY_LOCK].least_ns = 7 * T / 10; /* 0.5 T less: half of the run */
	replay.without[REPLAY_LOCK].expected_ns = 95 * T / 100;
	f = explain_find_the(&m, &all, "lock");
	assert_string_equal(bound_by(f), "replay");
	assert_true(fabs(f->bound - 4) < 1e-9); /* twice as fast, and twice as fast again */
	assert_true(fabs(f->lost_speedup - 2) < 1e-9);
	explain_says(f, "Without it at most 4.00x.");
	assert_true(fabs(json_real_value(json_object_get(json_object_get(f->evidence, "replay"),
							 "expected_speedup")) -
			 2 / 0.75) < 1e-9);
	/* without that lock alone 0.1 T less */
	f = explain_the(&all, "lock");
	assert_true(
		fabs(json_real_value(json_object_get(
			     json_array_get(json_object_get(f->evidence, "without_this_lock_alone"),
					    0),
			     "bound")) -
		     2 / 0.9) < 1e-9);

	f = explain_the(&all, "runqueue");
	explain_says(
		f,
		"Without it at most 2.50x (with a CPU whenever one is wanted); with one CPU more at "
		"most 2.50x.");
	f = explain_the(&all, "imbalance"); /* which cannot be left out */
	assert_string_equal(bound_by(f), "shares");
	findings_free(&all);
}

/* By the windows of the trace: where these are other workers than the finding's, they say nothing of it. */
static void test_windows(void **state)
{
	struct replay replay = made_replay();
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	for (size_t lanes = WORKERS - 1; lanes <= WORKERS; lanes++) {
		explain_make(&m);
		m.facts.replay = &replay;
		explain_lose(&m, STACK_IMBALANCE, 400);
		replay.lanes = lanes;
		replay.without[REPLAY_EVEN].least_ns = replay.as_is_ns - 2 * T / 10;
		f = explain_find_the(&m, &all, "imbalance");
		assert_string_equal(bound_by(f), lanes == WORKERS ? "replay" : "shares");
		assert_true(fabs(f->bound - (lanes == WORKERS ? 2 / 0.8 : 2 / 0.9)) < 1e-9);
		findings_free(&all);
	}
}

/* Four work for all of the run, half as long again as in the reference: without that it takes two thirds. */
static void test_inflation(void **state)
{
	static const char text[] = "0 cpu0 snap A tid=1 oncpu\n"
				   "0 cpu1 snap B tid=2 oncpu\n"
				   "0 cpu2 snap C tid=3 oncpu\n"
				   "0 cpu3 snap D tid=4 oncpu\n"
				   "1000000000 cpu0 switch A/X idle\n"
				   "1000000000 cpu1 switch B/X idle\n"
				   "1000000000 cpu2 switch C/X idle\n"
				   "1000000000 cpu3 switch D/X idle\n";
	struct work_window window[WORKERS] = {};
	struct work work = { .window = window, .nr = WORKERS, .lanes = WORKERS };
	struct replay_made played;
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	replay_made_begin(&played);
	played.work = &work;
	trace_text_feed_locks(played.ledger, played.passes, played.locks, text);
	for (size_t i = 0; i < WORKERS; i++)
		window[i] = (struct work_window){ .thread = ledger_thread(played.ledger, i),
						  .end_ns = T };
	replay_made_end(&played, T, WORKERS);
	explain_make(&m);
	m.facts.replay = &played.replay;
	explain_lose(&m, STACK_INFLATION, 1000);
	f = explain_find_the(&m, &all, "inflation");
	assert_string_equal(bound_by(f), "replay");
	assert_true(fabs(f->bound - 3) < 1e-6);
	findings_free(&all);
	replay_made_free(&played);
}

/* Who had the CPU: said where it is known and worth words, and it decides on what would help. */
static void test_others(void **state)
{
	static const struct {
		uint64_t wait_ns, foreign_ns;
		const char *words, *remedy;
	} cases[] = {
		{ 0, 0, NULL, "no more workers than CPUs" },
		{ 1000, 40, NULL, "no more workers than CPUs" },
		{ 1000, 250, "had the CPU for 25.0 % of that time", "no more workers than CPUs" },
		{ 1000, 750, "had the CPU for 75.0 % of that time",
		  "stop or move the other programs" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct finding *f;
		struct findings all;
		struct made m;

		explain_make(&m);
		m.facts.cpus = 1;
		m.run.runq_wait_ns = cases[i].wait_ns;
		m.run.runq_foreign_ns = cases[i].foreign_ns;
		explain_lose(&m, STACK_RUNQ_PREEMPTED, 400);
		f = explain_find_the(&m, &all, "runqueue");
		if (cases[i].words)
			explain_says(f, cases[i].words);
		else
			assert_null(strstr(f->sentence, "no part of the run"));
		assert_non_null(strstr(f->remedy, cases[i].remedy));
		assert_int_equal(json_object_get(f->evidence, "other_programs_percent") != NULL,
				 cases[i].wait_ns > 0);
		findings_free(&all);
	}
}

/* More is saved than the run took (it lies in what came before it), or nothing. */
static void test_extremes(void **state)
{
	struct replay replay = made_replay();
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	for (int i = 0; i < 2; i++) {
		explain_make(&m);
		m.facts.replay = &replay;
		explain_lose(&m, STACK_IO, 1000);
		replay.without[REPLAY_IO].least_ns = i ? 0 : replay.as_is_ns;
		f = explain_find_the(&m, &all, "io");
		assert_true(isfinite(f->bound) && f->bound >= 2);
		assert_true(i || f->bound == 2);
		findings_free(&all);
	}
}

static void test_withheld(void **state)
{
	struct replay replay = { .why = "3.1 % of the threads' time is untracked" };
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.facts.replay = &replay;
	explain_lose(&m, STACK_LOCK, 2000);
	f = explain_find_the(&m, &all, "lock");
	assert_string_equal(bound_by(f), "shares");
	assert_true(fabs(f->bound - 4) < 1e-9);
	assert_string_equal(json_string_value(json_object_get(f->evidence, "replay_withheld")),
			    replay.why);
	assert_null(json_object_get(f->evidence, "replay"));
	findings_free(&all);
}

/* Counts cost nothing known: they come last, and do not hide that nothing was lost. */
static void test_counts(void **state)
{
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.run.voluntary = 90000;
	m.run.involuntary = 10000;
	m.run.migrations = 5000;
	m.run.ledger_ns[CLASS_ONCPU] = 2 * T;
	explain_find(&m, &all);
	assert_int_equal(all.nr, 3);
	assert_string_equal(all.finding[0].cause, "none");
	f = explain_the(&all, "switching");
	explain_says(f, "left a CPU 100000 times, 100000.0 times a second, after 20.0 us");
	explain_says(f, "90.0 % of the times because they waited");
	f = explain_the(&all, "migration");
	explain_says(f, "5000 times, 2500.0 times in each second on a CPU (every 0.40 ms)");
	assert_int_equal(f->lost_ns, 0);
	findings_free(&all);

	m.run.voluntary = m.run.involuntary = 100; /* 10 ms each */
	m.run.migrations = 99;
	explain_find(&m, &all);
	assert_int_equal(all.nr, 1);
	findings_free(&all);
}

/* Where it is measured what a move costs here, there is a bound, and its interval: few of them are then worth a sentence, too. */
static void test_moves(void **state)
{
	struct replay replay = made_replay();
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.facts.replay = &replay;
	m.run.migrations = 40;
	m.run.ledger_ns[CLASS_ONCPU] = 2 * T;
	replay.moves = 38;
	replay.move_cost = (struct cost_range){ true, 41000, 9000, 400000 };
	replay.without[REPLAY_MOVES].expected_ns = replay.as_is_ns - T / 10;
	replay.without[REPLAY_MOVES].least_ns = replay.as_is_ns - T / 5;
	f = explain_find_the(&m, &all, "migration");
	explain_says(f, "41.0 us each on this machine (9.0 to 400.0");
	explain_says(f, "Without them at most 2.50x.");
	assert_true(fabs(f->bound - 2.5) < 1e-9 && f->lost_ns == 0);
	assert_string_equal(bound_by(f), "replay");
	assert_true(fabs(json_real_value(json_object_get(json_object_get(f->evidence, "replay"),
							 "expected_speedup")) -
			 2 / 0.9) < 1e-9);
	findings_free(&all);

	/* of no use, and few */
	replay.without[REPLAY_MOVES].least_ns = replay.as_is_ns - T / 200;
	explain_find(&m, &all);
	assert_null(explain_the(&all, "migration"));
	findings_free(&all);
}

static void test_coordinator_alone(void **state)
{
	const struct finding *f;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_SYNC, 1500);
	m.facts.coordinator_alone_ns = 1500 * MS;
	m.facts.coordinator_alone_wall_ns = 500 * MS;
	f = explain_find_the(&m, &all, "serial");
	assert_int_equal(f->lost_ns, 1500 * MS);
	explain_says(f, "for 50.0 % of the run only what starts the workers runs");
	/* Amdahl's law: half of the run alone, the rest on four: divided too it takes 5/8 of the time */
	assert_true(fabs(f->bound - 2 / 0.625) < 1e-9);
	assert_null(explain_the(&all, "sync"));
	findings_free(&all);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),    cmocka_unit_test(test_windows),
		cmocka_unit_test(test_inflation), cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_withheld),  cmocka_unit_test(test_counts),
		cmocka_unit_test(test_moves),     cmocka_unit_test(test_coordinator_alone),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
