/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel tells of every process's mappings, execs and forks: a dummy event of perf on every CPU, through libperf, each
 * with its ring; merged by time. For probes/maps.c only.
 *
 * Events of CPUs, not of tasks: no task has a perf context to be switched, so a context switch costs nothing more.
 */
#ifndef WHYSCALE_PROBES_MAPS_RING_H
#define WHYSCALE_PROBES_MAPS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mapping.h"

enum map_event_kind { MAP_EVENT_MAPPED, MAP_EVENT_EXEC, MAP_EVENT_FORK, MAP_EVENT_EXIT };

struct map_event {
	enum map_event_kind kind;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	struct mapping m; /* MAPPED: all but time_ns and build id; else tgid, FORK: parent_tgid */
	char *path;       /* what m.path points to, or NULL: it is a constant */
};

struct maps_ring;

/* Opens them on these CPUs and lets them tell. Errors say why the kernel refuses; -ENOMEM. */
int maps_ring_open(const bool *online, unsigned int nr_cpus, struct maps_ring **ret_ring,
		   struct err *err);

/* Takes what the rings hold; true: one of them was a quarter full, so it is better to come again soon. */
bool maps_ring_read(struct maps_ring *r);

/*
 * The next event older than before_ns, or NULL; valid until the next call. They come in order of time over all CPUs if before_ns is a
 * moment before the last maps_ring_read() began: what was to come has come by then.
 */
const struct map_event *maps_ring_next(struct maps_ring *r, uint64_t before_ns);

/* Records that were lost because a ring was full, or memory short. */
uint64_t maps_ring_lost(const struct maps_ring *r);

void maps_ring_close(struct maps_ring *r);

#endif
