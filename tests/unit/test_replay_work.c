// SPDX-License-Identifier: GPL-2.0-only
/* The run played again with its work done otherwise: divided, started at once, or shorter. Small traces whose answer can be read off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>

#include "replay_help.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* By whom, since when and until when the work is done. */
struct works {
	size_t thread;
	uint64_t begin_ns, end_ns;
	bool coordinator;
};

/* A works alone for 200, and for 50 in the end; between, B and C for 400 each. To start them takes A 50. */
#define STARTS_TWO                      \
	"100 cpu0 snap A tid=1 oncpu\n" \
	"300 cpu0 fork A > B tid=2\n"   \
	"300 cpu0 wakeup B new on=1\n"  \
	"300 cpu1 switch idle B\n"      \
	"340 cpu0 fork A > C tid=3\n"   \
	"340 cpu0 wakeup C new\n"       \
	"350 cpu0 switch A/S:wait4 C\n" \
	"700 cpu1 switch B/X idle\n"    \
	"750 cpu0 wake A by C task\n"   \
	"750 cpu0 switch C/X A\n"       \
	"800 cpu0 switch A/X idle\n"
#define STARTS_IN_TURNS                     \
	"100 cpu0 snap A tid=1 oncpu\n"     \
	"300 cpu0 fork A > B tid=2\n"       \
	"300 cpu0 wakeup B new on=1\n"      \
	"300 cpu1 switch idle B\n"          \
	"400 cpu1 switch B/X idle\n"        \
	"500 cpu0 fork A > C tid=3\n"       \
	"500 cpu0 wakeup C new on=1\n"      \
	"500 cpu1 switch idle C\n"          \
	"500 cpu0 switch A/S:wait4 idle\n"  \
	"600 cpu1 wake A by C task why=1\n" \
	"600 cpu0 switch idle A\n"          \
	"600 cpu1 switch C/X idle\n"        \
	"650 cpu0 fork A > D tid=4\n"       \
	"650 cpu0 wakeup D new on=1\n"      \
	"650 cpu1 switch idle D\n"          \
	"660 cpu0 switch A/X idle\n"        \
	"800 cpu1 switch D/X idle\n"
#define STARTS_TWO_WORKS                                                              \
	{                                                                             \
		{ 0, 100, 300, true }, { 0, 750, 800, true }, { 1, 300, 700, false }, \
			{ 2, 340, 750, false },                                       \
	}

static const struct {
	const char *name, *text;
	struct works works[4];
	size_t nr, lanes;
	enum replay_what what;
	uint64_t end_ns, expected_ns, least_ns; /* 0: it is not made */
} works[] = {
	{ "what one does alone is divided by two: 100 and 25, and B and C begin at once",
	  STARTS_TWO, STARTS_TWO_WORKS, 4, 2, REPLAY_SERIAL, 800, 525, 525 },
	{ "starting them takes no time: both begin at once", STARTS_TWO, STARTS_TWO_WORKS, 4, 2,
	  REPLAY_SPAWN, 800, 650, 650 },
	{ "... but what it starts behind a wait: C is there at 300, D when C has ended",
	  STARTS_IN_TURNS,
	  { { 0, 100, 300, true },
	    { 1, 300, 400, false },
	    { 2, 500, 600, false },
	    { 3, 650, 800, false } },
	  4,
	  2,
	  REPLAY_SPAWN,
	  800,
	  450,
	  450 },
	{ "who works while it starts others may spend any of its work on that",
	  STARTS_IN_TURNS,
	  { { 0, 100, 660, false },
	    { 1, 300, 400, false },
	    { 2, 500, 600, false },
	    { 3, 650, 800, false } },
	  4,
	  2,
	  REPLAY_SPAWN,
	  800,
	  0,
	  0 },
	{ "there is one lane: nothing to divide by", STARTS_TWO, STARTS_TWO_WORKS, 4, 1,
	  REPLAY_SERIAL, 800, 0, 0 },
	{ "900 and 200: 550 each",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "300 cpu1 switch B/X idle\n"
	  "1000 cpu0 switch A/X idle\n",
	  { { 0, 100, 1000, false }, { 1, 100, 300, false } },
	  2,
	  2,
	  REPLAY_EVEN,
	  1000,
	  550,
	  550 },
	{ "who begins 100 later does 100 less: 600 and 500, and what A does before it starts B is shorter, too",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "200 cpu0 fork A > B tid=2\n"
	  "200 cpu0 wakeup B new on=1\n"
	  "200 cpu1 switch idle B\n"
	  "400 cpu1 switch B/X idle\n"
	  "1000 cpu0 switch A/X idle\n",
	  { { 0, 100, 1000, false }, { 1, 200, 400, false } },
	  2,
	  2,
	  REPLAY_EVEN,
	  1000,
	  599,
	  599 },
	{ "one after the other: there was nothing to divide",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "300 cpu0 fork A > B tid=2\n"
	  "300 cpu0 wakeup B new on=1\n"
	  "300 cpu0 switch A/X idle\n"
	  "300 cpu1 switch idle B\n"
	  "900 cpu1 switch B/X idle\n",
	  { { 0, 100, 300, false }, { 1, 300, 900, false } },
	  2,
	  2,
	  REPLAY_EVEN,
	  900,
	  0,
	  0 },
};

static void fill_windows(const struct replay_made *m, const struct works *by, size_t nr,
			 struct work_window *ret_windows)
{
	for (size_t n = 0; n < nr; n++)
		ret_windows[n] =
			(struct work_window){ .thread = ledger_thread(m->ledger, by[n].thread),
					      .begin_ns = by[n].begin_ns,
					      .end_ns = by[n].end_ns,
					      .coordinator = by[n].coordinator };
}

static void test_works(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(works); i++) {
		struct work_window window[LEN(works[0].works)];
		struct work work = { .window = window, .nr = works[i].nr, .lanes = works[i].lanes };
		const struct replay_time *got;
		struct replay_made m;

		replay_made_begin(&m);
		m.work = &work;
		trace_text_feed_locks(m.ledger, m.passes, m.locks, works[i].text);
		fill_windows(&m, works[i].works, works[i].nr, window);
		replay_made_end(&m, works[i].end_ns, 2);
		got = &m.replay.without[works[i].what];
		if (!m.replay.good || got->made != (works[i].expected_ns > 0) ||
		    got->expected_ns != works[i].expected_ns || got->least_ns != works[i].least_ns)
			fail_msg("%s: %s%" PRIu64 ", at least %" PRIu64, works[i].name,
				 m.replay.why, got->expected_ns, got->least_ns);
		replay_made_free(&m);
	}
}

/* The workers' time on a CPU is half as long: 200 of B and of C, and A's 300 as they were. Not where nobody knows who works. */
static void test_shorter(void **state)
{
	static const struct works works_of[] = STARTS_TWO_WORKS;
	struct work_window window[LEN(works_of)];
	struct work work = { .window = window, .nr = LEN(works_of), .lanes = 2 };
	struct replay_time t;
	struct replay_made m;

	(void)state;
	for (int known = 0; known < 2; known++) {
		replay_made_begin(&m);
		m.work = known ? &work : NULL;
		trace_text_feed_locks(m.ledger, m.passes, m.locks, STARTS_TWO);
		fill_windows(&m, works_of, LEN(works_of), window);
		replay_made_end(&m, 800, 2);
		assert_int_equal(replay_shorter(&m.replay, 2, &t), 0);
		assert_int_equal(t.made, known);
		assert_int_equal(t.expected_ns, known ? 500 : 0);
		assert_int_equal(t.least_ns, known ? 490 : 0);
		assert_int_equal(replay_shorter(&m.replay, 0.5, &t), 0);
		assert_false(t.made);
		replay_made_free(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_works),
		cmocka_unit_test(test_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
