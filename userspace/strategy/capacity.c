// SPDX-License-Identifier: GPL-2.0-only
/* What the CPUs are worth together: see capacity.h. */
#include "strategy/capacity.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "strategy/count_loop.h"

#define ROUNDS 4
#define MAX_CPUS 8192
#define TURNS 100000 /* between two looks at the clock: 10 to 80 us, so the looks cost nothing */

/* One pinned loop: told where and for how long, it tells how fast. */
struct loop {
	pthread_t thread;
	int cpu;
	int64_t duration_ns;
	atomic_int *gate; /* opened (to 1) when all loops are on their CPUs; -1: go home */
	atomic_uint *ready;
	int error;       /* errno of the pinning */
	double rate;     /* turns per second of wall time */
	double cpu_rate; /* turns per second of its CPU time */
};

static void count_for(struct loop *loop)
{
	int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t begin = monotonic_ns();
	int64_t now = begin;
	uint64_t turns = 0;

	while (now - begin < loop->duration_ns) {
		turns += count_to(TURNS);
		now = monotonic_ns();
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	loop->rate = (double)turns * 1e9 / (double)(now - begin);
	loop->cpu_rate = (double)turns * 1e9 / (double)(cpu > 0 ? cpu : now - begin);
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(MAX_CPUS);

	if (set) {
		CPU_ZERO_S(size, set);
		CPU_SET_S(loop->cpu, size, set);
		loop->error = pthread_setaffinity_np(pthread_self(), size, set);
		CPU_FREE(set);
	} else {
		loop->error = ENOMEM;
	}
	atomic_fetch_add(loop->ready, 1);
	/* Spinning, not sleeping, keeps the CPU awake, so that all begin at once and at speed. */
	while (!atomic_load(loop->gate))
		sched_yield();
	if (atomic_load(loop->gate) > 0)
		count_for(loop);
	return NULL;
}

/* Runs `nr` loops at once, each for duration_ns, on cpus[0..nr-1]; sums their rates. */
static int run_together(struct loop *loops, const int *cpus, unsigned int nr, int64_t duration_ns,
			double *ret_rate, double *ret_cpu_rate, struct err *err)
{
	atomic_int gate = 0;
	atomic_uint ready = 0;
	unsigned int started;
	int rc = 0;

	for (started = 0; started < nr; started++) {
		loops[started] = (struct loop){ .cpu = cpus[started],
						.duration_ns = duration_ns,
						.gate = &gate,
						.ready = &ready };
		rc = pthread_create(&loops[started].thread, NULL, loop_main, &loops[started]);
		if (rc)
			break;
	}
	while (!rc && atomic_load(&ready) < nr)
		sched_yield();
	atomic_store(&gate, rc ? -1 : 1);
	*ret_rate = *ret_cpu_rate = 0;
	for (unsigned int i = 0; i < started; i++) {
		pthread_join(loops[i].thread, NULL);
		rc = rc ? rc : loops[i].error;
		*ret_rate += loops[i].rate;
		*ret_cpu_rate += loops[i].cpu_rate;
	}
	return rc ? err_sys(err, -rc, "cannot measure what %u CPUs are worth", nr) : 0;
}

/* The CPUs that this process may use, at most `max` of them. The caller frees *ret_cpus. */
static int allowed_cpus(unsigned int max, int **ret_cpus, unsigned int *ret_nr, struct err *err)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
	int *cpus = calloc(MAX_CPUS, sizeof(*cpus));
	int rc = set && cpus ? 0 : -ENOMEM;

	*ret_nr = 0;
	if (!rc && sched_getaffinity(0, size, set))
		rc = -errno;
	for (int cpu = 0; !rc && cpu < MAX_CPUS && (!max || *ret_nr < max); cpu++)
		if (CPU_ISSET_S(cpu, size, set))
			cpus[(*ret_nr)++] = cpu;
	if (set)
		CPU_FREE(set);
	if (rc) {
		free(cpus);
		return err_sys(err, rc, "cannot read which CPUs this process may use");
	}
	*ret_cpus = cpus;
	return 0;
}

/*
 * The eighth number of the first line of /proc/stat, which counts clock ticks; -1 if it is not
 * there.
 */
static int64_t steal_now_ns(void)
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/stat", "re");
	long long ticks;

	if (!f || fscanf(f, "cpu %*s %*s %*s %*s %*s %*s %*s %lld", &ticks) != 1)
		return -1;
	return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values of the rounds; their number is even. */
static double median(double values[ROUNDS])
{
	qsort(values, ROUNDS, sizeof(*values), compare_doubles);
	return (values[ROUNDS / 2 - 1] + values[ROUNDS / 2]) / 2;
}

static int measure_rounds(const int *cpus, int64_t duration_ns, struct loop *loops,
			  struct capacity *ret, struct err *err)
{
	double alone[ROUNDS], together[ROUNDS], worth[ROUNDS], inflation[ROUNDS], cpu_alone,
		cpu_together;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (run_together(loops, &cpus[i % ret->cpus], 1, duration_ns, &alone[i], &cpu_alone,
				 err) ||
		    run_together(loops, cpus, ret->cpus, duration_ns, &together[i], &cpu_together,
				 err))
			return err->code;
		worth[i] = together[i] / alone[i];
		inflation[i] = cpu_alone * ret->cpus / cpu_together;
	}
	ret->rate_alone = median(alone);
	ret->rate_together = median(together);
	ret->worth = median(worth);
	ret->worth_min = worth[0]; /* median() has sorted them */
	ret->worth_max = worth[ROUNDS - 1];
	ret->inflation = median(inflation);
	return 0;
}

int capacity_measure(unsigned int nr, uint64_t budget_ns, struct capacity *ret, struct err *err)
{
	_cleanup_(free_p) struct loop *loops = NULL;
	_cleanup_(free_p) int *cpus = NULL;
	int64_t steal_ns = steal_now_ns();

	*ret = (struct capacity){ .steal_ns = -1 };
	if (allowed_cpus(nr, &cpus, &ret->cpus, err))
		return err->code;
	if (ret->cpus)
		loops = calloc(ret->cpus, sizeof(*loops));
	if (!loops)
		return err_sys(err, -ENOMEM, "cannot measure what %u CPUs are worth", ret->cpus);
	if (measure_rounds(cpus, (int64_t)(budget_ns / (2 * ROUNDS)), loops, ret, err))
		return err->code;
	if (steal_ns >= 0)
		ret->steal_ns = steal_now_ns() - steal_ns;
	return 0;
}
