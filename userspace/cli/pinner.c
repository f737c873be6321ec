// SPDX-License-Identifier: GPL-2.0-only
/* Each thread on one CPU: see pinner.h. */
#include "cli/pinner.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"

#define LOOK_NS NSEC_PER_MSEC
#define LOOK_SHARE 10 /* it looks for at most a tenth of the time */

struct pinner {
	pthread_t thread;
	pid_t root;
	cpu_set_t cpus;
	int cpu; /* the next one */
	atomic_bool over;
	pid_t *seen; /* ascending */
	size_t nr, cap;
	pid_t *process; /* of one look */
	size_t nr_process, cap_process;
};

static int next_cpu(struct pinner *p)
{
	int cpu = p->cpu;

	do
		p->cpu = (p->cpu + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(p->cpu, &p->cpus));
	return cpu;
}

/* Its place among those seen; true: it is there. */
static bool find(const struct pinner *p, pid_t tid, size_t *ret_at)
{
	size_t low = 0, high = p->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->seen[middle] < tid)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_at = low;
	return low < p->nr && p->seen[low] == tid;
}

static void take(struct pinner *p, pid_t tid)
{
	cpu_set_t one;
	size_t at;

	if (find(p, tid, &at) || vec_room(&p->seen, &p->cap, p->nr + 1))
		return;
	for (size_t i = p->nr++; i > at; i--)
		p->seen[i] = p->seen[i - 1];
	p->seen[at] = tid;
	CPU_ZERO(&one);
	CPU_SET(next_cpu(p), &one);
	sched_setaffinity(tid, sizeof(one), &one); /* gone already: then it needs none */
}

static void add_children(struct pinner *p, pid_t pid, pid_t tid)
{
	char path[80];
	_cleanup_(fclose_p) FILE *f = NULL;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		if (!vec_room(&p->process, &p->cap_process, p->nr_process + 1))
			p->process[p->nr_process++] = child;
}

/* The kernel lists threads, and children, in the order in which they were made. */
static void look_at(struct pinner *p, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		take(p, tid);
		add_children(p, pid, tid);
	}
	if (dir)
		closedir(dir);
}

static void look(struct pinner *p)
{
	p->nr_process = 0;
	if (!vec_room(&p->process, &p->cap_process, 1))
		p->process[p->nr_process++] = p->root;
	for (size_t i = 0; i < p->nr_process; i++)
		look_at(p, p->process[i]);
}

static void *looking(void *arg)
{
	struct pinner *p = arg;

	while (!atomic_load(&p->over)) {
		uint64_t begin_ns = monotonic_ns(), took_ns;
		struct timespec pause;

		look(p);
		took_ns = (monotonic_ns() - begin_ns) * LOOK_SHARE;
		took_ns = took_ns > LOOK_NS ? took_ns : LOOK_NS;
		pause = (struct timespec){ .tv_sec = (time_t)(took_ns / NSEC_PER_SEC),
					   .tv_nsec = (long)(took_ns % NSEC_PER_SEC) };
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int pinner_start(pid_t root, const cpu_set_t *cpus, struct pinner **ret, struct err *err)
{
	struct pinner *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_sys(err, -ENOMEM, "cannot pin the command's threads");
	p->root = root;
	p->cpus = *cpus;
	p->cpu = CPU_SETSIZE - 1;
	next_cpu(p); /* to the first */
	look(p);
	r = pthread_create(&p->thread, NULL, looking, p);
	if (r) {
		free(p->seen);
		free(p->process);
		free(p);
		return err_sys(err, -r, "cannot pin the command's threads");
	}
	*ret = p;
	return 0;
}

size_t pinner_stop(struct pinner *p)
{
	size_t nr;

	if (!p)
		return 0;
	atomic_store(&p->over, true);
	pthread_join(p->thread, NULL);
	nr = p->nr;
	free(p->seen);
	free(p->process);
	free(p);
	return nr;
}
