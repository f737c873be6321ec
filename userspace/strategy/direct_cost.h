/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the scheduler's own work costs on this machine: switches, wake-ups, hand-overs, making threads and processes. What it
 * costs indirectly, in caches that must be filled again: migration_cost.h.
 *
 * What happens on one CPU is measured in the CPU time of both threads, summed: one of them always runs, and what other programs
 * have of the CPU meanwhile is not in it. What happens across CPUs, and processes, is wall time.
 */
#ifndef WHYSCALE_STRATEGY_DIRECT_COST_H
#define WHYSCALE_STRATEGY_DIRECT_COST_H

#include <stdbool.h>

#include "base/err.h"
#include "strategy/median.h"
#include "strategy/topology.h"

/* All in ns; nr == 0: could not be measured. */
struct direct_costs {
	struct estimate
		yield; /* a switch: two threads of one CPU yield to each other; the system call is in it */
	struct estimate
		pipe; /* a byte through a pipe to a waiting thread of the same CPU: half of a round trip */
	struct estimate
		handover; /* a futex given to a waiting thread of the same CPU: half of a round trip */
	struct estimate wakeup
		[DISTANCE_NR]; /* from the call that wakes to the sleeper's running, on another CPU */
	struct estimate handover_across
		[DISTANCE_NR];  /* as handover, on two CPUs; who is given it may not sleep yet */
	struct estimate thread; /* a thread made, that ends at once, and joined */
	struct estimate fork;   /* a process forked, that ends at once, and collected */
	struct estimate exec;   /* a process that becomes /bin/true, made, run and collected */
};

/* Takes about a tenth of a second, `quick` a third of that. Returns a negative errno and a sentence when threads cannot be made. */
int direct_costs_measure(const struct topology *t, bool quick, struct direct_costs *ret,
			 struct err *err);

#endif
