// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trace whose beginning was let go of (record --keep): what it tells of the time from there on is what the whole one tells. Lines with
 * "!" are what was let go of: they happened, and count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000
#define FROM_NS 510

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "who is on a CPU",
	  "!100 cpu0 switch idle A\n"
	  "500 cpu3 snap A known oncpu\n"
	  "600 cpu0 switch A/S:nanosleep idle\n",
	  "A 500-1000 oncpu=100 sleep=400 v=1 i=0\n" },
	{ "who waits, and is woken by its own number",
	  "!100 cpu0 switch A/S:read idle\n"
	  "500 cpu3 snap A known blocked S:read\n"
	  "600 cpu0 wake A by idle hardirq\n"
	  "650 cpu0 switch idle A\n",
	  "A 500-1000 oncpu=350 runq_wakeup=50 io=100 v=0 i=0\n" },
	{ "who is ready since it lost its CPU",
	  "!100 cpu0 switch A/P u9\n"
	  "500 cpu3 snap A ready preempted\n"
	  "600 cpu0 switch u9 A\n",
	  "A 500-1000 oncpu=400 runq_preempted=100 v=0 i=0\n" },
	{ "who is ready since it was woken",
	  "!100 cpu0 switch A/S:read idle\n"
	  "!200 cpu0 wake A by u9\n"
	  "500 cpu3 snap A ready\n"
	  "600 cpu0 switch u9 A\n",
	  "A 500-1000 oncpu=400 runq_wakeup=100 v=0 i=0\n" },
	{ "whose quota is used up",
	  "!100 cpu0 switch A/Q u9\n"
	  "500 cpu3 snap A ready preempted throttled\n"
	  "600 cpu0 switch u9 A\n",
	  "A 500-1000 oncpu=400 throttled=100 v=0 i=0\n" },
	{ "who changed while it was looked at is not known until its next event",
	  "!100 cpu0 switch idle A\n"
	  "500 cpu3 snap A queued\n"
	  "600 cpu0 switch A/S:nanosleep idle\n",
	  "A 500-1000 sleep=400 untracked=100 v=1 i=0\n" },
	{ "what stands before its snapshot is of the part that was let go of",
	  "!100 cpu0 switch idle A\n"
	  "!200 cpu0 switch A/S:read idle\n"
	  "490 cpu0 wake A by u9\n"
	  "495 cpu0 switch idle A\n"
	  "498 cpu0 switch A/P u9\n"
	  "500 cpu3 snap A ready preempted\n"
	  "600 cpu0 switch u9 A\n",
	  "A 500-1000 oncpu=400 runq_preempted=100 v=0 i=0\n" },
	{ "who ended before has no place in it",
	  "!100 cpu0 switch idle A\n"
	  "490 cpu0 exit A\n"
	  "495 cpu0 switch A/X idle\n"
	  "500 cpu3 snap B known oncpu\n",
	  "B 500-1000 oncpu=500 v=0 i=0\n" },
	{ "who is new meanwhile is told of twice",
	  "500 cpu3 snap A known oncpu\n"
	  "502 cpu0 fork A > B tid=8\n"
	  "503 cpu0 wakeup B new\n"
	  "505 cpu1 switch idle B\n"
	  "506 cpu3 snap B known oncpu\n"
	  "700 cpu1 switch B/X idle\n",
	  "A 500-1000 oncpu=500 v=0 i=0\n"
	  "B 502-700 oncpu=195 runq_wakeup=3 v=1 i=0\n" },
	{ "a switch that was lost between is not hidden",
	  "!100 cpu0 switch idle A\n"
	  "500 cpu0 snap A known oncpu\n"
	  "!600 cpu0 switch A/S:read idle\n"
	  "!620 cpu0 wake A by idle hardirq\n"
	  "!630 cpu0 switch idle A\n"
	  "650 cpu0 lost 590 640 3\n"
	  "700 cpu0 switch A/S:nanosleep idle\n",
	  "A 500-1000 untracked=500 v=1 i=0\n" },
};

static void test_cases(void **state)
{
	unsigned int failed = 0;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct ledger *l = NULL;
		struct err err;
		char *said;

		assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
		ledger_cut(l, FROM_NS, 0);
		trace_text_feed(l, cases[i].text);
		ledger_finish(l, END_NS);
		said = trace_text_show(l);
		/* threads of before have no life here: they are not shown, or as empty ones */
		if (!strstr(said, cases[i].expected) ||
		    (strchr(said, 'A') && cases[i].expected[0] == 'B' && !strstr(said, "A 0-0"))) {
			print_error("%s:\n got      %s expected %s", cases[i].name, said,
				    cases[i].expected);
			failed++;
		}
		free(said);
		ledger_free(l);
	}
	assert_int_equal(failed, 0);
}

/* Books of before are of no use; those of a later place where a trace could begin change nothing. */
static void test_books(void **state)
{
	static const char text[] = "!100 cpu0 switch idle A\n"
				   "490 cpu0 switch A/P u9\n"
				   "490 cpu0 books A first v=5 i=6 m=0 exec=400 delay=50\n"
				   "495 cpu0 switch u9 A\n"
				   "500 cpu3 snap A known oncpu\n"
				   "600 cpu0 switch A/P u9\n"
				   "600 cpu0 books A first v=5 i=7 m=0 exec=505 delay=55\n"
				   "650 cpu0 switch u9 A\n"
				   "700 cpu0 switch A/S:nanosleep idle\n"
				   "700 cpu0 books A first v=6 i=7 m=0 exec=555 delay=105\n"
				   "800 cpu0 books A end v=6 i=7 m=0 exec=555 delay=105\n";
	const struct thread *t;
	struct ledger *l = NULL;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	ledger_cut(l, FROM_NS, 0);
	trace_text_feed(l, text);
	ledger_finish(l, END_NS);
	t = ledger_find(l, 1);
	assert_non_null(t);
	assert_int_equal(t->first_ns, 600);
	assert_int_equal(t->first.nvcsw, 5);
	assert_int_equal(t->first.nivcsw, 7);
	assert_int_equal(t->last.nvcsw - t->first.nvcsw, t->audited.voluntary);
	assert_int_equal(t->last.nivcsw - t->first.nivcsw, t->audited.involuntary);
	assert_int_equal(t->last.exec_ns - t->first.exec_ns, t->audited.oncpu_ns);
	assert_int_equal(t->last.delay_ns - t->first.delay_ns, t->audited.runq_ns);
	ledger_free(l);
}

/* After a million threads a new one has a number that no short trace has; a number beyond all is still refused. */
static void test_serials(void **state)
{
	struct ev_thread rec = { .w0 = EV_WORD0(505, sizeof(rec) / 8, EV_FORK, 0),
				 .tid = 7,
				 .tgid = 7 };
	struct trace_event ev = { .time_ns = 505, .cpu = 0, .rec = (const uint64_t *)&rec };
	struct ledger *l = NULL;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	ledger_cut(l, FROM_NS, 1000000);
	rec.who = 1000001;
	assert_int_equal(ledger_event(l, &ev), 0);
	assert_int_equal(ledger_nr_threads(l), 1);
	rec.who = 3;
	assert_int_equal(ledger_event(l, &ev), 0);
	assert_int_equal(ledger_nr_threads(l), 2);
	assert_int_equal(ledger_malformed(l), 0);
	rec.who = 0x7ffffffe;
	assert_int_equal(ledger_event(l, &ev), 0);
	assert_int_equal(ledger_nr_threads(l), 2);
	assert_int_equal(ledger_malformed(l), 1);
	ledger_finish(l, END_NS);
	ledger_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_books),
		cmocka_unit_test(test_serials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
