/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the CPUs of this machine are worth together: two virtual CPUs may be two cores, or two
 * threads of one, or share a host with others, and no scheduler event tells. So it is measured,
 * with the loop that the strategies use, close in time to what it explains:
 *
 *   round 1: alone on CPU 0 | together on CPUs 0..n-1 | round 2: alone on CPU 1 | together | ...
 *
 * Interleaved, since the speed of a machine drifts with its host: both halves of a ratio are of the same moment.
 */
#ifndef WHYSCALE_STRATEGY_CAPACITY_H
#define WHYSCALE_STRATEGY_CAPACITY_H

#include <stdint.h>

#include "base/err.h"

struct capacity {
	unsigned int cpus;    /* as many as were asked for, or allowed to this process */
	double rate_alone;    /* turns per second of one pinned loop: the median of the rounds */
	double rate_together; /* turns per second of all loops at once, summed: the median */
	double worth;     /* together / alone: median of the rounds' ratios; 2.0: two whole CPUs */
	double worth_min; /* the rounds' smallest and largest ratio: how far to trust it */
	double worth_max;
	double inflation; /* CPU time per turn, together / alone: median; 1.0: no dearer together */
	double inflation_min, inflation_max; /* the rounds' smallest and largest */
	double had_cpu; /* share of their time in which the loops had their CPUs: below 1, others had them */
	int64_t steal_ns; /* taken by the host meanwhile, all CPUs, by /proc/stat; -1 if unknown */
};

/*
 * Takes budget_ns of wall time and `nr` CPUs (0: all that this process may use). Pins only threads
 * of its own. Returns a negative errno and a sentence if a thread could not be started or pinned.
 */
int capacity_measure(unsigned int nr, uint64_t budget_ns, struct capacity *ret, struct err *err);

/* CPUs to run one loop on each, at once. */
struct capacity_set {
	const int *cpus;
	unsigned int nr;
};

struct capacity_plan {
	const int *cpus; /* the loop alone runs on each of these in turn */
	unsigned int nr_cpus;
	const struct capacity_set *set;
	unsigned int nr_sets;
	unsigned int rounds; /* at most 64 */
	uint64_t slice_ns; /* each loop runs for so long: rounds * (1 + nr_sets) * slice_ns in all */
};

/* The same for several sets: in each round the loop alone, then each set. `ret` has nr_sets items; steal_ns is of all. */
int capacity_measure_sets(const struct capacity_plan *plan, struct capacity *ret, struct err *err);

/* Of two measurements of the same CPUs, before and after something: the mean, and the wider spread. Into a, which b replaces if its cpus are 0. */
void capacity_merge(struct capacity *a, const struct capacity *b);

/* The CPUs that this process may use, at most `max` of them (0: all). The caller frees *ret_cpus. */
int capacity_cpus(unsigned int max, int **ret_cpus, unsigned int *ret_nr, struct err *err);

#endif
