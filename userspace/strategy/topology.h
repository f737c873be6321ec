/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How near two CPUs are to each other, from /sys/devices/system: the files cpu/cpuN/topology, cpu/cpuN/cache and node.
 *
 *   sibling   two threads of one core       cache    two cores that share a cache of level 2 or above
 *   node      of one NUMA node, sharing no cache      remote   of different nodes
 *
 * What a file does not say (a virtual machine often has no cache there) counts as not shared, and one node.
 */
#ifndef WHYSCALE_STRATEGY_TOPOLOGY_H
#define WHYSCALE_STRATEGY_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOPOLOGY_ROOT "/sys/devices/system"
#define TOPOLOGY_CACHE_LEVELS 5 /* [level]; 0 is not used */

enum cpu_distance { DISTANCE_SIBLING, DISTANCE_CACHE, DISTANCE_NODE, DISTANCE_REMOTE, DISTANCE_NR };

struct topology_cpu {
	int cpu;
	int package;                      /* -1: unknown */
	int core;                         /* the lowest CPU number of its core's threads */
	int node;                         /* 0 when there are no nodes */
	int cache[TOPOLOGY_CACHE_LEVELS]; /* the lowest CPU number that shares it; -1: none told of */
	uint64_t cache_bytes[TOPOLOGY_CACHE_LEVELS];
};

struct topology {
	struct topology_cpu *cpu; /* [nr], in order of their numbers; owned */
	unsigned int nr;
};

/* "sibling" ... */
const char *distance_name(enum cpu_distance distance);

/* Reads about these CPUs below `root` (TOPOLOGY_ROOT). -ENOMEM. */
int topology_read(const char *root, const int *cpus, unsigned int nr, struct topology *ret,
		  struct err *err);
void topology_free(struct topology *t);

/* Of two of its CPUs, by index. */
enum cpu_distance topology_distance(const struct topology *t, unsigned int a, unsigned int b);

/* The first pair of CPUs at that distance, by index. -ENOENT: there is none. */
int topology_pair(const struct topology *t, enum cpu_distance distance, unsigned int ret_pair[2]);

/* All indexes, one CPU of each core before any second one: as threads should be spread. `ret_order` has nr items. */
void topology_spread(const struct topology *t, unsigned int *ret_order);

/* A number that is another one when anything above changes (FNV-1a of it all). */
uint64_t topology_hash(const struct topology *t);

#endif
