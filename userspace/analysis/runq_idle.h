/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For how long some CPU of a set stood idle, one given CPU left out: exact, and in constant time for each question.
 *
 * A set of allowed CPUs keeps two sums: since when and how long at least one of its CPUs was idle, and for each CPU how long it was
 * the only one. So
 *
 *   some CPU but c idle  =  some CPU idle  -  only c idle
 *
 * Sets are those that threads are allowed (EV_TASK): few. Beyond IDLE_SETS_MAX, nothing is known.
 */
#ifndef WHYSCALE_ANALYSIS_RUNQ_IDLE_H
#define WHYSCALE_ANALYSIS_RUNQ_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/events.h"

#define IDLE_SETS_MAX 64
#define IDLE_NO_SET 0u

struct idle_cpus;

struct idle_cpus *idle_new(unsigned int nr_cpus);
void idle_free(struct idle_cpus *i);

/* CPU `cpu` is idle from now on, or not (or it is not known). Times only grow. */
void idle_change(struct idle_cpus *i, unsigned int cpu, bool idle, uint64_t now_ns);

/*
 * The set of these CPUs (nr: how many they are, with those that the bits do not show): a number for idle_elsewhere(), IDLE_NO_SET
 * for a single CPU, when there are too many sets, or when out of memory.
 */
unsigned int idle_set(struct idle_cpus *i, const uint64_t cpus[EV_CPUS_WORDS], uint32_t nr,
		      uint64_t now_ns);

/* For how long until now some CPU of the set other than `cpu` was idle; differences of two such values are what counts. */
uint64_t idle_elsewhere(struct idle_cpus *i, unsigned int set, unsigned int cpu, uint64_t now_ns);

#endif
