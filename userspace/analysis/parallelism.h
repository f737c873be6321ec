/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parallelism of a recording: for how long 0, 1, 2 ... threads ran at once, and what each thread had to do with it.
 *
 *   running   2 |      ####      ####
 *             1 |   #############    ######
 *             0 |###                       ##        the profile is the width of each level; the widths sum to the wall time
 *
 * Criticality of a thread: the integral of dt / r over its time on a CPU, r being how many threads ran at that moment (Du Bois,
 * Sartor, Eyerman and Eeckhout, "Bottle Graphs: Visualizing Scalability Bottlenecks in Multi-Threaded Applications", OOPSLA 2013: the height
 * of a thread's box; GAPP, Nair and Field, ICPE 2020, has the same sum over the threads that are ready or running). A moment
 * belongs to those who ran in it, in equal parts, so the criticalities sum to the time with at least one running, exactly. A thread's
 * time on a CPU over its criticality is how many ran on average while it did (the box's width).
 *
 * It is made from the ledger's intervals, once all are known, so it agrees with the ledger to the nanosecond, however many events were
 * missed; moments in which it is not known what some thread did are summed up apart. Of more than TURNS_MAX (turns.h) changes it keeps
 * what the changes of state told while they came (`exact` is false): then a thread whose events were lost counts as neither running nor
 * ready until they tell, and one that was woken before it had left its CPU is ready from the moment that settles which wait that ended.
 */
#ifndef WHYSCALE_ANALYSIS_PARALLELISM_H
#define WHYSCALE_ANALYSIS_PARALLELISM_H

#include "analysis/ledger.h"

struct parallelism_thread {
	const struct thread *thread;
	uint64_t running_ns;     /* on a CPU, as seen here */
	uint64_t criticality_ns; /* its part of the time with at least one running */
	bool coordinator;        /* see parallelism_pop() */
};

struct parallelism {
	uint64_t begin_ns, end_ns; /* first and last moment of any thread, since the epoch */
	/* [k], k = 0..levels-1: exactly k threads ran, were ready without a CPU, were either; each sums to end_ns - begin_ns */
	uint64_t *running_ns, *ready_ns, *active_ns;
	size_t levels;
	uint64_t busy_ns;                  /* at least one ran */
	uint64_t untracked_ns;             /* of at least one it is not known what it did */
	bool exact;                        /* it is what the ledger has in the end */
	uint64_t work_ns;                  /* sum of all threads' running_ns */
	struct parallelism_thread *thread; /* largest criticality first */
	size_t nr;
};

/* Listens to `l`, before its first event; the result is complete after parallelism_finish(). 0 or -ENOMEM. */
int parallelism_new(struct ledger *l, struct parallelism **ret_parallelism);

/* After ledger_finish(). 0, or -ENOMEM, also if memory ran out before. */
int parallelism_finish(struct parallelism *p);

/* NULL is fine. Not before the ledger's last event. */
void parallelism_free(struct parallelism *p);

/*
 * POP's efficiencies (Rosas, Gimenez and Labarta, "Scalability Prediction for Fundamental Performance Factors", 2014; the POP
 * centre of excellence's "Standard Metrics for Performance Analysis"), time on a CPU standing for useful computation, T for the wall time:
 *
 *   load balance              average / maximum of the workers' time on a CPU
 *   communication efficiency  maximum of the workers' time on a CPU / T
 *   parallel efficiency       their product: average time on a CPU / T
 *
 * Not among the workers are threads that never ran, kernel threads, and coordinators: a thread that made others of the recording and
 * ran for less than COORDINATOR_SHARE of what the busiest one did. A thread that lived for a part of T counts as any other.
 */
#define COORDINATOR_SHARE 0.05
struct parallelism_pop {
	size_t workers, coordinators;
	double load_balance, communication, parallel; /* 0..1; 0 without a worker */
	uint64_t average_ns, maximum_ns;
};

void parallelism_pop(const struct parallelism *p, struct parallelism_pop *ret_pop);

#endif
