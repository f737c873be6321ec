// SPDX-License-Identifier: GPL-2.0-only
/* Finding the JIT's map of a process, and whether it is to be trusted: see perf_map.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "symbol/perf_map.h"

#define SLACK_NS (2 * NSEC_PER_SEC) /* clocks of processes and files tick apart, and are set */

struct its_map {
	uint32_t tgid;
	uint64_t began_ns;
	struct perf_map *map; /* NULL: none */
	bool guessed;
	char *path, *problem; /* NULL: there is no such file; not refused */
};

struct perf_maps {
	uint64_t realtime_ns;
	struct its_map *maps;
	size_t nr, cap;
};

/* What is known of a process that lives. */
struct living {
	long pid; /* in its own namespace */
	uid_t uid;
	uint64_t began_ns; /* CLOCK_REALTIME */
};

/* Whose map it is, and when he began. */
struct owner {
	uint32_t tgid;
	bool lives, began_known;
	uid_t uid;
	uint64_t began_ns; /* CLOCK_REALTIME */
};

int perf_maps_new(uint64_t realtime_ns, struct perf_maps **ret_maps)
{
	*ret_maps = calloc(1, sizeof(**ret_maps));
	if (!*ret_maps)
		return -ENOMEM;
	(*ret_maps)->realtime_ns = realtime_ns;
	return 0;
}

void perf_maps_free(struct perf_maps *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr; i++) {
		perf_map_free(m->maps[i].map);
		free(m->maps[i].path);
		free(m->maps[i].problem);
	}
	free(m->maps);
	free(m);
}

static FILE *open_proc(uint32_t tgid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", tgid, name);
	return fopen(path, "re");
}

/* The pid by which the process knows itself is the last one of NSpid. */
static bool read_status(uint32_t tgid, struct living *ret)
{
	_cleanup_(fclose_p) FILE *f = open_proc(tgid, "status");
	char line[256];
	int found = 0;

	while (f && fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, '\t');

		if (!strncmp(line, "Uid:\t", 5)) {
			/* the second is the effective one, with which files are made */
			found |= sscanf(line + 5, "%*u %u", &ret->uid) == 1 ? 1 : 0;
		} else if (!strncmp(line, "NSpid:\t", 7) && last) {
			ret->pid = strtol(last, NULL, 10);
			found |= 2;
		}
	}
	return found == 3;
}

/* Field 22 of /proc/PID/stat: ticks since boot; the name before it may hold anything. */
static bool read_began(uint32_t tgid, struct living *ret)
{
	_cleanup_(fclose_p) FILE *f = open_proc(tgid, "stat");
	uint64_t ticks, since_boot, now = clock_ns(CLOCK_REALTIME);
	char text[1024] = "";
	const char *at;

	if (!f || !fread(text, 1, sizeof(text) - 1, f) || !(at = strrchr(text, ')')) ||
	    sscanf(at + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
		   &ticks) != 1)
		return false;
	since_boot = ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
	ret->began_ns = now - (clock_ns(CLOCK_BOOTTIME) - since_boot);
	return true;
}

/* Is the code at this address executable in it? Of an unrelated process with this pid, it hardly is: addresses are random. */
static bool executes_at(uint32_t tgid, uint64_t address)
{
	_cleanup_(fclose_p) FILE *f = open_proc(tgid, "maps");
	_cleanup_(free_p) char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		uint64_t start, end;
		char prot[5];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, prot) == 3 &&
		    address >= start && address < end)
			return prot[2] == 'x';
	}
	return false;
}

static bool still_lives(const struct perf_maps *m, uint32_t tgid, uint64_t time_ns,
			uint64_t address, struct living *ret)
{
	return read_status(tgid, ret) && read_began(tgid, ret) &&
	       (!m->realtime_ns || ret->began_ns <= m->realtime_ns + time_ns + SLACK_NS) &&
	       executes_at(tgid, address);
}

/* The user who reads the trace, also under sudo. */
static bool is_reader(uid_t uid)
{
	const char *sudo = getenv("SUDO_UID");

	return uid == geteuid() || (!geteuid() && sudo && uid == (uid_t)strtoul(sudo, NULL, 10));
}

static const char *refuse(const struct stat *st, const struct owner *o)
{
	uint64_t written =
		(uint64_t)st->st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;

	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_nlink > 1)
		return "has a second name (a hard link)";
	if (st->st_uid && (o->lives ? st->st_uid != o->uid : !is_reader(st->st_uid)))
		return o->lives ? "belongs neither to the process's user nor to root" :
				  "belongs neither to you nor to root, and its process is gone";
	if (o->began_known && written + SLACK_NS < o->began_ns)
		return "is older than its process: it is that of an earlier process with this pid";
	return NULL;
}

static void tell(struct its_map *its, const char *why)
{
	free(its->problem);
	if (asprintf(&its->problem, "%s %s: the names of generated code are missing", its->path,
		     why) < 0)
		its->problem = NULL;
}

/*
 * Opens a path below the root directory of a process ("" for ours). A link on the way that the process may have made leads where it would
 * lead the process, and no further: followed from here, its "/" would be ours. O_NONBLOCK: not to wait for the other end of a pipe.
 */
static int open_below(const char *root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_(close_p) int dir = open(*root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -1 : (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* 0: the map was read, or there is none at this path, or it was refused; then its->map is NULL. */
static void take(struct its_map *its, const struct owner *o, const char *root, const char *path)
{
	_cleanup_(close_p) int fd = -1;
	const char *why;
	struct stat st;

	fd = open_below(root, path);
	if (fd < 0 && errno != ELOOP)
		return;
	free(its->path);
	if (asprintf(&its->path, "%s%s", root, path) < 0) {
		its->path = NULL;
		return;
	}
	why = fd < 0 ? "is a symbolic link" : fstat(fd, &st) ? "cannot be read" : refuse(&st, o);
	if (!why && perf_map_read(fd, &its->map))
		why = "has no line that is well-formed, or too many";
	if (why)
		tell(its, why);
	its->guessed = !o->began_known;
}

static void look(struct perf_maps *m, struct its_map *its, uint64_t time_ns, uint64_t address)
{
	struct owner o = { .tgid = its->tgid };
	struct living living;
	char root[32], path[64];

	if (still_lives(m, its->tgid, time_ns, address, &living)) {
		o.lives = o.began_known = true;
		o.uid = living.uid;
		o.began_ns = living.began_ns;
		/* the same process may have been another program before */
		if (m->realtime_ns && m->realtime_ns + its->began_ns > o.began_ns && its->began_ns)
			o.began_ns = m->realtime_ns + its->began_ns;
		snprintf(root, sizeof(root), "/proc/%u/root", its->tgid);
		snprintf(path, sizeof(path), "/tmp/perf-%ld.map", living.pid);
		take(its, &o, root, path);
		return;
	}
	if (!m->realtime_ns)
		return;
	o.began_known = its->began_ns != 0;
	o.began_ns = m->realtime_ns + its->began_ns;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", its->tgid);
	take(its, &o, "", path);
}

static struct its_map *map_of(struct perf_maps *m, uint32_t tgid, uint64_t began_ns,
			      uint64_t time_ns, uint64_t address)
{
	struct its_map *its;

	/* the one asked for last is nearly always the one asked for next */
	for (size_t i = m->nr; i-- > 0;) {
		if (m->maps[i].tgid == tgid && m->maps[i].began_ns == began_ns)
			return &m->maps[i];
	}
	if (vec_room(&m->maps, &m->cap, m->nr + 1))
		return NULL;
	its = &m->maps[m->nr++];
	*its = (struct its_map){ .tgid = tgid, .began_ns = began_ns };
	look(m, its, time_ns, address);
	return its;
}

bool perf_maps_find(struct perf_maps *m, uint32_t tgid, uint64_t began_ns, uint64_t time_ns,
		    uint64_t address, struct perf_maps_place *ret_place)
{
	struct its_map *its = map_of(m, tgid, began_ns, time_ns, address);
	uint64_t start;

	if (!its || !its->map || !perf_map_find(its->map, address, &ret_place->name, &start))
		return false;
	ret_place->path = its->path;
	ret_place->guessed = its->guessed;
	return true;
}

void perf_maps_problems(const struct perf_maps *m, resolve_problem_fn fn, void *arg)
{
	for (size_t i = 0; i < m->nr; i++) {
		if (m->maps[i].problem)
			fn(arg, m->maps[i].path, m->maps[i].problem);
	}
}
