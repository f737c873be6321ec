// SPDX-License-Identifier: GPL-2.0-only
/* The ledger, rule by rule: small traces as text, and what it must say about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/ledger.h"
#include "base/cleanup.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "block, wake, run",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/S:nanosleep idle\n"
	  "500 cpu0 wake A by idle\n"
	  "540 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=560 runq_wakeup=40 sleep=300 v=1 i=0\n" },
	{ "preempted, at a tick and by preempt; a yield",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "300 cpu0 switch u9 A\n"
	  "400 cpu0 switch A/R u9\n"
	  "450 cpu0 switch u9 A\n"
	  "500 cpu0 switch A/Y u9\n"
	  "520 cpu0 switch u9 A\n",
	  "A 100-1000 oncpu=730 runq_preempted=170 v=0 i=3\n" },
	{ "throttled until it runs again",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/Q idle\n"
	  "700 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=400 throttled=500 v=0 i=1\n" },
	{ "woken into a throttled cgroup",
	  "100 cpu0 snap A blocked S:read\n"
	  "200 cpu1 wake A by idle\n"
	  "230 cpu0 wakeup A throttled\n"
	  "600 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=400 runq_wakeup=30 throttled=370 io=100 v=0 i=0\n" },
	{ "a new thread: from fork to running is runq_wakeup",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 fork A > B\n"
	  "250 cpu0 wakeup B new\n"
	  "400 cpu1 switch idle B\n"
	  "600 cpu1 switch B/X idle\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n"
	  "B 200-600 oncpu=200 runq_wakeup=200 v=1 i=0\n" },
	{ "wake-up before its switch-out: blocked for no time",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu1 wake A by idle oncpu\n"
	  "210 cpu0 switch A/S:futex idle\n"
	  "300 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=810 runq_wakeup=90 v=1 i=0\n" },
	{ "the same, the switch-out already counted",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu1 wake A by idle seq=1\n"
	  "210 cpu0 switch A/S:futex idle\n"
	  "300 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=810 runq_wakeup=90 v=1 i=0\n" },
	{ "wake-up just after its switch-out, still on its CPU",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "205 cpu1 wake A by idle oncpu\n"
	  "300 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=800 runq_wakeup=95 sync=5 v=1 i=0\n" },
	{ "sched_wakeup without sched_waking",
	  "100 cpu0 snap A blocked S:futex\n"
	  "200 cpu0 wakeup A nowake\n"
	  "300 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=700 runq_wakeup=100 sync=100 v=0 i=0\n" },
	{ "a wake-up of a running thread has no effect",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 wakeup A nowake\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n" },
	{ "delayed dequeue",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/S:read u9\n"
	  "300 cpu1 wake A by idle delayed\n"
	  "320 cpu0 switch u9 A\n",
	  "A 100-1000 oncpu=780 runq_wakeup=20 io=100 v=1 i=0\n" },
	{ "exit while preempted: life ends at TASK_DEAD",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 exit A\n"
	  "300 cpu0 switch A/P u9\n"
	  "400 cpu0 switch u9 A\n"
	  "450 cpu0 switch A/X u9\n"
	  "600 cpu0 wake A by idle\n",
	  "A 100-450 oncpu=250 runq_preempted=100 v=1 i=1\n" },
	{ "the command to be started: life begins with its wake-up",
	  "100 cpu0 snap A target S:read\n"
	  "150 cpu1 name A cmd\n"
	  "300 cpu1 wake A by u9\n"
	  "320 cpu0 switch idle A\n",
	  "A 300-1000 oncpu=680 runq_wakeup=20 v=0 i=0\n" },
	{ "a snapshot of a thread on a run queue: unknown until it runs",
	  "100 cpu0 snap A queued\n"
	  "400 cpu0 switch u9 A\n",
	  "A 100-1000 oncpu=600 untracked=300 v=0 i=0\n" },
	{ "... the kernel's books prove that it was preempted",
	  "100 cpu0 snap A ready preempted\n"
	  "400 cpu0 switch u9 A\n"
	  "500 cpu0 switch A/R u9\n",
	  "A 100-1000 oncpu=100 runq_preempted=800 v=0 i=1\n" },
	{ "... that it has never run, that its quota is used up",
	  "100 cpu0 snap A ready\n"
	  "100 cpu0 snap B ready throttled\n"
	  "400 cpu0 switch u9 A\n"
	  "400 cpu1 switch u9 B\n",
	  "A 100-1000 oncpu=600 runq_wakeup=300 v=0 i=0\n"
	  "B 100-1000 oncpu=600 throttled=300 v=0 i=0\n" },
	{ "exec in a thread, and a tid used again",
	  "100 cpu0 snap A tid=7 oncpu\n"
	  "200 cpu0 fork A > B tid=8\n"
	  "200 cpu0 wakeup B new\n"
	  "300 cpu1 switch idle B\n"
	  "400 cpu0 switch A/X idle\n"
	  "500 cpu1 exec B tid=7\n"
	  "600 cpu1 switch B/X idle\n",
	  "A 100-400 oncpu=300 v=1 i=0\n"
	  "B 200-600 oncpu=300 runq_wakeup=100 v=1 i=0\n" },
	{ "stopped, iowait, a page fault",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/T idle\n"
	  "300 cpu0 wake A by u9\n"
	  "300 cpu0 switch idle A\n"
	  "400 cpu0 switch A/I:futex idle\n"
	  "500 cpu0 wake A by u9\n"
	  "500 cpu0 switch idle A\n"
	  "600 cpu0 switch A/D idle\n"
	  "700 cpu0 wake A by u9\n"
	  "700 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=600 io=100 stopped=100 blocked_other=100 v=3 i=0\n" },

	/* Lost events. */
	{ "a lost wake-up: the wait has no end",
	  "100 cpu0 snap A blocked S:read\n"
	  "!300 cpu1 wake A by idle\n"
	  "400 cpu0 switch idle A\n"
	  "500 cpu1 lost 300 300 1\n",
	  "A 100-1000 oncpu=600 untracked=300 v=0 i=0\n" },
	{ "a lost switch-in, seen at the switch-out",
	  "100 cpu0 snap A blocked S:read\n"
	  "200 cpu1 wake A by idle\n"
	  "!300 cpu0 switch idle A\n"
	  "400 cpu0 lost 300 300 1\n"
	  "400 cpu0 switch A/S:read idle\n"
	  "500 cpu0 wake A by idle\n",
	  "A 100-1000 runq_wakeup=500 io=200 untracked=200 v=1 i=0\n" },
	{ "a lost switch-out is no slice without end",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 switch A/S:read idle\n"
	  "!600 cpu0 wake A by idle\n"
	  "700 cpu0 lost 200 600 2\n"
	  "700 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=300 untracked=600 v=0 i=0\n" },
	{ "seq shows a whole lost turn between two waits",
	  "100 cpu0 snap A blocked S:read\n"
	  "!200 cpu0 wake A by idle\n"
	  "!210 cpu0 switch idle A\n"
	  "!220 cpu0 switch A/S:read idle\n"
	  "400 cpu0 wake A by idle\n"
	  "450 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=550 runq_wakeup=50 untracked=300 v=0 i=0\n" },
	{ "until the first possible loss the class holds",
	  "1000000 cpu0 snap A blocked S:nanosleep\n"
	  "9000000 cpu1 wake B by idle\n"
	  "!9100000 cpu1 wake A by idle\n"
	  "9300000 cpu0 migrate B 1 0\n"
	  "9400000 cpu1 lost 9100000 9200000 1\n"
	  "9400000 cpu1 switch idle A\n",
	  /* cpu0 may have dropped records since its last one, less 1 ms */
	  "A 1000000-9400000 sleep=7300000 untracked=1100000 v=0 i=0\n"
	  "B 9000000-9400000 runq_wakeup=100000 untracked=300000 v=0 i=0\n" },
	{ "a lost last switch: the end of the life is not known",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 switch A/X idle\n"
	  "600 cpu0 lost 200 200 1\n",
	  "A 100-1000 oncpu=100 untracked=800 v=0 i=0\n" },
	{ "a lost last switch, told by the books",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 switch A/X idle\n"
	  "200 cpu0 books A dead\n",
	  "A 100-200 untracked=100 v=0 i=0\n" },
	{ "a lost fork: the thread is met later",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 fork A > B\n"
	  "300 cpu1 switch idle B\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n"
	  "B 300-1000 oncpu=700 v=0 i=0\n" },
	{ "a lost fork, of which the books tell: what was before the first record is untracked",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 fork A > B\n"
	  "300 cpu1 switch idle B\n"
	  "400 cpu1 switch B/X idle\n"
	  "400 cpu1 books B dead born=195 v=1\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n"
	  "B 195-400 oncpu=100 untracked=105 v=1 i=0\n" },
	{ "... its last switch, too",
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 fork A > B\n"
	  "300 cpu1 switch idle B\n"
	  "!400 cpu1 switch B/X idle\n"
	  "400 cpu1 books B dead born=200 v=1\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n"
	  "B 200-400 untracked=200 v=0 i=0\n" },
	{ "... of who was there before the recording",
	  "100 cpu0 snap A oncpu\n"
	  "300 cpu1 switch idle B\n"
	  "400 cpu1 books B end born=5\n",
	  "A 100-1000 oncpu=900 v=0 i=0\n"
	  "B 100-1000 oncpu=700 untracked=200 v=0 i=0\n" },
	{ "an early wake-up whose switch-out was lost",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu1 wake A by idle oncpu\n"
	  "!210 cpu0 switch A/S:read idle\n"
	  "300 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=700 untracked=200 v=0 i=0\n" },
	{ "a wake-up on a CPU, after a lost switch-in: of which wait?",
	  "100 cpu0 snap A blocked S:read\n"
	  "!200 cpu1 wake A by idle\n"
	  "!250 cpu0 switch idle A\n"
	  "300 cpu1 wake A by idle oncpu\n"
	  "310 cpu0 switch A/S:read idle\n"
	  "400 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=600 untracked=300 v=1 i=0\n" },
	{ "a wake-up that counts a switch-out which was lost",
	  "100 cpu1 snap A oncpu\n"
	  "190 cpu0 wake A by idle seq=1\n"
	  "!195 cpu1 switch A/S:read idle\n"
	  "200 cpu0 switch idle A\n",
	  "A 100-1000 oncpu=800 untracked=100 v=0 i=0\n" },

	/* What never reached a probe. */
	{ "a missed switch-in, recovered",
	  "100 cpu0 snap A blocked S:read\n"
	  "200 cpu1 wake A by idle\n"
	  "500 cpu0 missed A in arrival=100 queue=150 n=1\n"
	  "500 cpu0 switch A/S:nanosleep idle\n",
	  "A 100-1000 oncpu=100 runq_wakeup=200 io=100 sleep=500 v=1 i=0\n" },
	{ "a missed wake-up and switch-in",
	  "100 cpu0 snap A blocked S:read\n"
	  "500 cpu0 missed A in arrival=100 queue=150 n=1\n"
	  "500 cpu0 switch A/S:nanosleep idle\n",
	  "A 100-1000 oncpu=100 runq_wakeup=150 io=150 sleep=500 v=1 i=0\n" },
	{ "several missed switch-ins: only the last is known",
	  "100 cpu0 snap A blocked S:read\n"
	  "500 cpu0 missed A in arrival=100 queue=150 n=2\n"
	  "500 cpu0 switch A/S:nanosleep idle\n",
	  "A 100-1000 oncpu=100 sleep=500 untracked=300 v=1 i=0\n" },
	{ "a missed wake-up",
	  "100 cpu0 snap A blocked S:read\n"
	  "500 cpu0 missed A wakeup queue=150\n"
	  "500 cpu0 switch u9 A\n",
	  "A 100-1000 oncpu=500 runq_wakeup=150 io=250 v=0 i=0\n" },
	{ "a missed switch-out",
	  "100 cpu0 snap A oncpu\n"
	  "500 cpu0 switch u9 A\n",
	  "A 100-1000 oncpu=500 untracked=400 v=0 i=0\n" },
	{ "missed times beyond the interval are cut",
	  "100 cpu0 snap A blocked S:read\n"
	  "500 cpu0 missed A in arrival=100 queue=99999 n=1\n"
	  "500 cpu0 switch A/S:nanosleep idle\n",
	  "A 100-1000 oncpu=100 runq_wakeup=300 sleep=500 v=1 i=0\n" },
};

static void test_cases(void **state)
{
	unsigned int failed = 0;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct ledger *l = trace_text_ledger();
		char *said;

		trace_text_feed(l, cases[i].text);
		ledger_finish(l, END_NS);
		said = trace_text_show(l);
		if (strcmp(said, cases[i].expected)) {
			print_error("%s:\n%snot:\n%s", cases[i].name, said, cases[i].expected);
			failed++;
		}
		free(said);
		ledger_free(l);
	}
	assert_int_equal(failed, 0);
}

static void test_names_and_exec(void **state)
{
	struct ledger *l = trace_text_ledger();
	const struct thread *t;

	(void)state;
	trace_text_feed(l, "100 cpu0 snap A tid=7 oncpu\n"
			   "200 cpu0 name A first\n"
			   "300 cpu0 name A first\n"
			   "400 cpu0 exec A tid=9\n"
			   "500 cpu0 exit A\n");
	ledger_finish(l, END_NS);
	t = ledger_thread(l, 0);
	assert_int_equal(t->tid, 9);
	assert_true(t->exec && t->exited && !t->ended);
	assert_int_equal(t->nr_names, 3);
	assert_string_equal(t->name[0].comm, "old");
	assert_string_equal(t->name[1].comm, "first");
	assert_int_equal(t->name[1].time_ns, 200);
	assert_string_equal(t->comm, "new");
	ledger_free(l);
}

static void test_unseen(void **state)
{
	struct ledger *l = trace_text_ledger();

	(void)state;
	trace_text_feed(l, "100 cpu0 snap A oncpu\n"
			   "300 cpu1 switch idle D\n"
			   "400 cpu1 switch D/S:read C\n");
	ledger_finish(l, END_NS);
	assert_int_equal(ledger_unseen(l), 1);
	ledger_free(l);
	l = trace_text_ledger();
	ledger_finish(l, END_NS);
	assert_int_equal(ledger_unseen(l), 0);
	ledger_free(l);
}

static void test_lost_spans(void **state)
{
	struct ledger *l = trace_text_ledger();
	const struct lost_span *span;
	char line[64];
	size_t nr;

	(void)state;
	for (unsigned int i = 0; i < LEDGER_MAX_LOST + 50; i++) {
		snprintf(line, sizeof(line), "%u cpu0 lost %u %u 1\n", i * 10 + 9, i * 10,
			 i * 10 + 5);
		trace_text_feed(l, line);
	}
	span = ledger_lost(l, &nr);
	assert_int_equal(nr, LEDGER_MAX_LOST);
	assert_int_equal(span[nr - 1].first_ns, (LEDGER_MAX_LOST - 1) * 10);
	assert_int_equal(span[nr - 1].last_ns, (LEDGER_MAX_LOST + 49) * 10 + 5);
	assert_int_equal(span[nr - 1].count[DROP_FULL], 51);
	ledger_finish(l, 0);
	ledger_free(l);
}

/* Any bits as records: sums stay exact, nothing is read or written out of bounds, memory stays small. */
static void test_garbage(void **state)
{
	static const uint8_t words[EV_KIND_NR] = { 0, 3, 3, 3, 2, 7, 7, 13, 2, 4, 12, 8, 4, 5 };
	uint64_t rec[32], random = 1;

	(void)state;
	for (unsigned int round = 0; round < 40; round++) {
		struct ledger *l = trace_text_ledger();

		for (unsigned int i = 0; i < 20000; i++) {
			struct trace_event ev = { .time_ns = i * 7, .cpu = i % 5, .rec = rec };
			unsigned int kind;

			for (unsigned int k = 0; k < 32; k++) {
				random = random * 6364136223846793005ull + 1442695040888963407ull;
				rec[k] = random >> (random >> 59);
			}
			kind = (random >> 40) % EV_KIND_NR;
			/* Mostly kinds and threads that can be. */
			if (i % 16) {
				rec[0] = EV_WORD0(i, words[kind], kind, rec[0] & 0x3f);
				rec[1] = (rec[1] & 0xf) | (rec[1] & 0xf00) << 24;
			}
			if (i % 997 == 0)
				ev.time_ns = random >> 3;
			assert_int_equal(ledger_event(l, &ev), 0);
		}
		ledger_finish(l, 0);
		for (size_t i = 0; i < ledger_nr_threads(l); i++) {
			const struct thread *t = ledger_thread(l, i);
			uint64_t sum = 0;

			for (int c = 0; c < CLASS_NR; c++)
				sum += t->ledger_ns[c];
			assert_int_equal(sum, t->end_ns - t->start_ns);
		}
		ledger_free(l);
	}
}

/* A hostile serial is no reason to allocate. */
static void test_malformed(void **state)
{
	struct ev_switch sw = { .prev = 0x7fffffff, .next = 3000000, .state = 1 };
	struct trace_event ev = { .time_ns = 5, .cpu = 0, .rec = (const uint64_t *)&sw };
	struct ledger *l = trace_text_ledger();

	(void)state;
	sw.w0 = EV_WORD0(5, 3, EV_SWITCH, 0);
	assert_int_equal(ledger_event(l, &ev), 0);
	assert_int_equal(ledger_malformed(l), 2);
	assert_int_equal(ledger_nr_threads(l), 0);
	ev.cpu = 4;
	assert_int_equal(ledger_event(l, &ev), 0);
	assert_int_equal(ledger_malformed(l), 3);
	ledger_finish(l, 0);
	ledger_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),      cmocka_unit_test(test_names_and_exec),
		cmocka_unit_test(test_lost_spans), cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_garbage),    cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
