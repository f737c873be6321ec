// SPDX-License-Identifier: GPL-2.0-only
/* What the CPUs are worth together: see capacity.h. */
#include "strategy/capacity.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "strategy/count_loop.h"
#include "strategy/median.h"
#include "strategy/pinned.h"

#define ROUNDS 4
#define MAX_ROUNDS 64
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

	loop->error = pinned_to(loop->cpu);
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

int capacity_cpus(unsigned int max, int **ret_cpus, unsigned int *ret_nr, struct err *err)
{
	size_t size = CPU_ALLOC_SIZE(PINNED_MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(PINNED_MAX_CPUS);
	int *cpus = calloc(PINNED_MAX_CPUS, sizeof(*cpus));
	int rc = set && cpus ? 0 : -ENOMEM;

	*ret_nr = 0;
	if (!rc && sched_getaffinity(0, size, set))
		rc = -errno;
	for (int cpu = 0; !rc && cpu < PINNED_MAX_CPUS && (!max || *ret_nr < max); cpu++)
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

/* What the rounds gave for one set of CPUs. */
struct rounds {
	double together[MAX_ROUNDS], worth[MAX_ROUNDS], inflation[MAX_ROUNDS];
	double had_sum; /* of the rounds' shares of time in which the loops had their CPUs */
};

static int measure_round(const struct capacity_plan *plan, unsigned int round, struct loop *loops,
			 double *ret_alone, struct rounds *sets, struct err *err)
{
	double cpu_alone, cpu_together;

	if (run_together(loops, &plan->cpus[round % plan->nr_cpus], 1, (int64_t)plan->slice_ns,
			 ret_alone, &cpu_alone, err))
		return err->code;
	for (unsigned int i = 0; i < plan->nr_sets; i++) {
		const struct capacity_set *set = &plan->set[i];

		if (run_together(loops, set->cpus, set->nr, (int64_t)plan->slice_ns,
				 &sets[i].together[round], &cpu_together, err))
			return err->code;
		sets[i].worth[round] = sets[i].together[round] / *ret_alone;
		sets[i].inflation[round] = cpu_alone * set->nr / cpu_together;
		sets[i].had_sum +=
			(*ret_alone / cpu_alone + sets[i].together[round] / cpu_together) / 2;
	}
	return 0;
}

static void conclude(const struct capacity_plan *plan, double *alone, struct rounds *sets,
		     int64_t steal_ns, struct capacity *ret)
{
	double rate = median_of(alone, plan->rounds).value;

	for (unsigned int i = 0; i < plan->nr_sets; i++) {
		struct rounds *r = &sets[i]; /* median_of() sorts them */

		ret[i] = (struct capacity){
			.cpus = plan->set[i].nr,
			.rate_alone = rate,
			.rate_together = median_of(r->together, plan->rounds).value,
			.worth = median_of(r->worth, plan->rounds).value,
			.worth_min = r->worth[0],
			.worth_max = r->worth[plan->rounds - 1],
			.inflation = median_of(r->inflation, plan->rounds).value,
			.inflation_min = r->inflation[0],
			.inflation_max = r->inflation[plan->rounds - 1],
			.had_cpu = fmin(r->had_sum / plan->rounds, 1),
			.steal_ns = steal_ns,
		};
	}
}

int capacity_measure_sets(const struct capacity_plan *plan, struct capacity *ret, struct err *err)
{
	_cleanup_(free_p) struct rounds *sets = calloc(plan->nr_sets + 1, sizeof(*sets));
	_cleanup_(free_p) struct loop *loops = NULL;
	int64_t before_ns = steal_now_ns(), steal_ns = -1;
	double alone[MAX_ROUNDS];
	unsigned int most = 1;
	int r = 0;

	for (unsigned int i = 0; i < plan->nr_sets; i++)
		most = plan->set[i].nr > most ? plan->set[i].nr : most;
	loops = calloc(most, sizeof(*loops));
	if (!loops || !sets || !plan->nr_cpus || !plan->rounds || plan->rounds > MAX_ROUNDS)
		return err_sys(err, loops && sets ? -EINVAL : -ENOMEM,
			       "cannot measure what %u CPUs are worth", most);
	for (unsigned int round = 0; round < plan->rounds && !r; round++)
		r = measure_round(plan, round, loops, &alone[round], sets, err);
	if (r)
		return r;
	if (before_ns >= 0)
		steal_ns = steal_now_ns() - before_ns;
	conclude(plan, alone, sets, steal_ns, ret);
	return 0;
}

int capacity_measure(unsigned int nr, uint64_t budget_ns, struct capacity *ret, struct err *err)
{
	_cleanup_(free_p) int *cpus = NULL;
	struct capacity_plan plan = { .nr_sets = 1,
				      .rounds = ROUNDS,
				      .slice_ns = budget_ns / (2 * ROUNDS) };
	struct capacity_set set;

	*ret = (struct capacity){ .steal_ns = -1 };
	if (capacity_cpus(nr, &cpus, &plan.nr_cpus, err))
		return err->code;
	plan.cpus = cpus;
	set = (struct capacity_set){ .cpus = cpus, .nr = plan.nr_cpus };
	plan.set = &set;
	return capacity_measure_sets(&plan, ret, err);
}

void capacity_merge(struct capacity *a, const struct capacity *b)
{
	if (!a->cpus) {
		*a = *b;
		return;
	}
	a->rate_alone = (a->rate_alone + b->rate_alone) / 2;
	a->rate_together = (a->rate_together + b->rate_together) / 2;
	a->worth = (a->worth + b->worth) / 2;
	a->worth_min = b->worth_min < a->worth_min ? b->worth_min : a->worth_min;
	a->worth_max = b->worth_max > a->worth_max ? b->worth_max : a->worth_max;
	a->inflation = (a->inflation + b->inflation) / 2;
	if (b->inflation_min < a->inflation_min)
		a->inflation_min = b->inflation_min;
	if (b->inflation_max > a->inflation_max)
		a->inflation_max = b->inflation_max;
	a->had_cpu = (a->had_cpu + b->had_cpu) / 2;
	a->steal_ns = a->steal_ns < 0 || b->steal_ns < 0 ? -1 : a->steal_ns + b->steal_ns;
}
