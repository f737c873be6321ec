// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs whose limit is known by design: bounds lock N IN OUT ROUNDS | serial N BEFORE ALL | crowd N EACH | spawn N EACH BETWEEN. Times
 * in ms of CPU time.
 *
 *   lock     each of N threads, ROUNDS times: IN with a mutex held, OUT without. With IN > OUT the mutex is always taken: the wall time
 *            is N * ROUNDS * IN, without the mutex ROUNDS * (IN + OUT)
 *   serial   BEFORE alone, then ALL divided among N threads: Amdahl's law
 *   crowd    N threads that run for EACH and do nothing else
 *   spawn    the same, and to make the next one takes BETWEEN
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64

static pthread_mutex_t bounds_lock = PTHREAD_MUTEX_INITIALIZER;
static double in_ms, out_ms, between_ms;
static int rounds;

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void burn(double ms)
{
	double until = cpu_ms() + ms;

	while (cpu_ms() < until)
		;
}

static void *locker(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		pthread_mutex_lock(&bounds_lock);
		burn(in_ms);
		pthread_mutex_unlock(&bounds_lock);
		burn(out_ms);
	}
	return arg;
}

static void *burner(void *arg)
{
	burn(in_ms);
	return arg;
}

static void run(int nr, void *(*fn)(void *))
{
	pthread_t thread[MAX_THREADS];

	for (int i = 0; i < nr; i++) {
		burn(i ? between_ms : 0);
		if (pthread_create(&thread[i], NULL, fn, NULL))
			exit(99);
	}
	for (int i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	int nr = argc > 2 ? atoi(argv[2]) : 0;

	if (nr < 1 || nr > MAX_THREADS)
		return 2;
	if (!strcmp(argv[1], "lock") && argc == 6) {
		in_ms = atof(argv[3]);
		out_ms = atof(argv[4]);
		rounds = atoi(argv[5]);
		run(nr, locker);
	} else if (!strcmp(argv[1], "serial") && argc == 5) {
		burn(atof(argv[3]));
		in_ms = atof(argv[4]) / nr;
		run(nr, burner);
	} else if ((!strcmp(argv[1], "crowd") && argc == 4) ||
		   (!strcmp(argv[1], "spawn") && argc == 5)) {
		in_ms = atof(argv[3]);
		between_ms = argc == 5 ? atof(argv[4]) : 0;
		run(nr, burner);
	} else {
		return 2;
	}
	return 0;
}
