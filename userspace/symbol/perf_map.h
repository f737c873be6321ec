/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps that just-in-time compilers write for profilers, /tmp/perf-PID.map, a line for each piece of code they generate:
 *
 *   7f3c50001000 5c LazyCompile:~fib /srv/app.js:3        address and size in hexadecimal, then the name
 *
 * They are read when the trace is: a JIT appends to its map for as long as it lives. Where: the process that still lives says by
 * what pid it knows itself (NSpid of /proc/PID/status), and its /tmp is that below /proc/PID/root; of one that is gone, /tmp here.
 * /tmp is everybody's, so a map is taken only if it is a regular file, not a symbolic link, belongs to the process's user or
 * root (of a process that is gone, whose user is not known any more: to root or to the user who reads the trace), and
 * was written since the process began. Of several pieces at an address, the one written last is there.
 */
#ifndef WHYSCALE_SYMBOL_PERF_MAP_H
#define WHYSCALE_SYMBOL_PERF_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "symbol/resolve.h"

struct perf_map; /* one file */

/* Reads such a file whole; -EINVAL: not a line of it is well-formed; -EFBIG; -ENOMEM; those of read(2). Other lines are left out. */
int perf_map_read(int fd, struct perf_map **ret_map);
void perf_map_free(struct perf_map *m);

/* The name and start of what is at an address. O(log^2 n). */
bool perf_map_find(const struct perf_map *m, uint64_t address, const char **ret_name,
		   uint64_t *ret_start);

struct perf_maps; /* those of all processes */

struct perf_maps_place {
	const char *name; /* lives as long as the perf_maps */
	const char *path; /* the map's */
	bool guessed; /* when the process began is not known: the map may be that of an earlier process with its pid */
};

/* realtime_ns: see struct frames_options. The caller frees it. -ENOMEM. */
int perf_maps_new(uint64_t realtime_ns, struct perf_maps **ret_maps);
void perf_maps_free(struct perf_maps *m);

/*
 * What the map of a process, opened at the first question, has at an address. began_ns: when the process, or the program in it,
 * began, in time of the trace; 0: before the recording, or unknown.
 */
bool perf_maps_find(struct perf_maps *m, uint32_t tgid, uint64_t began_ns, uint64_t time_ns,
		    uint64_t address, struct perf_maps_place *ret_place);

/* Calls fn for each map that was there and not taken. */
void perf_maps_problems(const struct perf_maps *m, resolve_problem_fn fn, void *arg);

#endif
