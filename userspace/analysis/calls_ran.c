// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time on a CPU to the samples: each gets what its thread ran since the sample before.
 *
 *   ran       |------------|      |---------------|        |-------- (the thread's end)
 *   samples         A                   B   C
 *   weight    |--A--|---------B---------|-C-|----- C -----------
 */
#include <errno.h>
#include <string.h>

#include "analysis/calls_impl.h"
#include "base/vec.h"

static void weigh(struct calls *c, struct called *d, const struct thread *t, uint32_t stack,
		  uint64_t ns, uint64_t count)
{
	const struct row_key key = { .serial = c->o->per_thread ? t->serial : 0, .stack = stack };

	if (ns || count)
		calls_add(c, &key, ns, count);
	d->given_ns += ns;
}

/* A sample of the thread, after ran_ns more on a CPU. Within a gap nobody knows where it was. */
static void take_sample(struct calls *c, struct called *d, const struct thread *t,
			const struct sample *s, uint64_t ran_ns)
{
	if (s->gap_ns) {
		uint64_t lost_ns = ran_ns < s->gap_ns ? ran_ns : s->gap_ns;

		weigh(c, d, t, STACK_NONE, lost_ns, 0);
		d->carry_ns += ran_ns - lost_ns;
		return;
	}
	weigh(c, d, t, s->stack, d->carry_ns + ran_ns, 1);
	d->carry_ns = 0;
	d->last_stack = s->stack;
	d->sampled = true;
}

/* An interval of the thread's is over: its samples get the on-CPU time in front of them. */
void calls_ran(struct calls *c, struct called *d, const struct thread *t, uint64_t from_ns,
	       uint64_t to_ns, enum ledger_class class)
{
	size_t i;

	for (i = 0; i < d->nr_samples && d->sample[i].time_ns <= to_ns; i++) {
		const struct sample *s = &d->sample[i];
		uint64_t ran_ns = 0;

		if (class == CLASS_ONCPU && s->time_ns > from_ns) {
			ran_ns = s->time_ns - from_ns;
			from_ns = s->time_ns;
		}
		take_sample(c, d, t, s, ran_ns);
	}
	if (i)
		memmove(d->sample, d->sample + i, (d->nr_samples - i) * sizeof(*d->sample));
	d->nr_samples -= i;
	if (class == CLASS_ONCPU)
		d->carry_ns += to_ns - from_ns;
}

static void keep_sample(struct calls *c, struct called *d, const struct sample *s)
{
	if (vec_room(&d->sample, &d->cap_samples, d->nr_samples + 1))
		c->failed = -ENOMEM;
	else
		d->sample[d->nr_samples++] = *s;
}

/* This CPU dropped records: samples of the thread that runs there may have been among them. */
void calls_lost(struct calls *c, const struct ev_lost *rec, unsigned int cpu)
{
	uint32_t who = c->cpu[cpu].current;
	struct called *d = who && ledger_find(c->loaded->ledger, who) ? calls_of(c, who) : NULL;
	struct sample gap = { .time_ns = rec->last_time < c->now_ns ? rec->last_time : c->now_ns };
	uint64_t from_ns = rec->first_time;

	if (d && d->nr_samples && d->sample[d->nr_samples - 1].time_ns > from_ns)
		from_ns = d->sample[d->nr_samples - 1].time_ns;
	if (!d || !rec->count[DROP_FULL] || from_ns >= gap.time_ns)
		return;
	gap.gap_ns = gap.time_ns - from_ns;
	keep_sample(c, d, &gap);
}

void calls_sample(struct calls *c, struct called *d, uint32_t stack)
{
	keep_sample(c, d, &(struct sample){ .time_ns = c->now_ns, .stack = stack });
}

void calls_ran_settle(struct calls *c, struct called *d, const struct thread *t)
{
	if (d->sampled)
		weigh(c, d, t, d->last_stack, d->carry_ns, 0);
	d->carry_ns = 0;
}
