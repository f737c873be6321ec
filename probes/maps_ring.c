// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rings: see maps_ring.h.
 *
 * perf_event_attr.build_id would have the kernel tell build ids, but it must not be used: seen from 5.12 to 6.18, the kernel leaves
 * PERF_RECORD_MISC_MMAP_BUILD_ID set in what it then writes of the same mapping for other events. With one such event of ours
 * a `perf record -a` that had begun before took device numbers for build ids, 254 bytes long, and crashed.
 */
#include "probes/maps_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <internal/evsel.h>
#include <internal/xyarray.h>
#include <linux/perf_event.h>
#include <perf/core.h>
#include <perf/cpumap.h>
#include <perf/event.h>
#include <perf/evlist.h>
#include <perf/evsel.h>
#include <perf/mmap.h>
#include <perf/threadmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/confined.h"
#include "base/vec.h"

#define RING_PAGES 128 /* of data, of each CPU */
#define LEAST_PAGES 4

/* What stands at the end of every record: PERF_SAMPLE_TIME. */
#define TRAILER sizeof(uint64_t)

struct ring {
	struct map_event *events;
	size_t head, nr, cap;
};

struct maps_ring {
	struct perf_evlist *evlist;
	struct perf_evsel *event; /* the evlist's */
	struct ring *rings;
	size_t nr_rings, ring_bytes;
	uint64_t lost;
	char *given; /* the path of the event given last */
};

/* ---- opening ---- */

static struct perf_evsel *add_event(struct maps_ring *r, bool tell_lost)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.read_format = tell_lost ? PERF_FORMAT_LOST : 0,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.mmap = 1,
		.mmap2 = 1,
		.mmap_data = 1,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
	};
	struct perf_evsel *evsel = perf_evsel__new(&attr);

	if (evsel)
		perf_evlist__add(r->evlist, evsel);
	return evsel;
}

static int set_maps(struct maps_ring *r, const char *cpu_list)
{
	struct perf_cpu_map *cpus = perf_cpu_map__new(cpu_list);
	struct perf_thread_map *everyone = perf_thread_map__new_dummy();
	int code = cpus && everyone ? 0 : -ENOMEM;

	if (!code)
		perf_evlist__set_maps(r->evlist, cpus, everyone);
	perf_cpu_map__put(cpus);
	perf_thread_map__put(everyone);
	return code;
}

/* libperf opens without PERF_FLAG_FD_CLOEXEC. */
static void close_on_exec(struct perf_evsel *evsel)
{
	for (int cpu = 0; cpu < xyarray__max_x(evsel->fd); cpu++)
		fcntl(*(int *)xyarray__entry(evsel->fd, cpu, 0), F_SETFD, FD_CLOEXEC);
}

/* perf_evlist__delete() leaves the evsel's references to the maps. */
static void release_events(struct maps_ring *r)
{
	if (!r->evlist)
		return;
	perf_evlist__munmap(r->evlist);
	perf_evlist__close(r->evlist);
	if (r->event) {
		perf_cpu_map__put(take_ptr(r->event->cpus));
		perf_thread_map__put(take_ptr(r->event->threads));
	}
	perf_evlist__delete(r->evlist);
	r->evlist = NULL;
	r->event = NULL;
}

static int try_open(struct maps_ring *r, const char *cpu_list, bool tell_lost, int pages)
{
	int code;

	r->evlist = perf_evlist__new();
	r->event = r->evlist ? add_event(r, tell_lost) : NULL;
	if (!r->event)
		return -ENOMEM;
	code = set_maps(r, cpu_list);
	if (!code)
		code = perf_evlist__open(r->evlist);
	if (code)
		return code;
	close_on_exec(r->event);
	errno = 0;
	if (!perf_evlist__mmap(r->evlist, pages))
		return 0;
	return errno == EPERM || errno == ENOMEM ? -ENOBUFS : errno ? -errno : -EIO;
}

/* A kernel that cannot tell an event's losses (before 6.0) says EINVAL; with little memory to be locked the rings are smaller. */
static int open_best(struct maps_ring *r, const char *cpu_list)
{
	bool tell_lost = true;
	int pages = RING_PAGES, code;

	for (;;) {
		code = try_open(r, cpu_list, tell_lost, pages);
		if (!code)
			break;
		release_events(r);
		if (code == -EINVAL && tell_lost)
			tell_lost = false;
		else if (code == -ENOBUFS && pages > LEAST_PAGES)
			pages /= 2;
		else
			return code;
	}
	r->ring_bytes = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int say_why_not(struct err *err, int code)
{
	switch (code) {
	case -EACCES:
	case -EPERM:
	case -ENOSYS:
		return confined_from_perf(err, code, "watching all processes");
	case -ENOBUFS:
		return err_set(err, code,
			       "no memory may be locked for its rings: raise "
			       "kernel.perf_event_mlock_kb or ulimit -l");
	case -EMFILE:
		return err_set(err, code,
			       "it takes an open file a CPU, more than the limit (ulimit -n)");
	default:
		return err_sys(err, code, "the kernel does not open the dummy events");
	}
}

static char *list_cpus(const bool *online, unsigned int nr_cpus)
{
	size_t size = nr_cpus * 6ul + 1, len = 0;
	char *list = calloc(1, size);

	for (unsigned int cpu = 0; list && cpu < nr_cpus; cpu++)
		if (online[cpu])
			len += (size_t)snprintf(list + len, size - len, "%s%u", len ? "," : "",
						cpu);
	return list;
}

static int make_rings(struct maps_ring *r)
{
	r->nr_rings = (size_t)xyarray__max_x(r->event->fd);
	r->rings = calloc(r->nr_rings, sizeof(*r->rings));
	if (!r->rings)
		return -ENOMEM;
	perf_evlist__enable(r->evlist);
	return 0;
}

int maps_ring_open(const bool *online, unsigned int nr_cpus, struct maps_ring **ret_ring,
		   struct err *err)
{
	_cleanup_(free_p) char *list = list_cpus(online, nr_cpus);
	struct maps_ring *r = calloc(1, sizeof(*r));
	struct rlimit old, more;
	bool limited = !getrlimit(RLIMIT_NOFILE, &old);
	int code = -ENOMEM;

	*ret_ring = NULL;
	libperf_init(NULL); /* its page size; it shall not print */
	if (limited) {
		more = (struct rlimit){ .rlim_cur = old.rlim_max, .rlim_max = old.rlim_max };
		limited = !setrlimit(RLIMIT_NOFILE, &more);
	}
	if (list && r)
		code = open_best(r, list);
	if (limited)
		setrlimit(RLIMIT_NOFILE, &old);
	if (!code)
		code = make_rings(r);
	if (code) {
		maps_ring_close(r);
		return say_why_not(err, code);
	}
	*ret_ring = r;
	return 0;
}

/* ---- records to events ---- */

/* False when out of memory. */
static bool parse_mmap2(const union perf_event *e, size_t end, struct map_event *to)
{
	const struct perf_record_mmap2 *rec = &e->mmap2;
	size_t len = strnlen(rec->filename, end - offsetof(struct perf_record_mmap2, filename));

	to->kind = MAP_EVENT_MAPPED;
	to->m = (struct mapping){
		.kind = MAPPING_ADD,
		.tgid = rec->pid,
		.prot = rec->prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
		.flags = rec->flags & (MAP_SHARED | MAP_PRIVATE),
		.start = rec->start,
		.end = rec->start + rec->len,
		.offset = rec->pgoff,
		.dev_major = rec->maj,
		.dev_minor = rec->min,
		.inode = rec->ino,
		.generation = rec->ino_generation,
	};
	if (rec->filename[0] == '[' || !strncmp(rec->filename, "//", 2))
		to->m.offset = 0; /* of no file: it is the address */
	if (len == strlen("//anon") && !memcmp(rec->filename, "//anon", len)) {
		to->m.path = "//anon"; /* the many */
		return true;
	}
	to->m.path = to->path = strndup(rec->filename, len);
	return to->path;
}

static bool parse_task(const union perf_event *e, enum map_event_kind kind, struct map_event *to)
{
	to->kind = kind;
	to->m.tgid = e->fork.pid;
	to->m.parent_tgid = e->fork.ppid;
	/* a thread is no new process, and its end not the process's */
	return e->fork.pid != (kind == MAP_EVENT_FORK ? e->fork.ppid : 0) &&
	       e->fork.pid == e->fork.tid;
}

static bool parse_comm(const union perf_event *e, struct map_event *to)
{
	to->kind = MAP_EVENT_EXEC;
	to->m.tgid = e->comm.pid;
	return e->header.misc & PERF_RECORD_MISC_COMM_EXEC;
}

/* 1: an event; 0: nothing for us; -ENOMEM. */
static int parse(const union perf_event *e, struct map_event *to)
{
	size_t end = e->header.size - TRAILER;
	bool is_event;

	if (e->header.size < sizeof(e->header) + 8 + TRAILER)
		return 0;
	*to = (struct map_event){};
	memcpy(&to->time_ns, (const char *)e + end, sizeof(to->time_ns));
	switch (e->header.type) {
	case PERF_RECORD_MMAP2:
		if (end <= offsetof(struct perf_record_mmap2, filename))
			return 0;
		if (!parse_mmap2(e, end, to))
			return -ENOMEM;
		is_event = true;
		break;
	case PERF_RECORD_COMM:
		is_event = parse_comm(e, to);
		break;
	case PERF_RECORD_FORK:
		is_event = parse_task(e, MAP_EVENT_FORK, to);
		break;
	case PERF_RECORD_EXIT:
		is_event = parse_task(e, MAP_EVENT_EXIT, to);
		break;
	default:
		return 0;
	}
	/* 0, -1: a process of another pid namespace, or none any more */
	return is_event && to->m.tgid && to->m.tgid != UINT32_MAX;
}

static void take_record(struct maps_ring *r, struct ring *ring, const union perf_event *e)
{
	struct map_event event = {};
	int code;

	if (e->header.type == PERF_RECORD_LOST) {
		r->lost += e->lost.lost;
		return;
	}
	code = parse(e, &event);
	if (code > 0) {
		code = vec_room(&ring->events, &ring->cap, ring->nr + 1);
		if (!code) {
			ring->events[ring->nr++] = event;
			return;
		}
	}
	r->lost += code < 0;
	free(event.path);
}

/* ---- reading ---- */

/* Without perf_mmap__read_done(), which is for rings that are overwritten: it skips what came since the last record was read. */
static size_t read_ring(struct maps_ring *r, struct ring *ring, struct perf_mmap *map)
{
	const union perf_event *e;
	size_t bytes = 0;

	if (ring->head) {
		memmove(ring->events, ring->events + ring->head,
			(ring->nr - ring->head) * sizeof(*ring->events));
		ring->nr -= ring->head;
		ring->head = 0;
	}
	if (perf_mmap__read_init(map) < 0)
		return 0;
	while ((e = perf_mmap__read_event(map))) {
		bytes += e->header.size;
		take_record(r, ring, e);
		perf_mmap__consume(map);
	}
	return bytes;
}

bool maps_ring_read(struct maps_ring *r)
{
	struct perf_mmap *map;
	bool soon = false;
	size_t i = 0;

	perf_evlist__for_each_mmap(r->evlist, map, false) {
		if (i < r->nr_rings && read_ring(r, &r->rings[i], map) > r->ring_bytes / 4)
			soon = true;
		i++;
	}
	return soon;
}

const struct map_event *maps_ring_next(struct maps_ring *r, uint64_t before_ns)
{
	struct ring *oldest = NULL;
	struct map_event *e;

	for (size_t i = 0; i < r->nr_rings; i++) {
		struct ring *ring = &r->rings[i];

		if (ring->head < ring->nr &&
		    (!oldest ||
		     ring->events[ring->head].time_ns < oldest->events[oldest->head].time_ns))
			oldest = ring;
	}
	free(take_ptr(r->given));
	if (!oldest || oldest->events[oldest->head].time_ns >= before_ns)
		return NULL;
	e = &oldest->events[oldest->head++];
	r->given = take_ptr(e->path);
	return e;
}

/* A loss is told by the ring's next record, if there is one: the event's own count may be ahead. */
uint64_t maps_ring_lost(const struct maps_ring *r)
{
	bool told = r->event->attr.read_format & PERF_FORMAT_LOST;
	uint64_t lost = 0;

	for (size_t cpu = 0; told && cpu < r->nr_rings; cpu++) {
		struct perf_counts_values v = {};

		if (!perf_evsel__read(r->event, (int)cpu, 0, &v))
			lost += v.lost;
	}
	return lost > r->lost ? lost : r->lost;
}

void maps_ring_close(struct maps_ring *r)
{
	if (!r)
		return;
	release_events(r);
	for (size_t i = 0; i < r->nr_rings; i++) {
		for (size_t k = r->rings[i].head; k < r->rings[i].nr; k++)
			free(r->rings[i].events[k].path);
		free(r->rings[i].events);
	}
	free(r->rings);
	free(r->given);
	free(r);
}
