/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a thread loses when it goes on on another CPU: its first slice there takes longer, since the caches near that CPU do not hold
 * its working set.
 *
 *   moved:    warm up on CPU a | move to b   | one slice, timed       matched, in turns:
 *   stayed:   warm up on CPU a | "move" to a | one slice, timed       the difference of the two is one measurement
 *
 * A slice does a fixed piece of arithmetic and walks once over the working set, in an order that no prefetcher follows. The matched
 * slice went through the same system call; the time within the call is in neither. Times are the thread's CPU time.
 */
#ifndef WHYSCALE_STRATEGY_MIGRATION_COST_H
#define WHYSCALE_STRATEGY_MIGRATION_COST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "strategy/median.h"
#include "strategy/topology.h"

struct migration_cost {
	enum cpu_distance distance;
	size_t bytes;            /* working set */
	struct estimate stay_ns; /* a slice without a migration */
	struct estimate
		extra_ns; /* what it takes longer after one: median of the pairs' differences; may be below 0, within the noise */
};

/* Working sets: 0, 64 KiB, 512 KiB, 4 MiB, 16 MiB; for each distance that there is. */
#define MIGRATION_SIZES 5
#define MIGRATION_COSTS_MAX (MIGRATION_SIZES * DISTANCE_NR)

struct migration_costs {
	struct migration_cost cost[MIGRATION_COSTS_MAX];
	size_t nr; /* 0: there is only one CPU */
};

/* Takes a second or two; `quick`, some tenths, and leaves out the largest working set. */
int migration_costs_measure(const struct topology *t, bool quick, struct migration_costs *ret,
			    struct err *err);

#endif
