// SPDX-License-Identifier: GPL-2.0-only
/* Who wakes whom: small traces, and random ones counted a second time. */
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
#include "analysis/wakeups.h"
#include "sched_sim.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "a thread wakes another",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:futex\n"
	  "200 cpu0 wake B by A task\n"
	  "230 cpu1 switch idle B\n"
	  "300 cpu1 switch B/S:futex idle\n"
	  "400 cpu0 wake B by A task\n"
	  "480 cpu1 switch idle B\n",
	  "A task B 2 2 110 80\n" },
	{ "an interrupt is not whom it interrupted; idle wakes nobody",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:read\n"
	  "200 cpu0 wake B by A hardirq\n"
	  "210 cpu1 switch idle B\n"
	  "220 cpu1 switch B/S:read idle\n"
	  "300 cpu0 wake B by A softirq\n"
	  "310 cpu1 switch idle B\n"
	  "320 cpu1 switch B/S:read idle\n"
	  "400 cpu1 wake B by idle\n"
	  "410 cpu1 switch idle B\n"
	  "420 cpu1 switch B/S:read idle\n"
	  "500 cpu0 wake B by A\n"
	  "510 cpu1 switch idle B\n",
	  "- hardirq B 1 1 10 10\n"
	  "- softirq B 1 1 10 10\n"
	  "- interrupt B 1 1 10 10\n"
	  "A unknown B 1 1 10 10\n" },
	{ "a thread that is not recorded, twice by another record",
	  "100 cpu1 snap B blocked S:read\n"
	  "150 cpu0 name u7 sshd\n"
	  "200 cpu0 wake B by u7 task\n"
	  "210 cpu1 switch idle B\n"
	  "220 cpu1 switch B/S:read idle\n"
	  "300 cpu0 wakeup B by u7 nowake\n"
	  "305 cpu1 switch idle B\n",
	  "u7 task B 1 1 10 10\n"
	  "u7 unknown B 1 1 5 5\n" },
	{ "a new thread: its maker, from the fork on",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 fork A > B\n"
	  "250 cpu0 wakeup B new\n"
	  "400 cpu1 switch idle B\n",
	  "A new B 1 1 200 200\n" },
	{ "woken before it left its CPU: the delay is from the switch-out on",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B oncpu\n"
	  "200 cpu1 wake A by B oncpu task\n"
	  "210 cpu0 switch A/S:futex idle\n"
	  "300 cpu0 switch idle A\n",
	  "B task A 1 1 90 90\n" },
	{ "never given a CPU again: up to the end",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:futex\n"
	  "900 cpu0 wake B by A task\n",
	  "A task B 1 1 100 100\n" },
	{ "no delay is made up where events were lost",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:futex\n"
	  "200 cpu0 wake B by A task\n"
	  "!210 cpu1 switch idle B\n"
	  "!300 cpu1 switch B/S:futex idle\n"
	  "400 cpu1 lost 205 390 2\n"
	  "500 cpu0 wake B by A task\n"
	  "520 cpu1 switch idle B\n",
	  "A task B 2 1 20 20\n" },
};

static void show_who(FILE *f, uint32_t who)
{
	if (who & WHO_UNTRACKED)
		fprintf(f, "u%" PRIu32, who & ~WHO_UNTRACKED);
	else
		fputc(who ? 'A' + (int)who - 1 : '-', f);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct ledger *l;
		struct passes *p;
		struct err err;
		char *text = NULL;
		size_t len;
		FILE *f = open_memstream(&text, &len);

		assert_int_equal(ledger_new(ARCH_X86_64, 2, &l, &err), 0);
		assert_int_equal(passes_new(l, 2, PASS_WAKEUPS, &p, &err), 0);
		trace_text_feed_passes(l, p, cases[i].text);
		assert_int_equal(passes_end(p, END_NS), 0);
		ledger_finish(l, END_NS);
		for (size_t k = 0; k < p->wakeups->nr; k++) {
			const struct wake_pair *pair = &p->wakeups->pair[k];

			show_who(f, pair->waker);
			fprintf(f, " %s ", wake_context_name(pair->context));
			show_who(f, pair->wakee);
			fprintf(f, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
				pair->counts.count, pair->counts.delays, pair->counts.delay_ns,
				pair->counts.longest_ns);
		}
		fclose(f);
		if (strcmp(text, cases[i].expected))
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, text, cases[i].expected);
		free(text);
		passes_free(p);
		ledger_free(l);
	}
}

/* The sum of the run-queue time after wake-ups, by thread, as the ledger has it. */
static void check_sums(const struct ledger *l, const struct wakeups *w, bool lossless,
		       uint64_t seed)
{
	uint64_t count = w->others.count, delay_ns = w->others.delay_ns, runq_ns = 0;

	for (size_t i = 0; i < w->nr; i++) {
		const struct wake_counts *c = &w->pair[i].counts;

		count += c->count;
		delay_ns += c->delay_ns;
		assert_true(c->delays <= c->count && c->longest_ns <= c->delay_ns);
	}
	/* A thread still being made has not been woken. */
	for (size_t i = 0; i < ledger_nr_threads(l); i++)
		if (ledger_thread(l, i)->state != ST_NEW)
			runq_ns += ledger_thread(l, i)->ledger_ns[CLASS_RUNQ_WAKEUP];
	if (count != w->all.count || delay_ns != w->all.delay_ns)
		fail_msg("seed %" PRIu64 ": the pairs do not sum up", seed);
	if (delay_ns > runq_ns || (lossless && delay_ns != runq_ns))
		fail_msg("seed %" PRIu64 ": delays %" PRIu64 ", run queue %" PRIu64, seed, delay_ns,
			 runq_ns);
}

static void run(struct sim_options opt)
{
	struct sim_result sim;
	struct ledger *l;
	struct passes *p;
	struct err err;
	uint64_t wakes = 0;

	sim_run(&opt, &sim);
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &l, &err), 0);
	assert_int_equal(passes_new(l, SIM_CPUS, PASS_WAKEUPS, &p, &err), 0);
	for (size_t i = 0; i < sim.nr; i++) {
		struct trace_event ev = { sim.event[i].time_ns, sim.event[i].cpu,
					  sim.event[i].rec };
		unsigned int kind = EV_KIND(ev.rec[0]), flags = EV_FLAGS(ev.rec[0]);

		wakes += kind == EV_WAKE || (kind == EV_WAKEUP && flags & (WU_NEW | WU_NO_WAKE));
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
	}
	assert_int_equal(passes_end(p, sim.end_ns), 0);
	ledger_finish(l, sim.end_ns);
	check_sums(l, p->wakeups, !opt.drops && !opt.ties && !opt.holes, opt.seed);
	if (!opt.drops && !opt.ties && p->wakeups->all.count != wakes)
		fail_msg("seed %" PRIu64 ": %" PRIu64 " wake-ups, truly %" PRIu64, opt.seed,
			 p->wakeups->all.count, wakes);
	passes_free(p);
	ledger_free(l);
	sim_free(&sim);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		run((struct sim_options){ .seed = seed, .steps = 400 });
		run((struct sim_options){ .seed = seed, .steps = 400, .holes = true });
		run((struct sim_options){
			.seed = seed, .steps = 400, .drops = true, .ties = true, .holes = true });
	}
}

/* More pairs than are kept: the others are one sum. */
static void test_bound(void **state)
{
	struct ev_thread snap = { .who = 1, .tid = 1, .tgid = 1, .state = EV_STATE_INTERRUPTIBLE };
	uint64_t time = 10;
	struct ledger *l;
	struct passes *p;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 1, &l, &err), 0);
	assert_int_equal(passes_new(l, 1, PASS_WAKEUPS, &p, &err), 0);
	snap.w0 = EV_WORD0(time, EV_WORDS_OF(snap), EV_SNAP, SN_BLOCKED);
	assert_int_equal(ledger_event(l, &(struct trace_event){ time, 0, (const uint64_t *)&snap }),
			 0);
	for (uint32_t i = 0; i < WAKEUPS_MAX + 10; i++) {
		struct ev_wake wake = { .wakee = 1,
					.waker = WHO_UNTRACKED | (i + 1),
					.seq = (uint16_t)i };
		struct ev_switch in = { .next = 1, .next_seq = (uint16_t)i };
		struct ev_switch out = { .prev = 1,
					 .prev_seq = (uint16_t)(i + 1),
					 .state = EV_STATE_INTERRUPTIBLE };
		struct trace_event ev = { .rec = (const uint64_t *)&wake };

		ev.time_ns = time++;
		wake.w0 = EV_WORD0(0, 3, EV_WAKE, WK_CONTEXT);
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
		ev = (struct trace_event){ time++, 0, (const uint64_t *)&in };
		in.w0 = EV_WORD0(0, 3, EV_SWITCH, 0);
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
		ev = (struct trace_event){ time++, 0, (const uint64_t *)&out };
		out.w0 = EV_WORD0(0, 3, EV_SWITCH, 0);
		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
	}
	assert_int_equal(p->wakeups->nr, WAKEUPS_MAX);
	assert_int_equal(p->wakeups->others.count, 10);
	assert_int_equal(p->wakeups->others.delays, 10);
	assert_int_equal(p->wakeups->all.count, WAKEUPS_MAX + 10);
	passes_free(p);
	ledger_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
