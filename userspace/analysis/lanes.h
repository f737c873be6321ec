/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the time of a program went that was to use n workers, without a word from the program: n lanes over the run, each moment of
 * each in one part of the speedup stack, so that the parts sum to n * T exactly.
 *
 *   threads at a moment:  main waits for the end of A   A on a CPU   B ready   C waits for a lock        n = 4
 *                            (coordinates: no lane)          |          |            |
 *   lanes:                                                on CPU   runq_preempted   lock   nobody's: sync, spawn, imbalance ...
 *
 * A thread that waits for a thread's or child's end coordinates, and takes no lane. More threads than lanes: those on a CPU come
 * first, then the ready ones, then the waiting ones, and those that wait for others' work last; what finds no lane is not counted (it is
 * a helper that waits, a manager, one more of a pool). Fewer threads than lanes: a lane without a thread waits for others' work (sync) while
 * just one thread is active; otherwise it is `spawn` while fewer than n threads have been met, else `imbalance`; `teardown` once
 * no thread is active any more.
 *
 * It listens to the ledger's changes of state and knows what was known at each moment, as concurrency.h does.
 */
#ifndef WHYSCALE_ANALYSIS_LANES_H
#define WHYSCALE_ANALYSIS_LANES_H

#include "analysis/ledger.h"
#include "analysis/stack.h"
#include "analysis/worker_waits.h"

#define LANES_MAX 4096

struct lanes {
	size_t nr;                 /* n */
	uint64_t begin_ns, end_ns; /* T, since the epoch */
	int64_t part_ns[STACK_NR]; /* sum to nr * T; time on a CPU is all in STACK_USEFUL */
	/* as in struct worker_waits; WAIT_ABSENT: no thread was there that could have worked */
	uint64_t kind_ns[WAIT_KINDS], alone_ns, alone_kind_ns[WAIT_KINDS];
	uint64_t alone_most_ns;
	uint32_t alone_most_serial; /* 0: none */
	/*
	 * Lanes that waited for what only one can have: for a lock (lock, gil, klock), or for others' work (sync) while no more than one lane
	 * did anything else.
	 */
	uint64_t exclusive_ns;
	uint64_t oncpu_ns;   /* of all threads, in or outside the lanes */
	uint64_t beyond_ns;  /* of it, time with more than n on a CPU, for each that was too many */
	uint64_t wanted_ns;  /* more threads than n on a CPU or ready to run */
	uint64_t crowded_ns; /* more threads than `cpus` on a CPU or ready to run */
	uint64_t *at_once_ns; /* [nr + 1]: exactly k on a CPU (k = nr: or more); sum to T */
};

/*
 * nr: 1 to LANES_MAX. begin_ns..end_ns: the run; cpus: what it could use, for crowded_ns. Before the ledger's first event. The result is in
 * *ret_lanes after lanes_finish(). -ENOMEM.
 */
int lanes_new(struct ledger *l, size_t nr, unsigned int cpus, uint64_t begin_ns, uint64_t end_ns,
	      struct lanes **ret_lanes, struct err *err);

/* Closes the run, after ledger_finish(). -ENOMEM when a thread did not fit while the events came. */
int lanes_finish(struct lanes *l);

/* Not before the ledger's last event. NULL is fine. */
void lanes_free(struct lanes *l);

#endif
