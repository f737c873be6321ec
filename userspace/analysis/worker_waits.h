/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the workers of a run waited for, from the beginning to the end of each one's work: which locks, what kinds of things, and
 * while only one of them ran.
 *
 *   worker A  ----run----|  wait for L  |--run--|  wait at the barrier  |
 *   worker B  ----------------------- run ------------------------------|
 *                        |--- lock L ---|       |-- alone, by barrier --|
 *
 * A wait counts from the ledger's own intervals, cut to the worker's windows, so the waits of a class sum to what the ledger has for it.
 */
#ifndef WHYSCALE_ANALYSIS_WORKER_WAITS_H
#define WHYSCALE_ANALYSIS_WORKER_WAITS_H

#include "analysis/ledger.h"
#include "analysis/locks.h"

/* Beside the kinds of locks: waits in CLASS_SYNC of which no futex is known (the end of a child, vfork). */
#define WAIT_OTHER LOCK_KIND_NR
/* No wait: there was no thread that could have worked (lanes.h). */
#define WAIT_ABSENT (LOCK_KIND_NR + 1)
#define WAIT_KINDS (LOCK_KIND_NR + 2)

#define WORKER_LOCK_NAME 96

/* A lock, in own copies. Names hold printable ASCII only ('?' for the rest): they may come from an untrusted trace. */
struct worker_lock {
	enum lock_kind kind;
	enum ledger_class class;
	char name[WORKER_LOCK_NAME];
	uint64_t waits, wait_ns;              /* of the workers, while they worked */
	uint64_t gil_handovers, gil_timeouts; /* likewise */

	/* of all threads in the whole recording */
	uint64_t all_waits, all_wait_ns;
	uint64_t doing_ns[LOCK_DOING_NR]; /* what the holder did meanwhile; they sum to all_wait_ns */
	uint64_t handed_ns, convoys;      /* see locks.h */
	uint64_t spins, spin_ns;
	uint32_t holder_tid; /* who held it for most of the waiting; 0: nobody was shown to */
	char holder_comm[EV_COMM_LEN];
	uint64_t holder_ns; /* of all_wait_ns */
};

#define WORKER_LOCKS_OF_CLASS 4
#define WORKER_LOCKS_MAX (4 * WORKER_LOCKS_OF_CLASS)

struct worker_waits {
	struct worker_lock
		lock[WORKER_LOCKS_MAX]; /* longest waited for first, the first few of each class */
	size_t nr;
	size_t nr_locks[CLASS_NR]; /* how many different ones they waited for */
	uint64_t kind_ns[WAIT_KINDS];

	/*
	 * alone_ns: exactly one worker was on a CPU, none was ready to run, and at least one other waited in CLASS_SYNC; for what, summed over
	 * those, says alone_kind_ns. Known as of each moment, like concurrency.h.
	 */
	uint64_t alone_ns, alone_kind_ns[WAIT_KINDS];
	uint64_t alone_most_ns; /* of alone_ns, with the worker that was alone for longest: */
	uint32_t alone_most_tid;
	char alone_most_comm[EV_COMM_LEN];
};

struct worker_pass;

/*
 * Listens to the ledger, before its first event; before locks_new(), too. The workers are the threads of `windows`, as for
 * concurrency_new(); begin_ns..end_ns is the run. -ENOMEM.
 */
int worker_pass_new(struct ledger *l, const struct ledger_window *windows, size_t nr,
		    uint64_t begin_ns, uint64_t end_ns, struct worker_pass **ret_pass,
		    struct err *err);

/* After ledger_finish() and locks_finish(), while the locks live. -ENOMEM when something did not fit while the events came. */
int worker_pass_finish(struct worker_pass *p, struct worker_waits *ret_waits);

/* NULL is fine. Not before the ledger's last event. */
void worker_pass_free(struct worker_pass *p);

#endif
