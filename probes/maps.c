// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings probe: which file is mapped where in every traced process, so that addresses become names after they are gone.
 *
 *   the kernel -> perf's rings (maps_ring.h)  -> in order of time -> worth it? (maps_keep.h) -> env->mapping -> the trace
 *   /proc/PID/maps, at the start (maps_proc.h) --------------------^
 *
 * The rings are opened, then what runs already is read, then the rings: so nothing is missed in between, and what is told twice
 * does no harm. An event is passed on one tick after it was read, when no CPU can come with an older one any more: a
 * child's mapping on one CPU must not overtake its fork on another.
 * A ring that overflowed tells how many records it lost; then the processes that live are read again from /proc. What is not
 * known to be traced because its fork was lost is found there by its parent. mremap(2) is told by nobody.
 * Into the trace's META go "maps": {"stored": N, "skipped": N (maps_keep.h), "lost": N}, or {"unavailable": why}.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpulist.h"
#include "probes/maps_keep.h"
#include "probes/maps_proc.h"
#include "probes/maps_ring.h"
#include "probes/probe.h"

#define AGAIN_NS NSEC_PER_SEC /* /proc is read again at most this often */

struct maps {
	const struct probe_env *env;
	struct maps_ring *ring;
	struct maps_keep *keep;
	struct maps_ids *ids;
	struct err why; /* there is no ring */
	uint64_t last_read_ns, last_again_ns;
	uint64_t stored, lost, short_of_memory;
	bool again; /* records were lost: /proc is to be read again */
	int failed; /* of env->mapping */
};

/* ---- to the recorder ---- */

static void store(struct maps *s, const struct mapping *m)
{
	if (s->failed)
		return;
	s->failed = s->env->mapping(s->env->mapping_arg, m);
	s->stored += !s->failed;
}

static void store_if(struct maps *s, int keep, const struct mapping *m)
{
	if (keep > 0)
		store(s, m);
	s->short_of_memory += keep < 0;
}

static int store_mapped(void *arg, struct mapping *m)
{
	struct maps *s = arg;
	int keep = maps_keep_mapped(s->keep, m);

	if (keep > 0) {
		maps_ids_add(s->ids, m);
		maps_keep_stored(s->keep, m);
	}
	store_if(s, keep, m);
	return s->failed;
}

static void store_exec(struct maps *s, uint64_t time_ns, uint32_t tgid)
{
	struct mapping m = { .kind = MAPPING_EXEC, .time_ns = time_ns, .tgid = tgid };

	store_if(s, maps_keep_exec(s->keep, tgid), &m);
}

static void store_fork(struct maps *s, uint64_t time_ns, uint32_t parent, uint32_t child)
{
	struct mapping m = {
		.kind = MAPPING_FORK, .time_ns = time_ns, .tgid = child, .parent_tgid = parent
	};

	store_if(s, maps_keep_fork(s->keep, parent, child), &m);
}

/* ---- what the kernel tells ---- */

static void handle(struct maps *s, const struct map_event *e)
{
	uint64_t epoch = s->env->epoch_ns, time = e->time_ns > epoch ? e->time_ns - epoch : 0;
	struct mapping m = e->m;

	m.time_ns = time;
	switch (e->kind) {
	case MAP_EVENT_MAPPED:
		store_mapped(s, &m);
		break;
	case MAP_EVENT_EXEC:
		store_exec(s, time, m.tgid);
		break;
	case MAP_EVENT_FORK:
		store_fork(s, time, m.parent_tgid, m.tgid);
		break;
	case MAP_EVENT_EXIT:
		/* of its first thread: others may live on, and will have to be told again */
		if (!s->env->keep || maps_proc_threads((pid_t)m.tgid) <= 1)
			maps_keep_exit(s->keep, m.tgid);
		break;
	}
}

static void handle_until(struct maps *s, uint64_t before_ns)
{
	const struct map_event *e;
	uint64_t lost;

	while ((e = maps_ring_next(s->ring, before_ns)))
		handle(s, e);
	lost = maps_ring_lost(s->ring);
	s->again |= lost != s->lost;
	s->lost = lost;
}

/* ---- what runs already ---- */

static void each_process(struct maps *s, uint64_t time_ns,
			 void (*fn)(struct maps *s, uint64_t time_ns, pid_t pid))
{
	_cleanup_(closedir_p) DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0)
			fn(s, time_ns, pid);
	}
}

static void read_process(struct maps *s, uint64_t time_ns, pid_t pid)
{
	if (maps_keep_traced(s->keep, (uint32_t)pid))
		maps_proc_read(pid, time_ns, store_mapped, s);
}

/* After a loss: a child whose fork was not told is found by its parent. */
static void read_again(struct maps *s, uint64_t time_ns, pid_t pid)
{
	if (pid == getpid())
		return;
	if (!maps_keep_traced(s->keep, (uint32_t)pid)) {
		store_fork(s, time_ns, (uint32_t)maps_proc_parent(pid), (uint32_t)pid);
		store_exec(s, time_ns, (uint32_t)pid); /* if it has execed is not known */
	}
	read_process(s, time_ns, pid);
}

/* time_ns: up to when the rings' events were handled. What they tell later stands behind this. */
static void repair(struct maps *s, uint64_t time_ns)
{
	s->again = false;
	s->last_again_ns = monotonic_ns();
	each_process(s, time_ns - s->env->epoch_ns, read_again);
}

/* What the command has mapped before its exec is ours: it may lose its CPU there. A thread's process is followed without its children. */
static int add_targets(struct maps *s)
{
	const struct probe_env *env = s->env;
	pid_t self = getpid();
	int r = maps_keep_except(s->keep, (uint32_t)self);

	for (size_t i = 0; !r && i < env->nr_ids; i++) {
		bool process = env->mode == PROBE_PIDS;
		pid_t pid = process ? env->ids[i] : maps_proc_of_thread(env->ids[i]);

		if (pid && pid != self)
			r = maps_keep_process(s->keep, (uint32_t)pid, process);
		if (!r)
			read_process(s, 0, pid);
	}
	if (!r && env->mode == PROBE_ALL) {
		if (env->command)
			r = maps_keep_except(s->keep, (uint32_t)env->command);
		each_process(s, 0, read_process);
	}
	if (!r && env->command)
		r = maps_keep_process(s->keep, (uint32_t)env->command, true);
	if (!r && env->command)
		read_process(s, 0, env->command);
	return r;
}

/* ---- the probe ---- */

static void maps_close(void *state)
{
	struct maps *s = state;

	if (!s)
		return;
	maps_ring_close(s->ring);
	maps_keep_free(s->keep);
	maps_ids_free(s->ids);
	free(s);
}

/* Not an error where the kernel refuses: the trace says why it has no mappings. */
static int maps_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct maps *s = calloc(1, sizeof(*s));

	*ret_state = s;
	if (!s)
		return err_sys(err, -ENOMEM, "cannot watch the mappings");
	s->env = env;
	if (!env->mapping)
		return err_set(err, -EINVAL, "nobody takes the mappings");
	s->keep = maps_keep_new(env->mode == PROBE_ALL);
	s->ids = maps_ids_new();
	if (!s->keep || !s->ids)
		return err_sys(err, -ENOMEM, "cannot watch the mappings");
	if (env->keep)
		maps_keep_words(s->keep);
	maps_ring_open(env->online, env->nr_cpus, &s->ring, &s->why);
	s->last_read_ns = monotonic_ns();
	return 0;
}

static int maps_start(void *state, struct err *err)
{
	struct maps *s = state;

	if (!s->ring)
		return 0;
	if (add_targets(s))
		return err_sys(err, -ENOMEM, "cannot watch the mappings");
	return 0;
}

static bool maps_tick(void *state)
{
	struct maps *s = state;
	uint64_t now = monotonic_ns();
	bool soon;

	if (!s->ring)
		return false;
	soon = maps_ring_read(s->ring);
	handle_until(s, s->last_read_ns);
	if (s->again && now - s->last_again_ns > AGAIN_NS)
		repair(s, s->last_read_ns);
	s->last_read_ns = now;
	return soon;
}

static int tell_again(void *arg, const struct mapping *m)
{
	struct maps *s = arg;

	return s->env->mapping(s->env->mapping_arg, m);
}

/* All that was told and holds still. Not from /proc: there a read may wait for a lock of the process while the buffers fill. */
static int maps_key(void *state, struct err *err)
{
	struct maps *s = state;
	int r;

	if (!s->ring)
		return 0;
	maps_keep_tidy(s->keep);
	maps_ids_tidy(s->ids);
	r = maps_keep_each(s->keep, tell_again, s);
	return r ? err_sys(err, r, "cannot store the mappings") : 0;
}

static int maps_stop(void *state, struct err *err)
{
	struct maps *s = state;
	uint64_t now = monotonic_ns();

	if (!s->ring)
		return 0;
	maps_ring_read(s->ring);
	handle_until(s, now);
	if (s->again)
		repair(s, now);
	return s->failed ? err_sys(err, s->failed, "cannot store the mappings") : 0;
}

static int maps_meta(void *state, json_t *into)
{
	struct maps *s = state;
	json_t *maps;

	if (!s->ring)
		maps = json_pack("{s:s}", "unavailable", s->why.msg);
	else
		maps = json_pack("{s:I,s:I,s:I}", "stored", (json_int_t)s->stored, "skipped",
				 (json_int_t)maps_keep_skipped(s->keep), "lost",
				 (json_int_t)(s->lost + s->short_of_memory));
	return json_object_set_new(into, "maps", maps) ? -ENOMEM : 0;
}

/* The honest check is to open them. */
static int maps_check(struct err *why)
{
	_cleanup_(free_p) bool *online = NULL;
	struct maps_ring *ring;
	unsigned int nr_cpus;
	int r = cpulist_machine(&nr_cpus, &online, why);

	if (!r)
		r = maps_ring_open(online, nr_cpus, &ring, why);
	if (r)
		return r;
	maps_ring_close(ring);
	return 0;
}

const struct probe probe_maps = {
	.name = "maps",
	.gives =
		"which file is mapped where in every traced process, and each program's and library's build id",
	.without = "the names of functions and of locks: addresses remain numbers; nothing of the "
		   "ledger",
	.cost = "nothing a context switch; about 0.3 us a mmap(2) of any process of the machine",
	.check = maps_check,
	.open = maps_open,
	.start = maps_start,
	.tick = maps_tick,
	.key = maps_key,
	.stop = maps_stop,
	.meta = maps_meta,
	.close = maps_close,
};
