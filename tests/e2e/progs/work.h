/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that burn 70, 20 and 10 % of the time on a CPU, each below work() and above turn(), and tell what they really took:
 *
 *   work -> seventy -> turn
 *        -> twenty  -> turn
 *        -> ten     -> turn
 *
 * Included by each program that burns (C, C++, a library). No call is a tail call: something is done behind each.
 */
#ifndef FLAME_WORK_H
#define FLAME_WORK_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define KEPT __attribute__((noinline, noclone, used))
#define AND_DONE __asm__ volatile("" ::: "memory")

struct burnt {
	uint64_t seventy_ns, twenty_ns, ten_ns;
};

static inline uint64_t burn_cpu_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static KEPT uint64_t turn(uint64_t times)
{
	volatile uint64_t x = 1;

	for (uint64_t i = 0; i < times; i++)
		x = x * 6364136223846793005u + 1;
	AND_DONE;
	return x;
}

/* Another number each time, 0.1 ms or so: rounds of one length could keep step with the samples. */
static inline uint64_t turns(void)
{
	static uint64_t random = 1;

	random = random * 6364136223846793005u + 1442695040888963407u;
	return 10000 + (random >> 33) % 100000;
}

static KEPT void seventy(uint64_t times)
{
	turn(7 * times);
	AND_DONE;
}

static KEPT void twenty(uint64_t times)
{
	turn(2 * times);
	AND_DONE;
}

static KEPT void ten(uint64_t times)
{
	turn(times);
	AND_DONE;
}

/* So long, by the clock on the wall. */
static KEPT void work(double seconds, struct burnt *b)
{
	uint64_t end = burn_cpu_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);

	while (burn_cpu_ns(CLOCK_MONOTONIC) < end) {
		uint64_t times = turns(), t0 = burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID), t1, t2;

		seventy(times);
		t1 = burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		twenty(times);
		t2 = burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		ten(times);
		b->seventy_ns += t1 - t0;
		b->twenty_ns += t2 - t1;
		b->ten_ns += burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID) - t2;
	}
}

/* "seventy NS", ...: the truth, for the test. */
static inline void burn_tell(const struct burnt *b)
{
	printf("seventy %llu\ntwenty %llu\nten %llu\n", (unsigned long long)b->seventy_ns,
	       (unsigned long long)b->twenty_ns, (unsigned long long)b->ten_ns);
}

#endif
