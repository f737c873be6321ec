// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program of known serial share, for `whyscale sweep`: amdahl WORKERS PERCENT MS [how]
 *
 *   phases   one thread works PERCENT of MS alone, then WORKERS threads share the rest evenly (the default)
 *   lock     WORKERS threads do it all: each its part of the PERCENT while it holds the_lock, then, once all have, its part of the rest
 *   pieces   WORKERS threads do it all, in ten pieces each, PERCENT of each piece while holding the_lock
 *   twice    as phases, but the work of a thread grows with WORKERS: (1 + 0.3 (WORKERS - 1)) times as much (inflation)
 *
 * With "sleep" as the last word the work is sleeping, which any number of threads can do at once on any machine: then the curve is Amdahl's
 * own, whatever else runs. WORKERS 0 takes AMDAHL_THREADS from the environment. "status N" as the last words: exits with N when WORKERS is
 * 4. What it burns is CPU time in pieces of the same loop.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int asleep;
static double each_ms, percent;
static const char *how = "phases";
pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_have;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void work(double ms)
{
	uint64_t ns = (uint64_t)(ms * 1e6), end = now_ns(CLOCK_MONOTONIC) + ns;
	struct timespec t = { (time_t)(end / 1000000000u), (long)(end % 1000000000u) };

	if (asleep) {
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
			;
		return;
	}
	end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* In so many pieces, each with its share under the lock. */
static void work_locked(int pieces)
{
	for (int i = 0; i < pieces; i++) {
		pthread_mutex_lock(&the_lock);
		work(each_ms / pieces * percent / 100);
		pthread_mutex_unlock(&the_lock);
		if (pieces == 1)
			pthread_barrier_wait(&all_have);
		work(each_ms / pieces * (1 - percent / 100));
	}
}

static void *worker(void *arg)
{
	if (strcmp(how, "lock") == 0)
		work_locked(1);
	else if (strcmp(how, "pieces") == 0)
		work_locked(10);
	else
		work(each_ms);
	return arg;
}

int main(int argc, char **argv)
{
	const char *env = getenv("AMDAHL_THREADS");
	pthread_t thread[256];
	int workers, nr = argc;
	double ms;

	if (argc < 4)
		return 99;
	workers = atoi(argv[1]);
	if (!workers)
		workers = env ? atoi(env) : 1;
	percent = atof(argv[2]);
	ms = atof(argv[3]);
	if (workers < 1 || workers > 256)
		return 98;
	if (argc > 5 && strcmp(argv[argc - 2], "status") == 0 && workers == 4)
		return atoi(argv[argc - 1]);
	for (int i = 4; i < nr; i++) {
		if (strcmp(argv[i], "sleep") == 0)
			asleep = 1;
		else if (strcmp(argv[i], "phases") == 0 || strcmp(argv[i], "lock") == 0 ||
			 strcmp(argv[i], "pieces") == 0 || strcmp(argv[i], "twice") == 0)
			how = argv[i];
	}
	each_ms = ms / workers;
	pthread_barrier_init(&all_have, NULL, (unsigned int)workers);
	if (strcmp(how, "lock") != 0 && strcmp(how, "pieces") != 0) {
		work(ms * percent / 100);
		each_ms = ms * (1 - percent / 100) / workers;
	}
	if (strcmp(how, "twice") == 0)
		each_ms *= 1 + 0.3 * (workers - 1);
	for (int i = 0; i < workers; i++)
		if (pthread_create(&thread[i], NULL, worker, NULL))
			return 97;
	for (int i = 0; i < workers; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
