/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the CPUs of this machine are worth together: two virtual CPUs may be two cores, or two
 * threads of one, or share a host with others, and no scheduler event tells. So it is measured,
 * with the loop that the strategies use, close in time to what it explains:
 *
 *   round 1: alone on CPU 0 | together on CPUs 0..n-1 | round 2: alone on CPU 1 | together | ...
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
	int64_t steal_ns; /* taken by the host meanwhile, all CPUs, by /proc/stat; -1 if unknown */
};

/*
 * Takes budget_ns of wall time and `nr` CPUs (0: all that this process may use). Pins only threads
 * of its own. Returns a negative errno and a sentence if a thread could not be started or pinned.
 */
int capacity_measure(unsigned int nr, uint64_t budget_ns, struct capacity *ret, struct err *err);

#endif
