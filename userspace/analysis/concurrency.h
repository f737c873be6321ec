/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many of a run's workers were on a CPU at the same time: for how long none was, exactly one, ... all of them.
 *
 * It listens to the ledger's changes of state, which come in the order of time, and integrates as they come: its
 * memory is a byte for each worker, whatever the trace. So it knows what was known at each moment: a worker whose events were
 * lost counts as neither on a CPU nor runnable until they tell, and intervals that the ledger corrects later (untracked,
 * recovered from EV_MISSED) are not corrected here.
 */
#ifndef WHYSCALE_ANALYSIS_CONCURRENCY_H
#define WHYSCALE_ANALYSIS_CONCURRENCY_H

#include "analysis/ledger.h"

struct concurrency {
	size_t nr_workers;
	uint64_t begin_ns, end_ns; /* the range, since the epoch */
	uint64_t *oncpu_ns; /* [k], k = 0..nr_workers: exactly k on a CPU; they sum to end_ns - begin_ns */
	uint64_t *runnable_ns; /* [k]: exactly k on a CPU or on a run queue; the same sum */
};

/*
 * The workers are the threads of the `nr` windows (an array that was given to ledger_add_window, two windows of one thread
 * count once). Call it before the first event; the result is in *ret_concurrency after concurrency_finish(). -ENOMEM.
 */
int concurrency_new(struct ledger *l, const struct ledger_window *windows, size_t nr,
		    uint64_t begin_ns, uint64_t end_ns, struct concurrency **ret_concurrency,
		    struct err *err);

/* Closes the range, after ledger_finish(). */
void concurrency_finish(struct concurrency *c);

/* Not before the ledger's last event. */
void concurrency_free(struct concurrency *c);

#endif
