// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run played again: small traces whose answer can be read off, and properties over random ones:
 *
 *   as it was     comes out at the time measured, to the nanosecond
 *   without X     never takes longer; and no longer than `expected` is what no scheduler could beat
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/passes.h"
#include "analysis/replay.h"
#include "analysis/work.h"
#include "replay_help.h"
#include "sched_sim.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define MUTEX_A "addr=4096 owner=1,1,0\n"

/* Runs that several cases look at. */
#define WAITS_FOR_A_LOCK                                               \
	"100 cpu0 snap A tid=1 oncpu\n"                                \
	"100 cpu1 snap B tid=2 oncpu\n"                                \
	"200 cpu1 futex B " MUTEX_A "200 cpu1 switch B/S:futex idle\n" \
	"500 cpu0 wake B by A task why=1\n"                            \
	"510 cpu1 switch idle B\n"                                     \
	"600 cpu0 switch A/X idle\n"                                   \
	"900 cpu1 switch B/X idle\n"
#define WAITS_FOR_WORK                      \
	"100 cpu0 snap A tid=1 oncpu\n"     \
	"100 cpu1 snap B tid=2 oncpu\n"     \
	"200 cpu1 switch B/S:wait4 idle\n"  \
	"500 cpu0 wake B by A task why=1\n" \
	"510 cpu1 switch idle B\n"          \
	"600 cpu0 switch A/X idle\n"        \
	"900 cpu1 switch B/X idle\n"
/* A runs for 300, B for 100 and waits, twice; then 100 of both. */
#define SLOWER_AT_A_BARRIER                 \
	"100 cpu0 snap A tid=1 oncpu\n"     \
	"100 cpu1 snap B tid=2 oncpu\n"     \
	"200 cpu1 switch B/S:wait4 idle\n"  \
	"400 cpu0 wake B by A task why=1\n" \
	"400 cpu1 switch idle B\n"          \
	"500 cpu1 switch B/S:wait4 idle\n"  \
	"700 cpu0 wake B by A task why=1\n" \
	"700 cpu1 switch idle B\n"          \
	"800 cpu0 switch A/X idle\n"        \
	"800 cpu1 switch B/X idle\n"
#define AMDAHL_ON_ONE_CPU               \
	"100 cpu0 snap A tid=1 oncpu\n" \
	"100 cpu0 task A cpus=1\n"      \
	"300 cpu0 fork A > B tid=2\n"   \
	"300 cpu0 task B cpus=1\n"      \
	"300 cpu0 wakeup B new\n"       \
	"400 cpu0 switch A/P B\n"       \
	"500 cpu0 switch B/P A\n"       \
	"600 cpu0 switch A/P B\n"       \
	"700 cpu0 switch B/P A\n"       \
	"800 cpu0 switch A/S:futex B\n" \
	"900 cpu0 wake A by B task\n"   \
	"900 cpu0 switch B/X A\n"       \
	"1000 cpu0 switch A/X idle\n"
#define WOKEN_ON_ITS_WAY                                            \
	"100 cpu0 snap A tid=1 oncpu\n"                             \
	"100 cpu1 snap B tid=2 oncpu\n"                             \
	"100 cpu1 fork B > C tid=3\n"                               \
	"100 cpu1 wakeup C new\n"                                   \
	"200 cpu0 wake B by A task oncpu\n"                         \
	"210 cpu1 futex B " MUTEX_A "210 cpu1 switch B/S:futex C\n" \
	"300 cpu0 switch A/X idle\n"                                \
	"500 cpu1 switch C/X B\n"                                   \
	"900 cpu1 switch B/X idle\n"
#define THREE_ON_TWO_CPUS                 \
	"100 cpu0 snap A tid=1 oncpu\n"   \
	"100 cpu1 snap B tid=2 oncpu\n"   \
	"100 cpu1 fork B > C tid=3\n"     \
	"100 cpu1 wakeup C new\n"         \
	"200 cpu1 switch B/P C\n"         \
	"300 cpu0 switch A/X idle\n"      \
	"300 cpu0 migrate B 1 0 queued\n" \
	"300 cpu0 switch idle B\n"        \
	"400 cpu0 switch B/X idle\n"      \
	"400 cpu1 switch C/X idle\n"

static const struct {
	const char *name;
	unsigned int cpus;
	const char *text;
	enum replay_what what;
	uint64_t end_ns, measured_ns, expected_ns, least_ns;
} cases[] = {
	{ "two threads and a lock: the one waits no more, the other one's work is left", 2,
	  WAITS_FOR_A_LOCK, REPLAY_LOCK, 900, 800, 500, 500 },
	{ "the same without waiting for others' work: it was for a lock", 2, WAITS_FOR_A_LOCK,
	  REPLAY_SYNC, 900, 800, 800, 800 },
	{ "one waits for the other's work instead", 2, WAITS_FOR_WORK, REPLAY_SYNC, 900, 800, 500,
	  500 },
	{ "who sleeps is waited for: without that, both are done earlier", 2,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "200 cpu1 switch B/S:wait4 idle\n"
	  "300 cpu0 switch A/S:nanosleep idle\n"
	  "700 cpu0 wake A by idle hardirq\n"
	  "700 cpu0 switch idle A\n"
	  "800 cpu0 wake B by A task why=1\n"
	  "800 cpu1 switch idle B\n"
	  "900 cpu0 switch A/X idle\n"
	  "900 cpu1 switch B/X idle\n",
	  REPLAY_SLEEP, 900, 800, 400, 400 },
	{ "each in turn waits at a barrier for the slower one, which is always the same", 2,
	  SLOWER_AT_A_BARRIER, REPLAY_SYNC, 800, 700, 700, 700 },
	{ "the same without I/O: there was none", 2, WAITS_FOR_A_LOCK, REPLAY_IO, 900, 800, 800,
	  800 },
	{ "Amdahl's law: 200 and 100 alone, 600 divided by two CPUs instead of one", 2,
	  AMDAHL_ON_ONE_CPU, REPLAY_ONE_MORE, 1000, 900, 600, 600 },
	{ "the same with a CPU whenever one is wanted", 2, AMDAHL_ON_ONE_CPU, REPLAY_RUNQUEUE, 1000,
	  900, 600, 600 },
	{ "a chain of wake-ups moves as a whole: the disk's 200 and 20 of waiting for a CPU behind it",
	  2,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 blocked S:futex\n"
	  "100 cpu1 snap C tid=3 blocked S:futex\n"
	  "200 cpu0 switch A/I:read idle\n"
	  "400 cpu0 wake A by idle hardirq\n"
	  "420 cpu0 switch idle A\n"
	  "500 cpu0 wake B by A task\n"
	  "500 cpu0 switch A/X idle\n"
	  "510 cpu1 switch idle B\n"
	  "600 cpu1 wake C by B task\n"
	  "600 cpu1 switch B/X idle\n"
	  "620 cpu1 switch idle C\n"
	  "900 cpu1 switch C/X idle\n",
	  REPLAY_IO, 900, 800, 580, 580 },
	{ "who is woken before it waits does not wait: B's lock is free 290 earlier, A still works for 350",
	  3,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "100 cpu2 snap C tid=3 oncpu\n"
	  "110 cpu1 futex B addr=4096 owner=3,1,0\n"
	  "110 cpu1 switch B/S:futex idle\n"
	  "400 cpu2 wake B by C task why=1\n"
	  "400 cpu1 switch idle B\n"
	  "400 cpu2 switch C/X idle\n"
	  "450 cpu0 switch A/S:futex idle\n"
	  "500 cpu1 wake A by B task\n"
	  "500 cpu0 switch idle A\n"
	  "500 cpu1 switch B/X idle\n"
	  "600 cpu0 switch A/X idle\n",
	  REPLAY_LOCK, 600, 500, 450, 450 },
	{ "who is woken on its way to sleep for a lock has given up its CPU: without the lock B keeps it, and C has the next",
	  2, WOKEN_ON_ITS_WAY, REPLAY_LOCK, 900, 800, 510, 510 },
	{ "... without another's: it waits for no lock of the kernel", 2, WOKEN_ON_ITS_WAY,
	  REPLAY_KLOCK, 900, 800, 800, 710 },
	{ "one CPU less: the work of two is done by one", 2,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "500 cpu0 switch A/X idle\n"
	  "500 cpu1 switch B/X idle\n",
	  REPLAY_ONE_LESS, 500, 400, 800, 800 },
	{ "one CPU more: a program that is not recorded may be in the way there too, or not", 1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "300 cpu0 switch u9 A\n"
	  "500 cpu0 switch A/X idle\n",
	  REPLAY_ONE_MORE, 500, 400, 400, 300 },
	{ "a CPU at once does", 1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "300 cpu0 switch u9 A\n"
	  "500 cpu0 switch A/X idle\n",
	  REPLAY_RUNQUEUE, 500, 400, 300, 300 },
	{ "a timer takes its time", 1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/S:nanosleep idle\n"
	  "300 cpu0 wake A by idle hardirq\n"
	  "310 cpu0 switch idle A\n"
	  "400 cpu0 switch A/I:read idle\n"
	  "450 cpu0 wake A by idle hardirq\n"
	  "450 cpu0 switch idle A\n"
	  "500 cpu0 switch A/X idle\n",
	  REPLAY_IO, 500, 400, 350, 350 },
	{ "without moves: the time on a CPU behind one is shorter by 10, by 20 at most", 2,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/S:nanosleep idle\n"
	  "300 cpu1 wake A by idle hardirq\n"
	  "300 cpu1 migrate A 0 1\n"
	  "300 cpu1 switch idle A\n"
	  "400 cpu1 switch A/X idle\n",
	  REPLAY_MOVES, 400, 300, 290, 280 },
	{ "... by no more than it is long; where a new thread is put is no move", 2,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "150 cpu0 fork A > B tid=2\n"
	  "150 cpu0 migrate B 0 1\n"
	  "150 cpu0 wakeup B new\n"
	  "150 cpu1 switch idle B\n"
	  "200 cpu0 switch A/S:nanosleep idle\n"
	  "300 cpu1 switch B/X idle\n"
	  "300 cpu1 wake A by idle hardirq\n"
	  "300 cpu1 migrate A 0 1\n"
	  "300 cpu1 switch idle A\n"
	  "305 cpu1 switch A/S:nanosleep idle\n"
	  "405 cpu1 wake A by idle hardirq\n"
	  "405 cpu1 switch idle A\n"
	  "500 cpu1 switch A/X idle\n",
	  REPLAY_MOVES, 500, 400, 395, 395 },
	{ "three on two CPUs, each on one: the first and the third share theirs", 2,
	  THREE_ON_TWO_CPUS, REPLAY_PINNED, 400, 300, 400, 400 },
	{ "... without moves: the second one's end alone is no shorter run", 2, THREE_ON_TWO_CPUS,
	  REPLAY_MOVES, 400, 300, 300, 290 },
	{ "before others: behind them it waited 100 when it lost its CPU, and perhaps the 50 after a wake-up",
	  1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "300 cpu0 switch u9 A\n"
	  "350 cpu0 switch A/S:nanosleep u9\n"
	  "400 cpu0 wake A by idle hardirq\n"
	  "450 cpu0 switch u9 A\n"
	  "500 cpu0 switch A/X idle\n",
	  REPLAY_FIRST, 500, 400, 300, 250 },
	{ "... what threads of its own take from it stays", 1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu0 fork A > B tid=2\n"
	  "100 cpu0 wakeup B new\n"
	  "200 cpu0 switch A/P B\n"
	  "300 cpu0 switch B/P A\n"
	  "400 cpu0 switch A/X B\n"
	  "500 cpu0 switch B/X idle\n",
	  REPLAY_FIRST, 500, 400, 400, 400 },
	{ "what it waits for when the recording ends is no part of it, the time until then is", 1,
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 switch A/I:read idle\n"
	  "300 cpu0 wake A by idle hardirq\n"
	  "300 cpu0 switch idle A\n"
	  "400 cpu0 switch A/I:read idle\n",
	  REPLAY_IO, 700, 600, 500, 500 },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		const struct replay_time *got;
		struct replay_made m;

		replay_made_begin(&m);
		trace_text_feed_locks(m.ledger, m.passes, m.locks, cases[i].text);
		replay_made_end(&m, cases[i].end_ns, cases[i].cpus);
		got = &m.replay.without[cases[i].what];
		if (!m.replay.good)
			fail_msg("%s: %s", cases[i].name, m.replay.why);
		if (m.replay.measured_ns != cases[i].measured_ns ||
		    m.replay.as_is_ns != cases[i].measured_ns ||
		    got->expected_ns != cases[i].expected_ns ||
		    got->least_ns != cases[i].least_ns || !got->made)
			fail_msg("%s: measured %" PRIu64 ", as it was %" PRIu64 ", without %" PRIu64
				 ", at least %" PRIu64,
				 cases[i].name, m.replay.measured_ns, m.replay.as_is_ns,
				 got->expected_ns, got->least_ns);
		replay_made_free(&m);
	}
}

/* Where nobody measured what a move costs, nothing is said of a run without moves; threads on one CPU each are played all the same. */
static void test_no_costs(void **state)
{
	struct replay_made m;

	(void)state;
	replay_made_begin(&m);
	m.costs = NULL;
	trace_text_feed_locks(m.ledger, m.passes, m.locks,
			      "100 cpu0 snap A tid=1 oncpu\n"
			      "200 cpu0 switch A/S:nanosleep idle\n"
			      "300 cpu1 wake A by idle hardirq\n"
			      "300 cpu1 migrate A 0 1\n"
			      "300 cpu1 switch idle A\n"
			      "400 cpu1 switch A/X idle\n");
	replay_made_end(&m, 400, 2);
	assert_true(m.replay.good && m.replay.moves == 1 && !m.replay.move_cost.known);
	assert_false(m.replay.without[REPLAY_MOVES].made);
	assert_int_equal(m.replay.without[REPLAY_PINNED].expected_ns, 300);
	assert_int_equal(m.replay.without[REPLAY_PINNED].least_ns, 300);
	replay_made_free(&m);
}

/* Two locks: without the one the other one's waits stay. */
/* What a thread waits for while it does not work is no loss, and stays. */
static void test_coordinator(void **state)
{
	struct work_window window = { .begin_ns = 100, .end_ns = 600 };
	struct work work = { .window = &window, .nr = 1 };

	(void)state;
	for (int works = 0; works < 2; works++) {
		struct replay_made m;

		replay_made_begin(&m);
		m.work = &work;
		trace_text_feed_locks(m.ledger, m.passes, m.locks, WAITS_FOR_WORK);
		/* A's only, or B's only: B waits */
		window.thread = ledger_thread(m.ledger, (size_t)works);
		replay_made_end(&m, 900, 2);
		assert_true(m.replay.good);
		assert_int_equal(m.replay.without[REPLAY_SYNC].least_ns, works ? 500 : 800);
		replay_made_free(&m);
	}
}

static void test_one_lock(void **state)
{
	struct replay_made m;

	(void)state;
	replay_made_begin(&m);
	trace_text_feed_locks(m.ledger, m.passes, m.locks,
			      "100 cpu0 snap A tid=1 oncpu\n"
			      "100 cpu1 snap B tid=2 oncpu\n"
			      "200 cpu1 futex B " MUTEX_A "200 cpu1 switch B/S:futex idle\n"
			      "500 cpu0 wake B by A task why=1\n"
			      "500 cpu1 switch idle B\n"
			      "600 cpu1 futex B addr=8192 owner=1,1,0\n"
			      "600 cpu1 switch B/S:futex idle\n"
			      "700 cpu0 wake B by A task why=1\n"
			      "700 cpu1 switch idle B\n"
			      "700 cpu0 switch A/X idle\n"
			      "900 cpu1 switch B/X idle\n");
	replay_made_end(&m, 900, 2);
	assert_true(m.replay.good);
	assert_int_equal(m.replay.nr_locks, 2);
	assert_int_equal(m.replay.lock[0].wait_ns, 300);
	/* 200 of B, then the second lock, which A keeps until 600 after the beginning */
	assert_int_equal(m.replay.lock[0].without.expected_ns, 800);
	assert_int_equal(m.replay.lock[1].without.expected_ns, 700);
	assert_int_equal(m.replay.without[REPLAY_LOCK].expected_ns, 600);
	assert_int_equal(m.replay.edges, 2);
	replay_made_free(&m);
}

static const struct {
	const char *text, *why;
} refused[] = {
	{ "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "500 cpu0 switch A/X idle\n"
	  "500 cpu1 switch B/X idle\n",
	  "played again as it was" }, /* two at once on what is told to be one CPU */
	{ "100 cpu0 snap A tid=1 oncpu\n"
	  "!200 cpu0 switch A/S:futex idle\n"
	  "!300 cpu0 wake A by u9 task\n"
	  "!300 cpu0 switch idle A\n"
	  "400 cpu0 lost 200 300 3\n"
	  "450 cpu0 switch A/P u9\n"
	  "500 cpu0 switch u9 A\n",
	  "untracked" },
	{ "", "no scheduler events" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(refused); i++) {
		struct replay_made m;

		replay_made_begin(&m);
		trace_text_feed_locks(m.ledger, m.passes, m.locks, refused[i].text);
		replay_made_end(&m, 500, 1);
		if (m.replay.good)
			fail_msg("case %zu was replayed: %" PRIu64 " of %" PRIu64, i,
				 m.replay.as_is_ns, m.replay.measured_ns);
		if (!strstr(m.replay.why, refused[i].why))
			fail_msg("\"%s\" is not about: %s", m.replay.why, refused[i].why);
		replay_made_free(&m);
	}
}

static unsigned int nr_good, nr_shorter, nr_by_work;

/* Every thread works all its life; every fifth only coordinates. */
static void make_work(struct replay_made *m, struct work *work)
{
	size_t nr = ledger_nr_threads(m->ledger);

	*work = (struct work){ .window = calloc(nr + 1, sizeof(*work->window)), .nr = nr };
	assert_non_null(work->window);
	for (size_t i = 0; i < nr; i++) {
		bool coordinator = i % 5 == 4;

		work->window[i] = (struct work_window){ .thread = ledger_thread(m->ledger, i),
							.end_ns = UINT64_MAX,
							.coordinator = coordinator };
		work->lanes += !coordinator;
	}
	m->work = work;
}

static void run_random(struct sim_options opt)
{
	bool known = !opt.drops && !opt.ties && !opt.holes;
	struct sim_result sim;
	struct work work = {};
	struct replay_made m;

	sim_run(&opt, &sim);
	replay_made_begin(&m);
	for (size_t i = 0; i < sim.nr; i++) {
		struct trace_event ev = { sim.event[i].time_ns, sim.event[i].cpu,
					  sim.event[i].rec };

		assert_int_equal(locks_before(m.locks, &ev), 0);
		assert_int_equal(passes_event(m.passes, &ev), 0);
		assert_int_equal(ledger_event(m.ledger, &ev), 0);
		assert_int_equal(locks_after(m.locks, &ev), 0);
	}
	if (opt.seed % 2)
		make_work(&m, &work);
	replay_made_end(&m, sim.end_ns, SIM_CPUS);
	if (known && (!m.replay.good || m.replay.as_is_ns != m.replay.measured_ns))
		fail_msg("seed %" PRIu64 ": %" PRIu64 " of %" PRIu64 " %s", opt.seed,
			 m.replay.as_is_ns, m.replay.measured_ns, m.replay.why);
	assert_true(m.replay.good == !*m.replay.why);
	nr_good += m.replay.good;
	for (int what = 0; m.replay.good && what < REPLAY_NR; what++) {
		const struct replay_time *t = &m.replay.without[what];

		bool by_work = what == REPLAY_SERIAL || what == REPLAY_EVEN || what == REPLAY_SPAWN;

		assert_true(by_work || t->made);
		assert_true(m.work || !by_work || !t->made);
		nr_by_work += by_work && t->made;
		assert_true(t->least_ns <= t->expected_ns);
		if (what != REPLAY_ONE_LESS && what != REPLAY_PINNED)
			assert_true(t->expected_ns <= m.replay.as_is_ns);
		nr_shorter += t->made && t->expected_ns < m.replay.as_is_ns;
	}
	free(work.window);
	replay_made_free(&m);
	sim_free(&sim);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		run_random((struct sim_options){ .seed = seed, .steps = 800, .locks = true });
		run_random((struct sim_options){ .seed = seed, .steps = 800, .holes = true });
		run_random((struct sim_options){
			.seed = seed, .steps = 800, .drops = true, .ties = true, .locks = true });
	}
	assert_true(nr_good >= 300);
	assert_true(nr_shorter > 300 && nr_by_work > 100);
	print_message("           %u replayed, %u times something was shorter\n", nr_good,
		      nr_shorter);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),    cmocka_unit_test(test_no_costs),
		cmocka_unit_test(test_one_lock), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random),   cmocka_unit_test(test_coordinator),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
