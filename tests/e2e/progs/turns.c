// SPDX-License-Identifier: GPL-2.0-only
/*
 * turns N THREADS: turns of a loop of two instructions, so that their number is known: by one thread N turns, by T threads
 * 1 + (T - 1) / 2 times as many, divided among them: the same work takes more instructions.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 16

static unsigned long turns_each;

/* Two instructions a turn, on both. */
static void *turn(void *arg)
{
	unsigned long n = turns_each;

#if defined(__aarch64__)
	__asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n) : : "cc");
#elif defined(__x86_64__)
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
#else
	exit(77);
#endif
	return arg;
}

int main(int argc, char **argv)
{
	int nr = argc == 3 ? atoi(argv[2]) : 0;
	pthread_t thread[MAX_THREADS];

	if (nr < 1 || nr > MAX_THREADS)
		return 2;
	turns_each = (unsigned long)(atof(argv[1]) * (nr + 1) / 2 / nr);
	if (!turns_each)
		return 2;
	for (int i = 0; i < nr; i++)
		if (pthread_create(&thread[i], NULL, turn, NULL))
			return 99;
	for (int i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
