// SPDX-License-Identifier: GPL-2.0-only
/*
 * periods SECONDS: a process whose every second is alike, for as long as it is asked to last. Each thread goes by one clock's periods of
 * 100 ms, so that nothing drifts:
 *
 *   ticker    sleeps until the next multiple of 20 ms
 *   holder    at 0 ms it takes the lock, sleeps for 30 ms with it, gives it back, sleeps to the end of the period
 *   waiter    at 10 ms it wants the lock: it waits until 30 ms, gives it back, sleeps to 10 ms of the next period
 *   stuck     reads from a pipe into which nobody writes
 *
 * So of each second holder holds the lock for 300 ms, waiter waits for it for 200 ms and sleeps for 800 ms. "NAME TID" of each, and then
 * "ready", are printed at once.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull
#define PERIOD (100 * MS)

static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t told;
static uint64_t begin, end;
static int nothing[2];

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

static void until(uint64_t at)
{
	struct timespec ts = { .tv_sec = (time_t)(at / (1000 * MS)),
			       .tv_nsec = (long)(at % (1000 * MS)) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static void tell(const char *name)
{
	prctl(PR_SET_NAME, name);
	printf("%s %ld\n", name, syscall(SYS_gettid));
	fflush(stdout);
	pthread_barrier_wait(&told);
}

static void *ticker(void *arg)
{
	tell("ticker");
	for (uint64_t at = begin; at < end; at += 20 * MS)
		until(at);
	return arg;
}

static void *holder(void *arg)
{
	tell("holder");
	for (uint64_t at = begin; at < end; at += PERIOD) {
		until(at);
		pthread_mutex_lock(&the_lock);
		until(at + 30 * MS);
		pthread_mutex_unlock(&the_lock);
	}
	return arg;
}

static void *waiter(void *arg)
{
	tell("waiter");
	for (uint64_t at = begin; at < end; at += PERIOD) {
		until(at + 10 * MS);
		pthread_mutex_lock(&the_lock);
		pthread_mutex_unlock(&the_lock);
	}
	return arg;
}

static void *stuck(void *arg)
{
	char c;

	tell("stuck");
	while (read(nothing[0], &c, 1) > 0)
		;
	return arg;
}

int main(int argc, char **argv)
{
	void *(*const all[])(void *) = { ticker, holder, waiter, stuck };
	pthread_t thread[4];

	if (argc != 2 || pipe(nothing))
		return 2;
	begin = now() + 200 * MS;
	end = begin + (uint64_t)(atof(argv[1]) * 1e9);
	pthread_barrier_init(&told, NULL, 5);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, all[i], NULL);
	pthread_barrier_wait(&told);
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	close(nothing[1]);
	pthread_join(thread[3], NULL);
	return 0;
}
