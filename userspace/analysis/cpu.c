// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU's time: idle, ours, others', unknown.
 *
 * Between two records of switches on a CPU the first one's `next` ran if the second one's `prev` is the same. Switches
 * from one foreign thread to another are recorded only while a thread of ours waits there, but every switch to or from idle
 * or a thread of ours is, so foreign at both ends is foreign throughout. Anything else is unknown.
 */
#include "analysis/ledger_impl.h"

static void cpu_add(struct cpu_time *time, uint32_t who, uint64_t ns)
{
	if (who == WHO_IDLE)
		time->idle_ns += ns;
	else if (who & WHO_UNTRACKED)
		time->other_ns += ns;
	else
		time->tracked_ns += ns;
}

/* Closes what the CPU did until to_ns; who_then: who it was in the end. */
static void cpu_close(struct ledger *l, unsigned int cpu, uint64_t to_ns, uint32_t who_then)
{
	struct cpu_state *c = &l->cpu[cpu];
	uint64_t ns = to_ns > c->since_ns ? to_ns - c->since_ns : 0;

	if (c->who_known && (c->who == who_then || (c->who & who_then & WHO_UNTRACKED)))
		cpu_add(&l->cpu_time[cpu], who_then, ns);
	else
		l->cpu_time[cpu].unknown_ns += ns;
	c->since_ns += ns;
}

void cpu_switch(struct ledger *l, unsigned int cpu, const struct ev_switch *sw)
{
	struct cpu_state *c = &l->cpu[cpu];

	cpu_close(l, cpu, l->now_ns, sw->prev);
	c->who = sw->next;
	c->who_known = true;
	l->cpu_time[cpu].switches++;
}

void cpu_lost(struct ledger *l, unsigned int cpu, uint64_t first_ns)
{
	cpu_close(l, cpu, first_ns, l->cpu[cpu].who);
	l->cpu[cpu].who_known = false;
	l->cpu[cpu].losses++;
}

void cpu_finish(struct ledger *l, uint64_t end_ns)
{
	for (unsigned int i = 0; i < l->nr_cpus; i++)
		cpu_close(l, i, end_ns, l->cpu[i].who);
}

const struct cpu_time *ledger_cpus(const struct ledger *l, unsigned int *ret_nr)
{
	*ret_nr = l->nr_cpus;
	return l->cpu_time;
}
