// SPDX-License-Identifier: GPL-2.0-only
/* What a migration costs: see migration_cost.h. */
#include "strategy/migration_cost.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "strategy/count_loop.h"
#include "strategy/pinned.h"

#define LINE 64
#define TURNS 100000 /* of the counting loop in each slice: 10 to 80 us */
#define MAX_PAIRS 32

static const size_t sizes[MIGRATION_SIZES] = { 0, 64 << 10, 512 << 10, 4 << 20, 16 << 20 };

/* A line of the working set: the next one to visit. */
struct line {
	struct line *next;
	uint64_t visits;
	char rest[LINE - 16];
};

struct job {
	int cpu[2];
	size_t bytes;
	unsigned int pairs;
	struct line *set; /* its first line; NULL: no working set */
	double stay[MAX_PAIRS], extra[MAX_PAIRS];
	int error;
};

/* One ring through all lines, in an order by chance (Sattolo's shuffle); always the same one. */
static void tie(struct line *line, size_t nr, size_t *order)
{
	uint64_t random = 88172645463325252ull;

	for (size_t i = 0; i < nr; i++)
		order[i] = i;
	for (size_t i = nr - 1; i > 0; i--) {
		size_t k, other;

		random ^= random << 13; /* xorshift64 */
		random ^= random >> 7;
		random ^= random << 17;
		k = random % i;
		other = order[k];
		order[k] = order[i];
		order[i] = other;
	}
	for (size_t i = 0; i < nr; i++)
		line[order[i]].next = &line[order[(i + 1) % nr]];
}

static void slice(struct line *set)
{
	struct line *at = set;

	count_to(TURNS);
	if (!set)
		return;
	do {
		at->visits++;
		at = at->next;
	} while (at != set);
}

/* One slice on cpu[1 or 0], after warming up on cpu[0]: its CPU time. */
static double timed_slice(struct job *j, bool move)
{
	uint64_t begin;

	j->error = j->error ?: pinned_to(j->cpu[0]);
	slice(j->set);
	if (j->bytes < 1 << 20)
		slice(j->set);
	j->error = j->error ?: pinned_to(j->cpu[move]);
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	slice(j->set);
	return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
}

static void *job_main(void *arg)
{
	struct job *j = arg;

	for (unsigned int i = 0; i < j->pairs && !j->error; i++) {
		double moved;

		/* in turns, also which is first */
		if (i % 2) {
			moved = timed_slice(j, true);
			j->stay[i] = timed_slice(j, false);
		} else {
			j->stay[i] = timed_slice(j, false);
			moved = timed_slice(j, true);
		}
		j->extra[i] = moved - j->stay[i];
	}
	return NULL;
}

/* In a thread of its own: the caller's affinity stays as it is. */
static int run_job(struct job *j)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, job_main, j);

	if (r)
		return r;
	pthread_join(thread, NULL);
	return j->error;
}

static int measure_size(struct job *j, struct line *line, size_t *order)
{
	size_t nr = j->bytes / sizeof(*line);

	j->set = nr ? line : NULL;
	if (nr)
		tie(line, nr, order);
	return run_job(j);
}

static int measure_distance(const int cpu[2], enum cpu_distance distance, bool quick,
			    struct line *line, size_t *order, struct migration_costs *ret)
{
	size_t nr = quick ? MIGRATION_SIZES - 1 : MIGRATION_SIZES;

	for (size_t i = 0; i < nr; i++) {
		struct migration_cost *cost = &ret->cost[ret->nr];
		struct job j = { .cpu = { cpu[0], cpu[1] }, .bytes = sizes[i] };
		int r;

		/* more of what is short: its noise is larger beside it */
		j.pairs = sizes[i] > 4 << 20 ? 8 : sizes[i] > 1 << 20 ? 16 : 32;
		if (quick)
			j.pairs /= 2;
		r = measure_size(&j, line, order);
		if (r)
			return r;
		*cost = (struct migration_cost){ .distance = distance, .bytes = sizes[i] };
		cost->stay_ns = median_of(j.stay, j.pairs);
		cost->extra_ns = median_of(j.extra, j.pairs);
		ret->nr++;
	}
	return 0;
}

int migration_costs_measure(const struct topology *t, bool quick, struct migration_costs *ret,
			    struct err *err)
{
	size_t bytes = sizes[MIGRATION_SIZES - 1 - quick];
	struct line *line =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t *order = calloc(bytes / sizeof(*line), sizeof(*order));
	int r = line == MAP_FAILED || !order ? ENOMEM : 0;

	*ret = (struct migration_costs){};
	for (int d = 0; d < DISTANCE_NR && !r; d++) {
		unsigned int at[2];
		int cpu[2];

		if (topology_pair(t, d, at))
			continue;
		cpu[0] = t->cpu[at[0]].cpu;
		cpu[1] = t->cpu[at[1]].cpu;
		r = measure_distance(cpu, d, quick, line, order, ret);
	}
	if (line != MAP_FAILED)
		munmap(line, bytes);
	free(order);
	return r ? err_sys(err, -r, "cannot measure what a migration costs") : 0;
}
