// SPDX-License-Identifier: GPL-2.0-only
/* The records and the truth of the small scheduler: see sched_sim_impl.h. */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "random.h"
#include "sched_sim_impl.h"

uint32_t sim_rnd(struct sim *s, uint32_t below)
{
	return random_star(&s->random, below);
}

static void append(struct sim *s, unsigned int cpu, const void *rec, size_t bytes)
{
	struct sim_result *out = s->out;
	struct sim_event *ev;

	if (vec_room(&out->event, &out->cap, out->nr + 1))
		abort();
	ev = &out->event[out->nr++];
	memset(ev, 0, sizeof(*ev));
	ev->time_ns = s->now;
	ev->cpu = cpu;
	ev->order = s->cpu[cpu].order++;
	memcpy(ev->rec, rec, bytes);
}

void sim_tell_lost(struct sim *s, unsigned int cpu)
{
	struct cpu *c = &s->cpu[cpu];
	struct ev_lost rec = {
		.w0 = EV_WORD0(s->now, EV_WORDS_OF(rec), EV_LOST, 0),
		.first_time = c->lost_first,
		.last_time = c->lost_last,
		.count = { [DROP_FULL] = c->lost },
	};

	if (!c->lost)
		return;
	append(s, cpu, &rec, sizeof(rec));
	c->lost = 0;
}

void sim_put(struct sim *s, unsigned int cpu, void *rec, unsigned int kind, unsigned int flags,
	     size_t bytes)
{
	struct cpu *c = &s->cpu[cpu];

	*(uint64_t *)rec = EV_WORD0(s->now, bytes / 8, kind, flags);
	if (s->opt->drops && !c->full && !sim_rnd(s, 60))
		c->full = 1 + sim_rnd(s, sim_rnd(s, 3) ? 4 : 40);
	if (c->full) {
		c->full--;
		if (!c->lost++)
			c->lost_first = s->now;
		c->lost_last = s->now;
		s->out->dropped++;
		return;
	}
	sim_tell_lost(s, cpu);
	append(s, cpu, rec, bytes);
}

struct sim_thread *sim_truth(struct sim *s, const struct task *t)
{
	return &s->out->thread[t->serial];
}

void sim_become(struct sim *s, struct task *t, enum ledger_class class)
{
	struct sim_thread *th = sim_truth(s, t);

	if (s->now > t->since_ns) {
		if (vec_room(&th->interval, &th->cap, th->nr + 1))
			abort();
		th->interval[th->nr++] = (struct sim_interval){ t->since_ns, s->now, t->class };
		th->ledger_ns[t->class] += s->now - t->since_ns;
	}
	t->since_ns = s->now;
	t->class = class;
}

void sim_put_wake(struct sim *s, struct task *t, unsigned int cpu, unsigned int kind,
		  unsigned int flags)
{
	struct ev_wake rec = { .wakee = t->serial, .seq = t->seq, .cpu = (uint16_t)t->cpu };
	const struct task *by = s->cpu[cpu].running;

	if (s->opt->locks)
		rec.why = sim_rnd(s, WHY_SIGNAL + 1);
	/* Who runs there does it, or one time in four an interrupt. */
	if (kind == EV_WAKE) {
		rec.waker = by ? by->serial : 0;
		flags |= WK_CONTEXT | (by && s->now & 3 ? 0 : WK_HARDIRQ);
	}
	sim_put(s, cpu, &rec, kind, flags, sizeof(rec));
}

void sim_put_books(struct sim *s, struct task *t, unsigned int cpu, unsigned int flags)
{
	struct sim_thread *th = sim_truth(s, t);
	struct ev_books rec = {
		.who = t->serial,
		.nvcsw = th->voluntary,
		.nivcsw = th->involuntary,
		.nr_migrations = th->migrations,
		.exec_ns = t->exec_ns,
		.delay_ns = t->delay_ns,
		.start_ns = t->serial > SIM_OLD ? SIM_EPOCH + th->start_ns : SIM_EPOCH - 1,
	};

	sim_put(s, cpu, &rec, EV_BOOKS, flags, sizeof(rec));
}

void sim_put_migrate(struct sim *s, struct task *t, unsigned int cpu, unsigned int to)
{
	struct ev_migrate rec = { .who = t->serial, .from = (uint16_t)t->cpu, .to = (uint16_t)to };

	sim_put(s, cpu, &rec, EV_MIGRATE, MG_QUEUED, sizeof(rec));
	t->cpu = to;
	sim_truth(s, t)->migrations++;
}

uint64_t sim_put_unbooked(struct sim *s, const struct task *t, unsigned int cpu, unsigned int flags,
			  uint64_t most)
{
	struct ev_unbooked rec = { .who = t->serial };

	if (s->opt->holes || s->opt->drops || !most || sim_rnd(s, 3))
		return 0;
	rec.ns = 1 + sim_rnd(s, most < 100000 ? (uint32_t)most : 100000);
	sim_put(s, cpu, &rec, EV_UNBOOKED, flags, sizeof(rec));
	return rec.ns;
}
