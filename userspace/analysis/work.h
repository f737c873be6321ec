/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who does the work in a trace whose program reports nothing about itself, and what the program had of so many workers.
 *
 *   main   |= alone =|............ waits for a and b ............|= alone =|      a coordinator while a and b live
 *   a                |=============== works ==============|                       a worker
 *   b                |======== works ========|                                    a worker
 *   lanes  |    1    |           2           |     1      | 1 ...
 *
 * A thread that hardly runs while threads or processes that it started live is a coordinator, and so is one that runs a little beside what
 * those do and mostly waits for them: that time of its life is nobody's loss; before and after it, it works like others. A thread that ran
 * for less than COUNTS_FROM of its life is a bystander, as long as there are others. Time in which a thread was kept from running (by a lock, the
 * queue for a CPU, a quota) does not count in any of these: it chose neither. The others are workers all their lives.
 *
 * The run has as many lanes as threads worked at once at most (the N of the speedup stack). A lane in which nobody works is
 *   alone      while only coordinators work: what they do before they start the others, between, and when these have ended;
 *              and while the first worker has not started the others yet
 *   spawn      while nobody works, and as far as threads that have not begun yet could fill the lanes
 *   imbalance  otherwise: fewer threads are left than there were
 *   teardown   behind the last one's end
 */
#ifndef WHYSCALE_ANALYSIS_WORK_H
#define WHYSCALE_ANALYSIS_WORK_H

#include "analysis/experiment.h"
#include "analysis/load.h"
#include "analysis/stack.h"

#define WORK_COORDINATOR_MAX 0.05 /* on a CPU, of the time while its children live */
#define WORK_BESIDE_THEIRS 0.1    /* on a CPU, of what its children are together */
#define WORK_COUNTS_FROM 0.01

struct work_window {
	const struct thread *thread; /* as long as the trace is loaded */
	uint32_t tid;
	uint64_t begin_ns, end_ns; /* since the epoch */
	bool coordinator;
};

struct work {
	struct work_window *window; /* in the order of the threads' serials; owned */
	size_t nr;
	size_t lanes, workers, coordinators, bystanders; /* the last three: threads */
	uint64_t begin_ns, end_ns;
	/* of the lanes, summed; lanes * (end - begin) is these and the windows */
	uint64_t alone_ns, spawn_ns, imbalance_ns, teardown_ns;
	uint64_t alone_wall_ns; /* on the clock */
};

/* After load_run() with PASS_HISTORY (without, whole lives are looked at). 0 or -ENOMEM; there may be no window at all. */
int work_find(const struct loaded *l, struct work *ret_work);
void work_free(struct work *w);

/* Workers and times of the experiment, before experiment_load(): absolute. 0 or -ENOMEM. */
int work_experiment(const struct work *w, const struct loaded *l, struct experiment *ret_run);

/* The stack of its lanes, from the loaded experiment; its sync part holds alone_ns too. */
void work_stack(const struct work *w, const struct experiment *run, struct stack *ret_stack);

#endif
