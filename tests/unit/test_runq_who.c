// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who had the CPU while threads waited for it: small traces; random ones, against a slow count of the same events; hostile ones.
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
#include "analysis/path.h"
#include "analysis/runq_who.h"
#include "random.h"
#include "runq_check.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "preempted by a thread of its own process, and by another process",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 blocked S:futex\n"
	  "100 cpu1 snap C tid=3 tgid=3 blocked S:futex\n"
	  "150 cpu0 wake B by A task\n"
	  "200 cpu0 switch A/P B\n"
	  "300 cpu0 wake C by B task\n"
	  "400 cpu0 switch B/P C\n"
	  "600 cpu0 switch C/S:futex B\n"
	  "700 cpu0 switch B/S:futex A\n",
	  /* B: 150-200 (A), 400-600 (C); A: 200-700: B 300, C 200; C: 300-400 (B) */
	  "wait=850 own=350 tracked=500 nobody=0\n"
	  "3: recorded 400\n"
	  "1: recorded 100\n" },
	{ "by a program that is not recorded, by its name, and by nobody",
	  "50 cpu0 name u7 sshd\n"
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "300 cpu0 switch u7 A\n"
	  "400 cpu0 switch A/S:read idle\n"
	  "500 cpu0 wake A by idle\n"
	  "520 cpu0 switch idle A\n",
	  "wait=120 foreign=100 idle=20 nobody=0\n"
	  "7 sshd: foreign 100\n" },
	{ "switches among others are not recorded while nobody waits: who leaves in the end had it",
	  "50 cpu0 name u7 sshd\n"
	  "50 cpu0 name u8 cron\n"
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/S:read u7\n"
	  "500 cpu1 wake A by idle on=0\n"
	  "600 cpu0 switch u8 A\n",
	  "wait=100 foreign=100 nobody=0\n"
	  "8 cron: foreign 100\n" },
	{ "moved to another CPU's queue, while that was idle",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu0 task A cpus=3\n"
	  "110 cpu0 snap B tid=2 tgid=2 queued\n"
	  "120 cpu1 switch u9 idle\n"
	  "200 cpu0 switch A/P B\n"
	  "500 cpu1 migrate A 0 1\n"
	  "530 cpu1 switch idle A\n",
	  "wait=330 tracked=300 idle=30 nobody=300\n"
	  "2: recorded 300\n" },
	{ "the idle CPU may not be used",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu0 task A cpus=1\n"
	  "120 cpu1 switch u9 idle\n"
	  "200 cpu0 switch A/P u7\n"
	  "500 cpu0 switch u7 A\n",
	  "wait=300 foreign=300 nobody=0\n"
	  "7: foreign 300\n" },
	{ "more CPUs are allowed in the middle of the wait",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu0 task A cpus=1\n"
	  "120 cpu1 switch u9 idle\n"
	  "200 cpu0 switch A/P u7\n"
	  "450 cpu1 task A cpus=3\n"
	  "480 cpu1 switch idle u9\n"
	  "500 cpu0 switch u7 A\n",
	  "wait=300 foreign=300 nobody=30\n"
	  "7: foreign 300\n" },
	{ "a new thread waits for its maker, then for its CPU",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 switch u9 idle\n"
	  "200 cpu0 fork A > B tid=2\n"
	  "210 cpu0 fork A > C tid=3 tgid=3\n"
	  "260 cpu0 wakeup B new on=1\n"
	  "280 cpu1 switch idle B\n"
	  "300 cpu0 wakeup C new on=1\n"
	  "350 cpu1 switch B/S:futex C\n",
	  "wait=220 own=60 tracked=140 idle=20 nobody=0\n"
	  "1: recorded 140\n" },
	{ "up to the end of the recording",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n",
	  "wait=800 foreign=800 nobody=0\n"
	  "7: foreign 800\n" },
	{ "woken before the switch-out: waits from that on; just after it: from the wake-up on",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu1 wake A by idle oncpu on=0\n"
	  "210 cpu0 switch A/S:futex u7\n"
	  "300 cpu0 switch u7 A\n"
	  "400 cpu0 switch A/S:futex u7\n"
	  "405 cpu1 wake A by idle oncpu on=0\n"
	  "450 cpu0 switch u7 A\n",
	  "wait=135 foreign=135 nobody=0\n"
	  "7: foreign 135\n" },
	{ "throttled is no wait for a CPU",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 switch idle u7\n"
	  "200 cpu1 wake A by idle on=0\n"
	  "230 cpu0 wakeup A throttled\n"
	  "600 cpu0 switch u7 A\n",
	  "wait=30 foreign=30 nobody=0\n"
	  "7: foreign 30\n" },
	{ "a switch-in that no probe saw: the task before it had the CPU until then",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu0 snap B tid=2 oncpu\n"
	  "200 cpu0 switch A/P u1\n"
	  "500 cpu0 missed A in arrival=200 queue=100\n"
	  "500 cpu0 switch A/P B\n"
	  "600 cpu0 switch B/S:read A\n",
	  /* 200-300: u1, then A itself ran; 500-600: B */
	  "wait=200 own=100 foreign=100 nobody=0\n"
	  "1: foreign 100\n" },
	{ "records of the CPU were dropped: unknown",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "350 cpu0 lost 250 300 4\n"
	  "400 cpu0 switch u8 A\n",
	  "wait=200 unknown=200 nobody=0\n" },
	{ "seen on a CPU to which nothing moved it: unknown",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "400 cpu1 switch idle A\n",
	  "wait=200 unknown=200 nobody=0\n" },
	{ "nobody is missed when a foreign CPU turns out busy: unknown between",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P idle\n"
	  "400 cpu0 switch u8 A\n",
	  "wait=200 unknown=200 nobody=0\n" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct runq_check a = runq_check_run(cases[i].text, END_NS);
		char *text = runq_check_show(a.p, true);

		if (strcmp(text, cases[i].expected))
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, text, cases[i].expected);
		free(text);
		runq_check_free(&a);
	}
}

static uint32_t rnd(uint32_t below)
{
	return (uint32_t)(random_number() >> 33) % below;
}

/* A wait over more slices than are kept: split exactly, the oldest part without names. */
static void test_long_wait(void **state)
{
	struct ev_thread snap = { .who = 1, .tid = 1, .tgid = 1 };
	struct ev_switch sw = { .prev = 1, .prev_seq = 1, .next = WHO_UNTRACKED | 5 };
	uint64_t time = 10, sum = 0;
	struct trace_event ev = { .time_ns = time, .rec = (const uint64_t *)&snap };
	const struct runq_split *all;
	struct runq_occupant *list;
	struct ledger *l;
	struct passes *p;
	struct err err;
	size_t nr;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 1, &l, &err), 0);
	assert_int_equal(passes_new(l, 1, PASS_RUNQ_WHO, &p, &err), 0);
	snap.w0 = EV_WORD0(0, EV_WORDS_OF(snap), EV_SNAP, SN_ON_CPU);
	assert_int_equal(ledger_event(l, &ev), 0);
	sw.w0 = EV_WORD0(0, 3, EV_SWITCH, SW_RUNNABLE);
	ev.rec = (const uint64_t *)&sw;
	for (uint32_t i = 0; i < 3 * RUNQ_PIECES_MAX; i++) {
		ev.time_ns = time += 7;
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
		sw.prev = sw.next;
		sw.next = WHO_UNTRACKED | (5 + i % 2);
	}
	assert_int_equal(passes_end(p, time + 7), 0);
	ledger_finish(l, time + 7);
	assert_int_equal(passes_finish(p), 0);
	all = runq_who_all(p->runq_who);
	assert_true(all->wait_ns == 7ull * 3 * RUNQ_PIECES_MAX);
	assert_true(all->part_ns[RUNQ_FOREIGN] == all->wait_ns);
	assert_int_equal(runq_who_others(p->runq_who, &list, &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(list[0].pid, 0);
	for (size_t i = 0; i < nr; i++)
		sum += list[i].ns;
	assert_true(sum == all->wait_ns);
	assert_true(list[1].ns + list[2].ns >= 7ull * (RUNQ_PIECES_MAX - 2));
	free(list);
	passes_free(p);
	ledger_free(l);
}

/* Records that no kernel would write, all passes: the sums hold, nothing else is asked. */
static void test_hostile(void **state)
{
	static const unsigned int words[] = {
		[EV_SWITCH] = 3, [EV_WAKE] = 3,   [EV_WAKEUP] = 3, [EV_MIGRATE] = 2,
		[EV_FORK] = 7,   [EV_SNAP] = 7,   [EV_NAME] = 4,   [EV_BOOKS] = 12,
		[EV_TASK] = 8,   [EV_MISSED] = 4, [EV_LOST] = 5,   [EV_EXIT] = 2,
	};
	uint64_t rec[EV_MAX_WORDS], time = 0, runq_ns = 0, sum = 0, wall = 0;
	struct critical_path path;
	struct ledger *l;
	struct passes *p;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	assert_int_equal(passes_new(l, 4, PASS_RUNQ_WHO | PASS_WAKEUPS | PASS_HISTORY, &p, &err),
			 0);
	for (int i = 0; i < 60000; i++) {
		unsigned int kind = rnd(LEN(words));
		struct trace_event ev = { .time_ns = time, .cpu = rnd(5), .rec = rec };

		if (!words[kind])
			continue;
		time += rnd(3) ? rnd(1000) : 0;
		rec[0] = EV_WORD0(time, words[kind], kind, rnd(64));
		for (unsigned int k = 1; k < words[kind]; k++) {
			uint64_t who = rnd(4) ? rnd(12) :
				       rnd(2) ? WHO_UNTRACKED | rnd(5) :
						rnd(1u << 31);

			rec[k] = who << 32 | (rnd(4) ? rnd(12) : rnd(1u << 31));
			if (!rnd(8))
				rec[k] = ~0ull >> rnd(64);
		}
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
	}
	assert_int_equal(passes_end(p, time), 0);
	ledger_finish(l, time);
	assert_int_equal(passes_finish(p), 0);
	for (size_t i = 0; i < ledger_nr_threads(l); i++) {
		const struct thread *t = ledger_thread(l, i);

		runq_ns += t->ledger_ns[CLASS_RUNQ_PREEMPTED] + t->ledger_ns[CLASS_RUNQ_WAKEUP];
		if (t->started && t->end_ns > wall)
			wall = t->end_ns;
	}
	for (int i = 0; i < RUNQ_PARTS; i++)
		sum += runq_who_all(p->runq_who)->part_ns[i];
	assert_true(runq_ns && sum == runq_ns);
	free(runq_check_show(p, true));
	sum = 0;
	assert_int_equal(critical_path_make(p->history, 0, wall, &path), 0);
	for (size_t i = 0; i < path.nr; i++)
		sum += path.part[i].ns;
	assert_true(sum == wall);
	critical_path_free(&path);
	passes_free(p);
	ledger_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_long_wait),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
