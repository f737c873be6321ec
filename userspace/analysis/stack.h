/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The speedup stack: where the N workers' time went during the run, N = the sum of the parts, exactly.
 *
 *            t0        begin                         end     last end    t1
 *   worker   |  spawn  |  its ledger (on CPU, waits)  | imbalance | teardown |
 *
 * Every worker's N-th is the whole wall time T = t1 - t0, so the parts, in nanoseconds, sum to N * T. Time on a CPU is split by the
 * reference, the same work done by one worker: useful is what that took on a CPU, inflation is the rest, which
 * may be negative. After Eyerman, Du Bois and Eeckhout, "Speedup Stacks" (ISPASS 2012), with the ledger's classes as components.
 */
#ifndef WHYSCALE_ANALYSIS_STACK_H
#define WHYSCALE_ANALYSIS_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/class.h"

enum stack_part {
	STACK_USEFUL,
	STACK_INFLATION,
	STACK_LOCK,
	STACK_GIL,
	STACK_KLOCK,
	STACK_SYNC,
	STACK_RUNQ_PREEMPTED,
	STACK_RUNQ_WAKEUP,
	STACK_THROTTLED,
	STACK_IO,
	STACK_SLEEP,
	STACK_STOPPED,
	STACK_BLOCKED_OTHER,
	STACK_SPAWN,     /* before the worker began its work */
	STACK_IMBALANCE, /* after it ended, until the last one ended */
	STACK_TEARDOWN,  /* from the last one's end to the end of the run */
	STACK_UNTRACKED,
	STACK_NR
};

/* The name in every output, e.g. "runq_wakeup". */
const char *stack_part_name(enum stack_part part);

/* The part that a class of the ledger belongs to; time on a CPU to STACK_USEFUL, as without a reference. */
enum stack_part stack_part_of(enum ledger_class class);

/* Times of a worker in ns on any common clock; ledger_ns sums to at most end - begin, what is missing is untracked. */
struct stack_worker {
	int64_t begin_ns, end_ns;
	uint64_t ledger_ns[CLASS_NR];
};

struct stack {
	size_t workers;
	int64_t wall_ns;           /* T */
	int64_t part_ns[STACK_NR]; /* sum to workers * wall_ns */
	bool has_reference;        /* without: all time on a CPU is useful, inflation 0 */
};

/* reference_ns: the on-CPU time of the same work by one worker, or 0 when there is no reference. */
void stack_make(const struct stack_worker *worker, size_t nr, int64_t t0_ns, int64_t t1_ns,
		uint64_t reference_ns, struct stack *ret_stack);

/* A part in units of workers: part_ns / wall_ns. */
double stack_share(const struct stack *s, enum stack_part part);

#endif
