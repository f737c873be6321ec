// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that only sleep, so that what they take is known by design and other programs on the CPUs hardly matter:
 *
 *   lock N ROUNDS MS     N threads, each ROUNDS times: asleep for MS with one mutex held. N * ROUNDS * MS; without the mutex ROUNDS * MS
 *   forked N ROUNDS MS   the same by N processes, each with a mutex of its own: ROUNDS * MS
 *   shared N ROUNDS MS   the same by N processes with one mutex in memory that they share: N * ROUNDS * MS
 *   barrier N ROUNDS MS  N threads that meet at a barrier ROUNDS times, each time after the first one was asleep for MS: ROUNDS * MS
 *   cpus MS              asleep for MS divided by the CPUs that it may use
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SLEEPERS 64

static pthread_mutex_t *mutex;
static int rounds;
static double ms;

static void doze(double for_ms)
{
	struct timespec t = { .tv_sec = (time_t)(for_ms / 1e3) };

	t.tv_nsec = (long)((for_ms - (double)t.tv_sec * 1e3) * 1e6);
	nanosleep(&t, NULL);
}

static void *sleeper(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		pthread_mutex_lock(mutex);
		doze(ms);
		pthread_mutex_unlock(mutex);
	}
	return arg;
}

static void make_mutex(int shared)
{
	pthread_mutexattr_t attr;

	mutex = mmap(NULL, sizeof(*mutex), PROT_READ | PROT_WRITE,
		     MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (mutex == MAP_FAILED)
		exit(99);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr,
				     shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
	pthread_mutex_init(mutex, &attr);
}

static pthread_barrier_t barrier;

static void *meet(void *first)
{
	for (int i = 0; i < rounds; i++) {
		if (first)
			doze(ms);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void run_threads(int nr, void *(*fn)(void *))
{
	pthread_t thread[MAX_SLEEPERS];

	for (int i = 0; i < nr; i++)
		if (pthread_create(&thread[i], NULL, fn, i ? NULL : thread))
			exit(99);
	for (int i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
}

static void run_processes(int nr)
{
	for (int i = 0; i < nr; i++) {
		pid_t pid = fork();

		if (pid < 0)
			exit(99);
		if (!pid) {
			sleeper(NULL);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
}

static int by_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 99;
	doze(ms / CPU_COUNT(&set));
	return 0;
}

int main(int argc, char **argv)
{
	int nr = argc == 5 ? atoi(argv[2]) : 0;

	if (argc == 3 && !strcmp(argv[1], "cpus")) {
		ms = atof(argv[2]);
		return by_cpus();
	}
	if (nr < 1 || nr > MAX_SLEEPERS)
		return 2;
	rounds = atoi(argv[3]);
	ms = atof(argv[4]);
	make_mutex(!strcmp(argv[1], "shared"));
	pthread_barrier_init(&barrier, NULL, (unsigned int)nr);
	if (!strcmp(argv[1], "lock"))
		run_threads(nr, sleeper);
	else if (!strcmp(argv[1], "barrier"))
		run_threads(nr, meet);
	else if (!strcmp(argv[1], "forked") || !strcmp(argv[1], "shared"))
		run_processes(nr);
	else
		return 2;
	return 0;
}
