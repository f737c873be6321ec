// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs whose counts are known: each thread says at its very end what the kernel has counted for it.
 *
 *   counted FILE pages A B    two threads that touch so many fresh pages
 *   counted FILE sleeps N     two threads on one CPU, one sleeps N times for 200 us, the other computes meanwhile
 *   counted FILE yields N     two threads on one CPU that yield it N times, quiet before and after
 *   counted FILE spin MS      two threads that compute, each for so much CPU time
 *   counted FILE exec N       a child that runs `counted FILE pages N 1`
 *   counted FILE moves N      a thread that goes from one allowed CPU to the next, N times
 *
 * A line of FILE: "TID TOUCHED FAULTS SWITCHES", TOUCHED being the faults while it touched its pages, and the other two getrusage's of the
 * whole thread up to its last system calls. Those cause no faults: they were done once before, and their results thrown away.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int out_fd, null_fd;

static long faults(const struct rusage *u)
{
	return u->ru_minflt + u->ru_majflt;
}

static void say(int fd, long touched)
{
	struct rusage u;
	char line[128];
	int len;

	getrusage(RUSAGE_THREAD, &u);
	len = snprintf(line, sizeof(line), "%ld %ld %ld %ld\n", syscall(SYS_gettid), touched,
		       faults(&u), u.ru_nvcsw + u.ru_nivcsw);
	if (write(fd, line, len) != len)
		_exit(4);
}

/* Does not return: what the C library does at a thread's end would be counted, too. */
static void end(long touched)
{
	say(null_fd, touched);
	say(out_fd, touched);
	syscall(SYS_exit, 0);
}

static long touch(size_t pages)
{
	size_t bytes = pages * 4096;
	struct rusage before, after;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		_exit(4);
	madvise(at, bytes, MADV_NOHUGEPAGE);
	getrusage(RUSAGE_THREAD, &before);
	getrusage(RUSAGE_THREAD, &before);
	for (size_t i = 0; i < pages; i++)
		((volatile char *)at)[i * 4096] = 1;
	getrusage(RUSAGE_THREAD, &after);
	return faults(&after) - faults(&before);
}

static void pin(int nth)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	nth %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || nth--)
			continue;
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static void spin(long ms)
{
	struct timespec at;
	int64_t until, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
	until = at.tv_sec * 1000000000ll + at.tv_nsec + ms * 1000000;
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
		now = at.tv_sec * 1000000000ll + at.tv_nsec;
	} while (now < until);
}

static void *toucher(void *pages)
{
	end(touch((size_t)pages));
	return NULL;
}

static void *sleeper(void *times)
{
	struct timespec nap = { .tv_nsec = 200000 };

	pin(0);
	for (long i = 0; i < (long)times; i++)
		nanosleep(&nap, NULL);
	end(0);
	return NULL;
}

static void *computer(void *ms)
{
	pin(0);
	spin((long)ms);
	end(0);
	return NULL;
}

static void *free_computer(void *ms)
{
	spin((long)ms);
	end(0);
	return NULL;
}

static void *yielder(void *times)
{
	struct timespec quiet = { .tv_nsec = 300000000 };

	pin(0);
	nanosleep(&quiet, NULL);
	for (long i = 0; i < (long)times; i++)
		sched_yield();
	nanosleep(&quiet, NULL);
	end(0);
	return NULL;
}

static void *mover(void *times)
{
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	for (long i = 0; i < (long)times; i++) {
		sched_setaffinity(0, sizeof(all), &all);
		pin((int)i);
		spin(1);
	}
	end(0);
	return NULL;
}

static void two(void *(*one)(void *), long a, void *(*other)(void *), long b)
{
	pthread_t t[2];

	pthread_create(&t[0], NULL, one, (void *)a);
	pthread_create(&t[1], NULL, other, (void *)b);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

static int run_child(char **argv)
{
	char *child[] = { argv[0], argv[1], "pages", argv[3], "1", NULL };
	int status;

	if (!fork()) {
		execv("/proc/self/exe", child);
		_exit(4);
	}
	wait(&status);
	return status ? 4 : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[2] : "";
	long a = argc > 3 ? atol(argv[3]) : 0, b = argc > 4 ? atol(argv[4]) : 0;
	pthread_t alone;

	out_fd = argc > 1 ? open(argv[1], O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600) : -1;
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (out_fd < 0)
		return 2;
	if (!strcmp(what, "pages")) {
		two(toucher, a, toucher, b);
	} else if (!strcmp(what, "sleeps")) {
		two(sleeper, a, computer, a / 2);
	} else if (!strcmp(what, "spin")) {
		two(free_computer, a, free_computer, a);
	} else if (!strcmp(what, "yields")) {
		two(yielder, a, yielder, a);
	} else if (!strcmp(what, "moves")) {
		pthread_create(&alone, NULL, mover, (void *)a);
		pthread_join(alone, NULL);
	} else if (!strcmp(what, "exec")) {
		return run_child(argv);
	} else {
		return 2;
	}
	return 0;
}
