/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One event, counted over threads or CPUs, through libperf. For probes/counter.c only.
 *
 * Threads are opened one by one, as each may end meanwhile. Without the right to look into the kernel the event is opened with
 * exclude_kernel, where that leaves something to count.
 */
#ifndef WHYSCALE_PROBES_COUNTER_EVENT_H
#define WHYSCALE_PROBES_COUNTER_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct perf_cpu_map;
struct perf_evsel;

/* What a user who may not look into the kernel still gets of an event. */
enum user_view {
	USER_PART, /* what happens in user space */
	USER_ALL,  /* everything: the clock does not ask where it is */
	USER_NONE, /* nothing: it would always read 0, as the kernel does it */
};

struct event_kind {
	const char *name, *unit;
	uint64_t config;
	uint32_t type; /* PERF_TYPE_* */
	enum user_view view;
};

struct event {
	struct perf_evsel **evsels; /* of a thread each, or one of all CPUs */
	size_t nr, cap;
	bool no_kernel; /* opened with exclude_kernel */
	int code;       /* why it does not count: negative errno */
	uint64_t value, enabled_ns, running_ns;
	bool scaled; /* it had to share the hardware: the value is extrapolated */
};

/* Whose events are opened: the CPUs, or a thread. */
struct subject {
	struct perf_cpu_map *cpus;
	pid_t tid;
	bool from_exec; /* counts from the thread's next exec on, not at once */
	bool inherit;   /* counts what the thread starts later, too */
};

/* Opens the event for one more subject and lets it count; 0 also when the thread has ended. Else a negative errno. */
int event_add(struct event *e, const struct event_kind *kind, const struct subject *on);

/* Reads the sums over all subjects; 0, or a negative errno, -EBUSY when the hardware never had time for it. */
int event_read(struct event *e);

/* The caller may not look into the kernel, or not at this process. */
bool event_refused(int code);

void event_close(struct event *e);

#endif
