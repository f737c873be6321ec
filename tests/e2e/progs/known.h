/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the workloads of known.c share: time, threads, and the lines of JSON in which each thread says who it is, what it did, and what
 * the kernel has counted of it. Included once, so all is static.
 */
#ifndef PROGS_KNOWN_H
#define PROGS_KNOWN_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MSEC 1000000ull

static int facts_fd = -1;
static const char *self_path;
static pthread_barrier_t barrier; /* of two, or as a workload has it */

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static pid_t gettid_(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* One line; `fmt` adds members, e.g. ",\"count\":%d". */
__attribute__((format(printf, 2, 3))) static void fact(const char *role, const char *fmt, ...)
{
	unsigned long long exec = 0, delay = 0, slices = 0;
	char line[1024], more[512];
	struct rusage ru;
	FILE *f;
	va_list ap;
	int n;

	if (facts_fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	getrusage(RUSAGE_THREAD, &ru);
	f = fopen("/proc/thread-self/schedstat", "r");
	if (!f || fscanf(f, "%llu %llu %llu", &exec, &delay, &slices) != 3)
		exec = 0;
	if (f)
		fclose(f);
	n = snprintf(line, sizeof(line),
		     "{\"role\":\"%s\",\"pid\":%d,\"tid\":%d,\"voluntary\":%ld,\"involuntary\":%ld,"
		     "\"exec_ns\":%llu,\"delay_ns\":%llu,\"cpu_ns\":%llu,\"now_ns\":%llu%s}\n",
		     role, (int)getpid(), (int)gettid_(), ru.ru_nvcsw, ru.ru_nivcsw, exec, delay,
		     (unsigned long long)now(CLOCK_THREAD_CPUTIME_ID),
		     (unsigned long long)now(CLOCK_MONOTONIC), more);
	if (write(facts_fd, line, (size_t)n) != n)
		die("facts");
}

static void burn(uint64_t ns)
{
	uint64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void burn_until(uint64_t moment)
{
	while (now(CLOCK_MONOTONIC) < moment)
		;
}

static void rest(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull) };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0) { /* the first that is allowed */
		if (sched_getaffinity(0, sizeof(set), &set))
			die("sched_getaffinity");
		for (cpu = 0; !CPU_ISSET(cpu, &set); cpu++)
			;
	}
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static pid_t child_of(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG,
		      SIGKILL); /* nothing is left behind when a test kills its parent */
	return pid;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		die("pthread_create");
	return t;
}

static bool asleep(pid_t tid)
{
	char path[64], line[512], *state = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (!f)
		return true; /* it has ended already */
	if (fgets(line, sizeof(line), f))
		state = strrchr(line, ')');
	fclose(f);
	return state && state[2] == 'S';
}

#endif
