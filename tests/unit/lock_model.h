/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random threads that take, hold and release locks, recorded into an account of locks: the model knows at each moment who has which.
 *
 *   mutexes   by glibc's protocol: whoever comes first takes it, so a waiter that was woken may find it taken again
 *   a GIL     by CPython's: waits with a limit, a demand, a forced switch; a signal may be lost to a waiter whose limit has just run out
 */
#ifndef WHYSCALE_TESTS_LOCK_MODEL_H
#define WHYSCALE_TESTS_LOCK_MODEL_H

#include "lock_check.h"

#define CPUS 2
#define THREADS 6
#define LOCKS 2
#define ADDRESS 4096
#define INTERVAL_NS 5000000
#define MAX_TRUTH 60000

enum doing { RUNS, QUEUED, WAITS, FORCED, SLEEPS };

struct task {
	enum doing doing;
	uint16_t seq;
	unsigned int holds; /* how many: of two mutexes the first one is taken first */
	int wants;          /* the lock that it is in the slow path of, or -1 */
	bool timed, given_up;
	bool forced; /* its last wait is one for whoever takes the GIL over */
	int wakes;   /* it has let go of this lock, and has yet to wake somebody, or -1 */
	uint64_t until_ns, asked_ns;
};

/* From `from_ns` on. */
struct moment {
	uint64_t from_ns;
	uint32_t holder, given; /* serials: who has it; who was woken for it */
	uint32_t last;          /* who had it last */
	uint64_t leaving;       /* by serial: who has let go of it, and is still to wake somebody */
};

struct lock_model {
	unsigned int word;
	uint32_t owner;
	uint32_t queue[THREADS + 1]; /* in order */
	size_t nr;
	struct moment truth[MAX_TRUTH];
	size_t nr_truth;
};

struct model {
	uint64_t seed, random, now;
	bool gil, drop, races, unseen;
	uint64_t gil_address; /* with `gil`: where it is */
	uint32_t forced;      /* who waits until another has taken the GIL */
	struct task task[THREADS + 1];
	uint32_t on_cpu[CPUS];
	struct lock_model lock[LOCKS];
	struct lock_run run;
	uint64_t named_ns, wrong_ns, all_ns;
};

/* After lock_run_begin(m->run): the threads are there, as many run as there are CPUs. */
void lock_model_begin(struct model *m);

/* Time goes on, and something may happen on one of the CPUs. */
void lock_model_step(struct model *m);

#endif
