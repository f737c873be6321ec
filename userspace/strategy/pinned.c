// SPDX-License-Identifier: GPL-2.0-only
/* Threads on given CPUs: see pinned.h. */
#include "strategy/pinned.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

int pinned_to(int cpu)
{
	size_t size = CPU_ALLOC_SIZE(PINNED_MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(PINNED_MAX_CPUS);
	int r;

	if (!set)
		return ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	r = pthread_setaffinity_np(pthread_self(), size, set);
	CPU_FREE(set);
	return r;
}
