// SPDX-License-Identifier: GPL-2.0-only
/* One event: see counter_event.h. */
#include "probes/counter_event.h"

#include <errno.h>
#include <fcntl.h>
#include <internal/evsel.h>
#include <internal/xyarray.h>
#include <linux/perf_event.h>
#include <perf/cpumap.h>
#include <perf/evsel.h>
#include <perf/threadmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/confined.h"
#include "base/vec.h"

void event_close(struct event *e)
{
	for (size_t i = 0; i < e->nr; i++) {
		perf_evsel__close(e->evsels[i]);
		perf_evsel__delete(e->evsels[i]);
	}
	free(e->evsels);
	e->evsels = NULL;
	e->nr = e->cap = 0;
}

static int *fd_of(const struct perf_evsel *evsel, int cpu)
{
	return (int *)xyarray__entry(evsel->fd, cpu, 0);
}

/* libperf opens without PERF_FLAG_FD_CLOEXEC. */
static void close_on_exec(struct perf_evsel *evsel, int nr_cpus)
{
	for (int cpu = 0; cpu < nr_cpus; cpu++)
		fcntl(*fd_of(evsel, cpu), F_SETFD, FD_CLOEXEC);
}

static int open_on(struct perf_evsel *evsel, const struct subject *on)
{
	struct perf_thread_map *threads = NULL;
	pid_t tid = on->tid;
	int r;

	if (!on->cpus) {
		threads = perf_thread_map__new_array(1, &tid);
		if (!threads)
			return -ENOMEM;
	}
	r = perf_evsel__open(evsel, on->cpus, threads);
	perf_thread_map__put(threads);
	if (!r)
		close_on_exec(evsel, on->cpus ? perf_cpu_map__nr(on->cpus) : 1);
	return r;
}

static int open_evsel(const struct event_kind *kind, const struct subject *on, bool no_kernel,
		      struct perf_evsel **ret_evsel)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = kind->type,
		.config = kind->config,
		.config1 = kind->config1,
		.config2 = kind->config2,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		.disabled = 1,
		.inherit = on->inherit,
		.enable_on_exec = on->from_exec,
		.exclude_user = kind->only == ONLY_KERNEL,
		.exclude_kernel = no_kernel || kind->only == ONLY_USER,
		.exclude_hv = no_kernel || kind->only != ONLY_ALL,
	};
	struct perf_evsel *evsel = perf_evsel__new(&attr);
	int r = evsel ? open_on(evsel, on) : -ENOMEM;

	if (!r && !on->from_exec)
		r = perf_evsel__enable(evsel);
	if (r && evsel) {
		perf_evsel__close(evsel);
		perf_evsel__delete(evsel);
		return r;
	}
	*ret_evsel = evsel;
	return r;
}

bool event_refused(int code)
{
	return code == -EACCES || code == -EPERM;
}

int event_add(struct event *e, const struct event_kind *kind, const struct subject *on)
{
	int r;

	r = vec_room(&e->evsels, &e->cap, e->nr + 1); /* NOLINT(bugprone-sizeof-expression) */
	if (r)
		return r;
	r = open_evsel(kind, on, e->no_kernel, &e->evsels[e->nr]);
	if (event_refused(r) && !e->no_kernel && !e->nr && kind->view != USER_NONE) {
		e->no_kernel = true;
		r = open_evsel(kind, on, true, &e->evsels[e->nr]);
	}
	if (!r)
		e->nr++;
	return r == -ESRCH ? 0 : r;
}

int event_fd(const struct event *e, size_t i)
{
	return i < e->nr ? *fd_of(e->evsels[i], 0) : -1;
}

static int evsel_read(struct event *e, struct perf_evsel *evsel)
{
	int nr_cpus = xyarray__max_x(evsel->fd);

	for (int cpu = 0; cpu < nr_cpus; cpu++) {
		struct perf_counts_values v = {};
		int8_t how;
		int r = perf_evsel__read(evsel, cpu, 0, &v);

		if (r)
			return r;
		e->enabled_ns += v.ena;
		e->running_ns += v.run;
		perf_counts_values__scale(&v, true, &how);
		e->value += v.val;
		e->scaled |= how > 0 || (how < 0 && v.ena);
	}
	return 0;
}

int event_read(struct event *e)
{
	e->value = e->enabled_ns = e->running_ns = 0;
	for (size_t i = 0; i < e->nr; i++) {
		int r = evsel_read(e, e->evsels[i]);

		if (r)
			return r;
	}
	return e->enabled_ns && !e->running_ns ? -EBUSY : 0;
}

/* ---- why not ---- */

bool event_is_hardware(const struct event_kind *kind)
{
	return kind->type == PERF_TYPE_HARDWARE || kind->type == PERF_TYPE_HW_CACHE ||
	       kind->type == PERF_TYPE_RAW || kind->type >= PERF_TYPE_MAX;
}

static void say_refused(const struct event_kind *kind, char *text, size_t size)
{
	struct confined c;
	bool privileged;
	int level;

	confined_look(&c);
	privileged = confined_has(&c, CAP_PERFMON) || confined_has(&c, CAP_SYS_ADMIN);
	level = privileged && !c.user_ns ? -1 : c.perf_event_paranoid;
	if (level >= 2 && kind->view == USER_NONE)
		snprintf(text, size,
			 "it happens in the kernel, which with kernel.perf_event_paranoid=%d only "
			 "root (CAP_PERFMON) may look into",
			 level);
	else if (level >= 3)
		snprintf(text, size,
			 "kernel.perf_event_paranoid is %d: only root (CAP_PERFMON) may count",
			 level);
	else if (level >= 1)
		snprintf(text, size,
			 "kernel.perf_event_paranoid is %d: only root (CAP_PERFMON) may count what "
			 "is not a process of one's own",
			 level);
	else if (c.seccomp)
		snprintf(text, size,
			 "a seccomp filter (a container's policy) forbids perf_event_open(2)");
	else
		snprintf(text, size,
			 "the kernel refuses it: the process is another user's, or a security "
			 "module forbids perf_event_open(2)");
}

void event_why_not(const struct event_kind *kind, int code, bool have_hardware, char *text,
		   size_t size)
{
	bool hardware = event_is_hardware(kind);

	if (event_refused(code))
		say_refused(kind, text, size);
	else if (code == -EDOM)
		snprintf(text, size, "counted for each CPU it would include the idle time");
	else if (code == -ESRCH)
		snprintf(text, size, "there was no thread left to count");
	else if (code == -EBUSY)
		snprintf(text, size, "other events had the hardware counters all the time");
	else if (code == -EMFILE)
		snprintf(text, size, "too many threads for the limit of open files (ulimit -n)");
	else if (code == -ENOSYS)
		snprintf(text, size, "this kernel was built without CONFIG_PERF_EVENTS");
	else if (hardware && !have_hardware &&
		 (code == -ENOENT || code == -EOPNOTSUPP || code == -ENODEV))
		snprintf(text, size,
			 "this machine has no hardware counters (many virtual machines "
			 "hide them)");
	else if (hardware && code == -ENOENT)
		snprintf(text, size, "this processor does not count it");
	else
		snprintf(text, size, "the kernel does not open it (%s)", strerror(-code));
}
