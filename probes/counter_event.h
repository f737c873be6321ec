/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One event, counted over threads or CPUs, through libperf. For probes/counter*.c only.
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

/* What is asked for. */
enum event_only { ONLY_ALL, ONLY_USER, ONLY_KERNEL };

struct event_kind {
	const char *name, *unit;
	uint64_t config;
	uint32_t type; /* PERF_TYPE_*, or a counting unit's */
	enum user_view view;
	enum event_only only;
	uint64_t config1, config2; /* of a counting unit */
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

/* The file descriptor of the i-th subject (of a thread, or of one CPU); it stays the event's. */
int event_fd(const struct event *e, size_t i);

/* The caller may not look into the kernel, or not at this process. */
bool event_refused(int code);

/* It is the processor's, not the kernel's. */
bool event_is_hardware(const struct event_kind *kind);

/*
 * Why an event does not count, by its code, as the end of a sentence. have_hardware: another event of the processor's does. Sizes of some
 * 200 bytes hold all of it.
 */
void event_why_not(const struct event_kind *kind, int code, bool have_hardware, char *text,
		   size_t size);

void event_close(struct event *e);

#endif
