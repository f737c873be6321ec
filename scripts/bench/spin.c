// SPDX-License-Identifier: GPL-2.0-only
/* spin FILE THREADS: counting loops, one pinned to each CPU; how far they are stands in FILE, 64 bytes each, to be read while they run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile uint64_t *counts;

static void *loop(void *arg)
{
	long i = (long)arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;) {
		/* as the counting strategies do: the loop must really count */
		for (int n = 0; n < 1 << 16; n++)
			asm volatile("");
		counts[i * 8]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = argc > 2 ? atol(argv[2]) : 1;
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
	pthread_t t;

	if (fd < 0 || ftruncate(fd, threads * 64))
		return 1;
	counts = mmap(NULL, threads * 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		return 1;
	for (long i = 0; i < threads; i++)
		if (pthread_create(&t, NULL, loop, (void *)i))
			return 1;
	pause();
	return 0;
}
