// SPDX-License-Identifier: GPL-2.0-only
/* Who had the CPUs while threads waited for one, of random traces, against a slow count. */
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
#include "analysis/runq_who.h"
#include "sched_sim.h"

#define OTHER_PROCESSES 3

struct slow {
	const struct sim_result *sim;
	uint64_t seed;
	uint64_t part_ns[SIM_SERIALS][RUNQ_PARTS];
	uint64_t process_ns[OTHER_PROCESSES]; /* while threads of others waited */
	uint64_t runq_ns[SIM_SERIALS];
	uint64_t early_ns[SIM_SERIALS],
		all_early_ns; /* on CPUs before their first switch: may be unknown */
};

/* On which CPU the thread is queued at a time; -1 while it is being made (then *ret_maker is set), or not known. */
static int cpu_at(const struct sim_result *sim, uint32_t serial, uint64_t time_ns,
		  uint32_t *ret_maker)
{
	int cpu = -1;

	*ret_maker = 0;
	for (size_t i = 0; i < sim->nr && sim->event[i].time_ns <= time_ns; i++) {
		const void *rec = sim->event[i].rec;
		const struct ev_switch *sw = rec;
		const struct ev_wake *wake = rec;
		const struct ev_migrate *move = rec;
		const struct ev_thread *born = rec;

		switch (EV_KIND(sim->event[i].rec[0])) {
		case EV_SWITCH:
			if (sw->prev == serial || sw->next == serial)
				cpu = (int)sim->event[i].cpu;
			break;
		case EV_WAKE:
		case EV_WAKEUP:
			if (wake->wakee == serial)
				cpu = wake->cpu;
			break;
		case EV_MIGRATE:
			if (move->who == serial)
				cpu = move->to;
			break;
		case EV_FORK:
			if (born->who == serial)
				*ret_maker = born->parent;
			break;
		default:
			break;
		}
	}
	return cpu;
}

/* Who has a CPU at a time; *ret_known; *ret_early: told only by its first switch, later. */
static uint32_t occupant_at(const struct sim_result *sim, int cpu, uint64_t time_ns,
			    bool *ret_known, bool *ret_early)
{
	uint32_t who = 0;

	*ret_known = false;
	*ret_early = false;
	for (size_t i = 0; i < sim->nr; i++) {
		const struct ev_switch *sw = (const void *)sim->event[i].rec;

		if (EV_KIND(sim->event[i].rec[0]) != EV_SWITCH || (int)sim->event[i].cpu != cpu)
			continue;
		if (sim->event[i].time_ns > time_ns) {
			*ret_early = !*ret_known;
			if (*ret_early)
				who = sw->prev;
			*ret_known = true;
			break;
		}
		who = sw->next;
		*ret_known = true;
	}
	return who;
}

/* The wait is cut at each event, so that each piece is of one kind. */
static void count_wait(struct slow *s, uint32_t serial, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t mine = sim_tgid(serial);

	for (size_t i = 0; from_ns < to_ns; i++) {
		uint64_t until = i < s->sim->nr ? s->sim->event[i].time_ns : to_ns;
		enum runq_part part;
		uint32_t maker, who;
		bool known, early = false;
		int cpu;

		if (until <= from_ns)
			continue;
		if (until > to_ns)
			until = to_ns;
		cpu = cpu_at(s->sim, serial, from_ns, &maker);
		who = cpu < 0 ? maker : occupant_at(s->sim, cpu, from_ns, &known, &early);
		if (cpu < 0)
			known = maker;
		if (!known)
			part = RUNQ_UNKNOWN;
		else if (!who)
			part = RUNQ_IDLE;
		else
			part = sim_tgid(who) == mine ? RUNQ_OWN : RUNQ_TRACKED;
		s->part_ns[serial][part] += until - from_ns;
		s->early_ns[serial] += early ? until - from_ns : 0;
		s->all_early_ns += early ? until - from_ns : 0;
		if (part == RUNQ_TRACKED)
			s->process_ns[sim_tgid(who) % OTHER_PROCESSES] += until - from_ns;
		from_ns = until;
	}
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct slow *s = arg;

	if (class != CLASS_RUNQ_PREEMPTED && class != CLASS_RUNQ_WAKEUP)
		return;
	s->runq_ns[t->serial] += to_ns - from_ns;
	count_wait(s, t->serial, from_ns, to_ns);
}

/* Equal, but for what may be unknown. */
static bool nearly(uint64_t ours, uint64_t truth, uint64_t early_ns, bool unknown)
{
	if (unknown)
		return ours >= truth && ours - truth <= early_ns;
	return ours <= truth && truth - ours <= early_ns;
}

static void check_split(const struct slow *s, const struct runq_split *split, uint32_t serial,
			bool exact)
{
	static const struct runq_split none;
	uint64_t sum = 0;

	if (!split)
		split = &none;
	for (int p = 0; p < RUNQ_PARTS; p++) {
		sum += split->part_ns[p];
		if (exact && !nearly(split->part_ns[p], s->part_ns[serial][p], s->early_ns[serial],
				     p == RUNQ_UNKNOWN))
			fail_msg("seed %" PRIu64 ": thread %u: %s %" PRIu64 ", truly %" PRIu64,
				 s->seed, serial, runq_part_name(p), split->part_ns[p],
				 s->part_ns[serial][p]);
	}
	if (sum != s->runq_ns[serial] || split->wait_ns != sum || split->nobody_ns > sum)
		fail_msg("seed %" PRIu64 ": thread %u: parts %" PRIu64 ", waits %" PRIu64, s->seed,
			 serial, sum, s->runq_ns[serial]);
}

static void check_others(const struct slow *s, const struct passes *p, bool exact)
{
	const struct runq_split *all = runq_who_all(p->runq_who);
	struct runq_occupant *list;
	uint64_t sum = 0;
	size_t nr;

	assert_int_equal(runq_who_others(p->runq_who, &list, &nr), 0);
	for (size_t i = 0; i < nr; i++) {
		sum += list[i].ns;
		if (exact && !nearly(list[i].ns, s->process_ns[list[i].pid % OTHER_PROCESSES],
				     s->all_early_ns, false))
			fail_msg("seed %" PRIu64 ": process %u: %" PRIu64 ", truly %" PRIu64,
				 s->seed, list[i].pid, list[i].ns,
				 s->process_ns[list[i].pid % OTHER_PROCESSES]);
	}
	assert_true(sum == all->part_ns[RUNQ_TRACKED] + all->part_ns[RUNQ_FOREIGN]);
	free(list);
}

static void run(struct sim_options opt)
{
	bool exact = !opt.drops && !opt.ties && !opt.holes;
	struct sim_result sim;
	struct slow s = { .sim = &sim, .seed = opt.seed };
	struct ledger *l;
	struct passes *p;
	struct err err;

	sim_run(&opt, &sim);
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &l, &err), 0);
	assert_int_equal(passes_new(l, SIM_CPUS, PASS_RUNQ_WHO, &p, &err), 0);
	ledger_watch(l, on_interval, &s);
	for (size_t i = 0; i < sim.nr; i++) {
		struct trace_event ev = { sim.event[i].time_ns, sim.event[i].cpu,
					  sim.event[i].rec };

		assert_int_equal(passes_event(p, &ev), 0);
		assert_int_equal(ledger_event(l, &ev), 0);
	}
	assert_int_equal(passes_end(p, sim.end_ns), 0);
	ledger_finish(l, sim.end_ns);
	assert_int_equal(passes_finish(p), 0);
	for (uint32_t serial = 1; serial <= sim.nr_serials; serial++)
		check_split(&s, runq_who_thread(p->runq_who, serial), serial, exact);
	check_others(&s, p, exact);
	passes_free(p);
	ledger_free(l);
	sim_free(&sim);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 250; seed++) {
		run((struct sim_options){ .seed = seed, .steps = 300 });
		run((struct sim_options){ .seed = seed, .steps = 300, .holes = true });
		run((struct sim_options){ .seed = seed, .steps = 300, .drops = true });
		run((struct sim_options){
			.seed = seed, .steps = 300, .drops = true, .ties = true, .holes = true });
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
