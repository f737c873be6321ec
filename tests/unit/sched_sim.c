// SPDX-License-Identifier: GPL-2.0-only
/* A small scheduler that knows the truth: see sched_sim.h. */
#include <stdlib.h>
#include <string.h>

#include "sched_sim_impl.h"

static void tick(struct sim *s)
{
	s->tied = s->opt->ties && !s->tied && !sim_rnd(s, 3);
	if (s->tied)
		return;
	s->now += 1 + sim_rnd(s, sim_rnd(s, 8) ? 300 : 20000);
}

static struct task *task_new(struct sim *s)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct task *t = &s->task[i];

		if (t->doing != FREE || s->out->nr_serials + 1 >= SIM_SERIALS)
			continue;
		memset(t, 0, sizeof(*t));
		t->serial = ++s->out->nr_serials;
		t->tid = 100 + i; /* reused: by the slot */
		t->tgid = sim_tgid(t->serial);
		t->since_ns = s->now;
		t->class = CLASS_RUNQ_WAKEUP;
		t->wake_seen = true;
		t->in_seen = true;
		sim_truth(s, t)->start_ns = s->now;
		return t;
	}
	return NULL;
}

static void do_fork(struct sim *s, unsigned int cpu)
{
	struct task *parent = s->cpu[cpu].running, *t = parent ? task_new(s) : NULL;
	struct ev_thread rec = { 0 };

	if (!t)
		return;
	t->doing = NEW;
	t->cpu = sim_rnd(s, SIM_CPUS);
	rec.who = t->serial;
	rec.parent = parent->serial;
	rec.tid = t->tid;
	rec.tgid = t->tgid;
	rec.ns_tid = t->tid;
	sim_put(s, cpu, &rec, EV_FORK, 0, sizeof(rec));
}

static void do_wakeup(struct sim *s, struct task *t, unsigned int cpu)
{
	bool throttled = !sim_rnd(s, 12);
	unsigned int flags = throttled ? WU_THROTTLED : 0;

	if (t->doing == NEW)
		flags |= WU_NEW;
	sim_put_wake(s, t, cpu, EV_WAKEUP, flags);
	if (throttled)
		sim_become(s, t, CLASS_THROTTLED);
	sim_enqueue(s, t);
}

static void do_wake(struct sim *s, struct task *t, unsigned int cpu)
{
	if (s->opt->holes && !sim_rnd(s, 6)) {
		t->wake_seen = false;
		t->hole_ns = s->now;
		sim_become(s, t, CLASS_RUNQ_WAKEUP);
		sim_enqueue(s, t);
		return;
	}
	if (!sim_rnd(s, 8)) {
		sim_put_wake(s, t, cpu, EV_WAKEUP, WU_NO_WAKE);
		sim_become(s, t, CLASS_RUNQ_WAKEUP);
		sim_enqueue(s, t);
		return;
	}
	sim_put_wake(s, t, cpu, EV_WAKE, sim_rnd(s, 6) ? 0 : WK_DELAYED);
	sim_become(s, t, CLASS_RUNQ_WAKEUP);
	/*
	 * Where records are dropped and probes miss events, a run_delay that begins at a late EV_WAKEUP would be taken for the
	 * time of a wake-up that no record tells: not here.
	 */
	if (sim_rnd(s, 2) || (s->opt->drops && s->opt->holes))
		sim_enqueue(s, t);
	else
		t->wakeup_due = true;
}

static void do_exec(struct sim *s, struct task *t)
{
	struct ev_exec rec = { .who = t->serial, .old_tid = t->tid, .tid = 100, .tgid = t->tgid };

	sim_put(s, t->cpu, &rec, EV_EXEC, 0, sizeof(rec));
	t->tid = 100;
}

static void do_exit(struct sim *s, struct task *t)
{
	struct ev_exit rec = { .who = t->serial };

	sim_put(s, t->cpu, &rec, EV_EXIT, 0, sizeof(rec));
	t->exiting = true;
}

/* A record of a program that can be interrupted: its time is older than that of the one before it. */
static void do_name(struct sim *s, struct task *t)
{
	struct ev_name rec = { .who = t->serial,
			       .tgid = 100,
			       .comm = { 'a', (char)('a' + sim_rnd(s, 26)) } };
	uint64_t now = s->now, since = s->out->nr ? s->out->event[s->out->nr - 1].time_ns : 0;

	s->now = since > 3 ? since - sim_rnd(s, 3) : since;
	if (s->now >= sim_truth(s, t)->start_ns)
		sim_put(s, t->cpu, &rec, EV_NAME, 0, sizeof(rec));
	s->now = now;
}

static void step_task(struct sim *s, struct task *t)
{
	unsigned int cpu = sim_rnd(s, SIM_CPUS);

	if (t->doing == NEW || t->wakeup_due)
		do_wakeup(s, t, cpu);
	else if (t->doing == ASLEEP)
		do_wake(s, t, cpu);
	else if (t->doing == QUEUED && !sim_rnd(s, 4))
		sim_put_migrate(s, t, cpu, (t->cpu + 1) % SIM_CPUS);
	else if (t->doing == RUNNING && !t->exiting && !sim_rnd(s, 12))
		do_exit(s, t);
	else if (t->doing == RUNNING && !sim_rnd(s, 20))
		do_exec(s, t);
	else if (t->doing == RUNNING && !s->opt->drops && !sim_rnd(s, 20))
		do_name(s, t);
}

static void step(struct sim *s)
{
	unsigned int cpu = sim_rnd(s, SIM_CPUS);

	tick(s);
	if (!sim_rnd(s, 10))
		do_fork(s, cpu);
	else if (sim_rnd(s, 2))
		sim_switch(s, cpu);
	else
		step_task(s, &s->task[sim_rnd(s, SIM_SLOTS)]);
}

/* Threads that are there when the recording begins. */
static void snapshot(struct sim *s)
{
	if (s->opt->holes) {
		struct ev_missed rec = { .who = WHO_UNTRACKED | 1 };

		sim_put(s, 0, &rec, EV_MISSED, MI_WAKEUP, sizeof(rec));
	}
	for (unsigned int i = 0; i < SIM_OLD; i++) {
		struct task *t = task_new(s);
		struct ev_thread rec = { .who = t->serial, .tid = t->tid, .tgid = t->tgid };

		if (i == 0) {
			sim_arrive(s, t, 0, true);
			t->delay_ns = 0;
			sim_put(s, 0, &rec, EV_SNAP, SN_ON_CPU, sizeof(rec));
			continue;
		}
		t->class = CLASS_SLEEP;
		t->doing = ASLEEP;
		rec.state = EV_STATE_INTERRUPTIBLE;
		rec.how = EV_HOW(230, 0, 0);
		sim_put(s, 0, &rec, EV_SNAP, SN_BLOCKED, sizeof(rec));
		sim_put_books(s, t, 0, BK_FIRST);
	}
}

static void finish(struct sim *s)
{
	s->now += 100;
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct task *t = &s->task[i];

		if (t->doing == FREE)
			continue;
		if (t->doing != RUNNING)
			sim_put_books(s, t, 0, BK_END);
		if (!t->wake_seen || !t->in_seen)
			sim_truth(s, t)->hole_ns = t->hole_ns;
		sim_become(s, t, CLASS_UNTRACKED);
		sim_truth(s, t)->end_ns = s->now;
	}
	for (unsigned int cpu = 0; cpu < SIM_CPUS; cpu++)
		sim_tell_lost(s, cpu);
	s->out->end_ns = s->now;
}

static int in_time(const void *a, const void *b)
{
	const struct sim_event *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void sim_run(const struct sim_options *options, struct sim_result *ret_result)
{
	struct sim s = { .opt = options, .out = ret_result, .now = 1000 };

	s.random = (options->seed + 1) * 0x9e3779b97f4a7c15ull;
	memset(ret_result, 0, sizeof(*ret_result));
	snapshot(&s);
	for (unsigned int i = 0; i < options->steps; i++)
		step(&s);
	finish(&s);
	qsort(ret_result->event, ret_result->nr, sizeof(*ret_result->event), in_time);
}

void sim_free(struct sim_result *result)
{
	for (unsigned int i = 0; i < SIM_SERIALS; i++)
		free(result->thread[i].interval);
	free(result->event);
}
