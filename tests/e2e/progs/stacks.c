// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose call stacks are known: stacks MODE N, without frame pointers (-O2).
 *
 *   burn N    computes for N ms of CPU time in main -> outer_burn -> middle_burn -> inner_burn
 *   sleep N   sleeps N times 1 ms in main -> outer_sleep -> inner_sleep, with a counter and the time on the stack
 *   vary N    the same, with N different addresses on the stack: each makes another stack
 *   deep N    sleeps once below N frames of descend(), of 256 bytes each
 *   flood N   as lock, with another address on a stack of 4 KiB each time
 *   lock N    main waits N times for a semaphore in outer_lock, which a thread posts in waker
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static volatile unsigned long sink;
static sem_t sem, answer;

static unsigned long long cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static __attribute__((noipa)) void inner_burn(unsigned long long until)
{
	do
		for (int i = 0; i < 100000; i++)
			sink += i;
	while (cpu_ns() < until);
}

static __attribute__((noipa)) void middle_burn(unsigned long long until)
{
	volatile char pad[200];

	pad[0] = 1;
	inner_burn(until);
	sink += pad[0];
}

static __attribute__((noipa)) void outer_burn(int ms)
{
	middle_burn(cpu_ns() + ms * 1000000ull);
	sink++;
}

static __attribute__((noipa)) void inner_sleep(const volatile unsigned long *what)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
	sink += *what;
}

static __attribute__((noipa)) void outer_sleep(int i)
{
	volatile unsigned long what[3] = { i, time(NULL) * 1000000000ul + i, ~0ul - i };

	inner_sleep(what);
	sink++;
}

static __attribute__((noipa)) void outer_vary(char *address)
{
	volatile unsigned long what[2] = { (unsigned long)address, 0 };

	inner_sleep(what);
	sink++;
}

static __attribute__((noipa)) void descend(int n)
{
	volatile unsigned long what[30] = { n };

	if (n > 1)
		descend(n - 1);
	else
		inner_sleep(what);
	sink += what[0];
}

static __attribute__((noipa)) void outer_lock(void)
{
	sem_wait(&sem);
	sem_post(&answer);
	sink++;
}

static __attribute__((noipa)) void outer_flood(char *address)
{
	volatile unsigned long what[512] = { (unsigned long)address };

	sem_wait(&sem);
	sem_post(&answer);
	sink += what[0];
}

static __attribute__((noipa)) void post_one(void)
{
	struct timespec ms = { .tv_nsec = 2000000 };

	nanosleep(&ms, NULL);
	sem_post(&sem);
	sink++;
}

static void *waker(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		post_one();
		sem_wait(&answer);
	}
	return NULL;
}

static void *flooder(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		sem_post(&sem);
		sem_wait(&answer);
	}
	return NULL;
}

/* address NULL: slowly, in outer_lock() */
static __attribute__((noipa)) void lock(int n, char *address)
{
	pthread_t thread;

	sem_init(&sem, 0, 0);
	sem_init(&answer, 0, 0);
	pthread_create(&thread, NULL, address ? flooder : waker, &n);
	for (int i = 0; i < n; i++)
		address ? outer_flood(address + i) : outer_lock();
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	char *somewhere = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "burn"))
		outer_burn(n);
	for (int i = 0; i < n && !strcmp(argv[1], "sleep"); i++)
		outer_sleep(i);
	for (int i = 0; i < n && !strcmp(argv[1], "vary"); i++)
		outer_vary(somewhere + i);
	if (!strcmp(argv[1], "deep"))
		descend(n);
	if (!strcmp(argv[1], "lock"))
		lock(n, NULL);
	if (!strcmp(argv[1], "flood"))
		lock(n, somewhere);
	return 0;
}
