/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For test_maps.c: programs that map, exec and fork, the probe recording them, and a reader of what it told.
 *
 * The programs are the test itself, run again with a role: it does its work, copies its /proc/self/maps into a pipe as the oracle,
 * and waits. A role is words:
 *
 *   library, file, shared, hide     what is mapped: see work()
 *   anonymous-flood, code-flood     MAPS_FLOOD times
 *   wait                            first: it tells its maps before its work, too, and waits for a byte
 *   exec:ROLE                       it goes on as another image, in that role
 *   fork, stay                      a child works and tells, too; it stays, stopped, until the role ends
 */
#ifndef WHYSCALE_TESTS_MAPS_ROLE_H
#define WHYSCALE_TESTS_MAPS_ROLE_H

#include <stdio.h>

#include "probes/probe.h"

#define MAPS_LIBRARY "libutil.so.1" /* of libc, and in nothing of ours */
#define MAPS_FLOOD 60000

/* main() of a test that was run with a role and two file descriptors. */
int maps_play(const char *role, int out, int in);

/* What the probe told, in its order. */
struct maps_told {
	struct mapping *all;
	size_t nr, cap;
};

int maps_told_add(void *told, const struct mapping *m); /* a copy */
void maps_told_free(struct maps_told *t);

/* A role under way, and what the probe has told so far. */
struct maps_run {
	pid_t pid;
	int go, in;  /* a byte lets it exec; one more, go on */
	FILE *texts; /* what it tells */
	struct probe_env env;
	bool *online;
	void *state;
	struct maps_told told;
};

struct maps_run maps_hold(const char *role);
void maps_let(int fd);
void maps_end(struct maps_run *r);

/* command: of the recording, or 0. */
void maps_open_probe(struct maps_run *r, enum probe_mode mode, pid_t command);
void maps_start_probe(struct maps_run *r);

/* Ticks until the role has told its last maps. */
void maps_tick(struct maps_run *r);

/* Stops the probe; what it says of itself is the caller's. */
json_t *maps_stop_probe(struct maps_run *r);
int64_t maps_number(const json_t *meta, const char *name);

/* Reads from r->texts what a process of the role tells of its maps and, with check_it, compares it with what the probe told. Its pid. */
uint32_t maps_check(struct maps_run *r, bool check_it);

/* How many the probe told of that kind and process. */
size_t maps_count(const struct maps_told *t, uint32_t tgid, enum mapping_kind kind);

#endif
