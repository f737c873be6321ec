// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm WHAT N: much of one kind.
 *
 *   threads    N threads, one after the other, each of which ends at once; says how many there were, every 10,000; then "done", and
 *              100 ms of sleep
 *   processes  the same with processes that call exec
 *   pipe       N bytes are sent to another thread and back
 *   deadlock   two threads wait for each other's lock, for N ms
 *   hogs       four threads on one CPU compute in turn_here() for N ms of the clock
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long n;
static int to[2], from[2];

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *nothing(void *arg)
{
	return arg;
}

static void one_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL))
		exit(1);
	pthread_join(t, NULL);
}

static void one_process(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void many(void (*one)(void), long every)
{
	for (long i = 1; i <= n; i++) {
		one();
		if (i % every == 0) {
			printf("%ld\n", i);
			fflush(stdout);
		}
	}
	printf("done\n");
	fflush(stdout);
	usleep(100000);
}

static void *echo(void *arg)
{
	char c;

	while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1)
		;
	return arg;
}

static void send_bytes(void)
{
	pthread_t t;
	char c = 'x';

	if (pipe(to) || pipe(from) || pthread_create(&t, NULL, echo, NULL))
		exit(1);
	for (long i = 0; i < n; i++)
		if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
			exit(1);
	close(to[1]);
	pthread_join(t, NULL);
}

__attribute__((noinline)) void turn_here(uint64_t until)
{
	volatile unsigned long x = 0;

	while (now_ms() < until)
		for (int i = 0; i < 100000; i++)
			x += (unsigned long)i;
}

static void *hog(void *arg)
{
	turn_here(*(uint64_t *)arg);
	return NULL;
}

static void hogs(void)
{
	uint64_t until = now_ms() + (uint64_t)n;
	pthread_t t[4];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hog, &until);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static pthread_mutex_t first_lock = PTHREAD_MUTEX_INITIALIZER,
		       second_lock = PTHREAD_MUTEX_INITIALIZER;

static void *take_second(void *arg)
{
	pthread_mutex_lock(&first_lock);
	usleep(100000);
	pthread_mutex_lock(&second_lock);
	return arg;
}

static void *take_first(void *arg)
{
	pthread_mutex_lock(&second_lock);
	usleep(100000);
	pthread_mutex_lock(&first_lock);
	return arg;
}

static void deadlock(void)
{
	pthread_t t[2];

	pthread_create(&t[0], NULL, take_second, NULL);
	pthread_create(&t[1], NULL, take_first, NULL);
	usleep((useconds_t)n * 1000);
	exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	n = atol(argv[2]);
	if (!strcmp(argv[1], "threads"))
		many(one_thread, 10000);
	else if (!strcmp(argv[1], "processes"))
		many(one_process, 1000);
	else if (!strcmp(argv[1], "pipe"))
		send_bytes();
	else if (!strcmp(argv[1], "deadlock"))
		deadlock();
	else
		hogs();
	return 0;
}
