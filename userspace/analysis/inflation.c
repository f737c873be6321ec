// SPDX-License-Identifier: GPL-2.0-only
/* Inflation, split by what is known: see inflation.h. */
#include "analysis/inflation.h"

#include <math.h>

const char *inflation_part_name(enum inflation_part part)
{
	static const char *const names[INFLATION_NR] = {
		"shared", "switches", "migrations", "steal", "instructions", "ipc", "unexplained",
	};

	return (unsigned int)part < INFLATION_NR ? names[part] : "?";
}

static int64_t whole(double ns)
{
	return isfinite(ns) && fabs(ns) < 9e18 ? (int64_t)llround(ns) : 0;
}

static void set_piece(struct inflation_piece *p, double ns, double low, double high)
{
	*p = (struct inflation_piece){ true, true, whole(ns), whole(fmin(low, high)),
				       whole(fmax(low, high)) };
}

/* The share of their time that n CPUs cost each other: what of k workers' time on CPUs was that, summed over k. */
static double shared_ns(const struct experiment *run, unsigned int cpus, double times)
{
	double sum = 0;

	for (size_t k = 2; k <= run->nr; k++) {
		double beside = k < cpus ? (double)(k - 1) / (cpus - 1) : 1;
		double slower = 1 + (times - 1) * beside;

		sum += (double)k * (double)run->oncpu_ns[k] * (1 - 1 / slower);
	}
	return sum;
}

static void make_shared(const struct experiment *run, const struct shared_capacity *c,
			struct inflation_piece *ret)
{
	if (!run->oncpu_ns || c->cpus < 2 || !(c->times_min > 0) || !(c->times > 0) ||
	    !(c->times_max > 0))
		return;
	set_piece(ret, shared_ns(run, c->cpus, c->times), shared_ns(run, c->cpus, c->times_min),
		  shared_ns(run, c->cpus, c->times_max));
}

/* Sums over the workers. */
struct worker_sums {
	bool steal_known;
	double switches, migrations, steal_ns;
};

static struct worker_sums sums_of(const struct experiment *e)
{
	struct worker_sums s = { .steal_known = e->nr > 0 && e->worker };

	for (size_t i = 0; e->worker && i < e->nr; i++) {
		s.switches += (double)e->worker[i].switches;
		s.migrations += (double)e->worker[i].migrations;
		s.steal_ns += (double)e->worker[i].steal_ns;
		s.steal_known &= e->worker[i].steal_known;
	}
	return s;
}

static void make_counted(double more, const struct cost_range *cost, struct inflation_piece *ret)
{
	if (cost->known)
		set_piece(ret, more * cost->ns, more * cost->low_ns, more * cost->high_ns);
}

static void make_measured(double ns, struct inflation_piece *ret)
{
	set_piece(ret, ns, ns, ns);
	ret->estimate = false;
}

static void make_counters(const struct experiment *run, const struct experiment *reference,
			  struct inflation_split *s)
{
	double i1 = (double)run->instructions, i0 = (double)reference->instructions;
	double c1 = (double)run->cycles, c0 = (double)reference->cycles;
	double t0 = (double)experiment_work_ns(reference), ipc;

	if (run->instructions && reference->instructions)
		make_measured((i1 - i0) * t0 / i0, &s->piece[INFLATION_INSTRUCTIONS]);
	if (!s->piece[INFLATION_INSTRUCTIONS].known || !run->cycles || !reference->cycles)
		return;
	ipc = (c1 - c0 * i1 / i0) * t0 / c0;
	ipc -= (double)(s->piece[INFLATION_SHARED].ns + s->piece[INFLATION_MIGRATIONS].ns);
	make_measured(ipc, &s->piece[INFLATION_IPC]);
}

static void make_rest(struct inflation_split *s)
{
	struct inflation_piece *rest = &s->piece[INFLATION_UNEXPLAINED];

	*rest = (struct inflation_piece){ true, false, s->total_ns, s->total_ns, s->total_ns };
	for (int part = 0; part < INFLATION_UNEXPLAINED; part++) {
		const struct inflation_piece *p = &s->piece[part];

		rest->estimate |= p->estimate;
		rest->ns -= p->ns;
		rest->low_ns -= p->high_ns;
		rest->high_ns -= p->low_ns;
	}
}

void inflation_make(const struct experiment *run, const struct experiment *reference,
		    const struct stack *stack, const struct shared_capacity *capacity,
		    const struct machine_costs *costs, struct inflation_split *ret_split)
{
	struct inflation_split *s = ret_split;
	struct worker_sums here, there;

	*s = (struct inflation_split){ .known = reference && stack->has_reference };
	if (!s->known)
		return;
	s->total_ns = stack->part_ns[STACK_INFLATION];
	s->capacity = *capacity;
	here = sums_of(run);
	there = sums_of(reference);
	make_shared(run, capacity, &s->piece[INFLATION_SHARED]);
	if (costs && run->bpf && reference->bpf) {
		make_counted(here.switches - there.switches, &costs->one_switch,
			     &s->piece[INFLATION_SWITCHES]);
		make_counted(here.migrations - there.migrations, &costs->migration,
			     &s->piece[INFLATION_MIGRATIONS]);
	}
	if (here.steal_known && there.steal_known)
		make_measured(here.steal_ns - there.steal_ns, &s->piece[INFLATION_STEAL]);
	make_counters(run, reference, s);
	make_rest(s);
}
