// SPDX-License-Identifier: GPL-2.0-only
/*
 * Burns, sleeps and waits in functions whose shares are known, and says what they were.
 *
 *   burn cpu SECONDS             main -> work -> seventy, twenty, ten -> turn
 *   burn exec SECONDS FILE ...   the same, and then runs that
 *   burn child SECONDS           the same in a process that is forked, and is gone before the recording ends
 *   burn sleep SECONDS           main -> doze -> long_nap (70 %), short_nap (30 %)
 *   burn lock SECONDS            two threads: hold_lock() holds `the_lock` and sleeps, want_lock() waits for it
 *   burn dl SECONDS LIBRARY      the same as cpu, in a library that is loaded late (flame/lib.c) and unloaded before the end
 *   burn sort SECONDS            libc's qsort, in which by_value() burns
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

static double seconds;
pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void)
{
	return burn_cpu_ns(CLOCK_MONOTONIC);
}

static KEPT void nap(unsigned int ms)
{
	const struct timespec t = { .tv_sec = 0, .tv_nsec = 1000000l * ms };

	nanosleep(&t, NULL);
	AND_DONE;
}

static KEPT void long_nap(void)
{
	nap(70);
	AND_DONE;
}

static KEPT void short_nap(void)
{
	nap(30);
	AND_DONE;
}

static KEPT void doze(void)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), t0, t1, ns[2] = { 0, 0 };

	while (now_ns() < end) {
		t0 = now_ns();
		long_nap();
		t1 = now_ns();
		short_nap();
		ns[0] += t1 - t0;
		ns[1] += now_ns() - t1;
	}
	printf("long_nap %llu\nshort_nap %llu\n", (unsigned long long)ns[0],
	       (unsigned long long)ns[1]);
}

/* ---- a lock ---- */

static volatile int stop;

static KEPT void *hold_lock(void *arg)
{
	(void)arg;
	while (!stop) {
		pthread_mutex_lock(&the_lock);
		nap(20);
		pthread_mutex_unlock(&the_lock);
		nap(5);
	}
	return NULL;
}

static KEPT void want_lock(void)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), waited = 0, t;

	while (now_ns() < end) {
		t = now_ns();
		pthread_mutex_lock(&the_lock);
		waited += now_ns() - t;
		pthread_mutex_unlock(&the_lock);
		nap(1);
	}
	printf("want_lock %llu\n", (unsigned long long)waited);
}

static void two_threads(void)
{
	pthread_t holder;

	if (pthread_create(&holder, NULL, hold_lock, NULL))
		exit(1);
	want_lock();
	stop = 1;
	pthread_join(holder, NULL);
}

/* ---- through libc ---- */

static KEPT int by_value(const void *a, const void *b)
{
	turn(2000);
	AND_DONE;
	return *(const int *)a - *(const int *)b;
}

static KEPT void sort_numbers(void)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	static int number[1000];

	while (now_ns() < end) {
		for (int i = 0; i < 1000; i++)
			number[i] = i * 7919 % 1000;
		qsort(number, 1000, sizeof(int), by_value);
	}
}

/* ---- processes ---- */

static KEPT void burn(void)
{
	struct burnt b = { 0, 0, 0 };

	work(seconds, &b);
	burn_tell(&b);
	fflush(stdout);
}

static KEPT void in_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		exit(1);
	if (!pid) {
		burn();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static KEPT void in_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	void (*burn_there)(double) = library ? dlsym(library, "library_burn") : NULL;

	if (!burn_there)
		exit(1);
	burn_there(seconds);
	fflush(stdout);
	dlclose(library);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	seconds = atof(argv[2]);
	if (!strcmp(argv[1], "cpu")) {
		burn();
	} else if (!strcmp(argv[1], "exec") && argc > 3) {
		burn();
		execv(argv[3], argv + 3);
		return 1;
	} else if (!strcmp(argv[1], "child")) {
		in_child();
	} else if (!strcmp(argv[1], "dl") && argc > 3) {
		in_library(argv[3]);
	} else if (!strcmp(argv[1], "sleep")) {
		doze();
	} else if (!strcmp(argv[1], "lock")) {
		two_threads();
	} else if (!strcmp(argv[1], "sort")) {
		sort_numbers();
	} else {
		return 2;
	}
	return 0;
}
