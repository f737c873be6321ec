/* SPDX-License-Identifier: GPL-2.0-only */
/* The audit: our numbers for a thread beside those that the kernel keeps itself (task_struct, read at the thread's end). */
#ifndef WHYSCALE_ANALYSIS_AUDIT_H
#define WHYSCALE_ANALYSIS_AUDIT_H

#include "analysis/ledger.h"

enum audit_result {
	AUDIT_NONE, /* no books were read: nothing to compare */
	AUDIT_OK,
	AUDIT_MISSED, /* differs by exactly the events that are known to be missed or lost */
	AUDIT_DIFFERS,
};

/*
 * Switches and migrations must be equal. Time: (oncpu + runq - steal - moved - left) against (exec + delay), within 0.5 % plus 10 us
 * for each switch. The two parts differ for known reasons: a thread woken on an idle CPU is charged from its enqueue; steal is not
 * charged; and EV_UNBOOKED tells what lies between two of the kernel's readings of its clocks: a ready thread that is moved is on no run
 * queue for a moment (`moved`: between sched_info_dequeue() and sched_info_enqueue(), kernel/sched/stats.h), and one that blocks is
 * charged up to a clock that may be old (`left`: rq_clock_skip_update() and sched_balance_newidle(), kernel/sched).
 */
struct audit {
	enum audit_result switches, migrations, time, all;  /* all: the worst */
	uint64_t voluntary[2], involuntary[2], migrated[2]; /* [0] ours, [1] the kernel's */
	int64_t missed_switches;                            /* the kernel's minus ours */
	uint64_t oncpu_ns[2], runq_ns[2];                   /* [1]: exec, delay */
	uint64_t steal_ns;
	uint64_t moved_ns, left_ns; /* of runq_ns[0] and oncpu_ns[0], what no book has */
	uint64_t asleep_ns; /* part of runq_ns on both sides: sleep that run_delay counts, see ledger.h */
	int64_t difference_ns; /* ours minus the kernel's, steal and what no book has taken off */
	uint64_t tolerance_ns;
};

void audit_thread(const struct thread *t, struct audit *ret_audit);

/* Sums over threads: counts of each result, totals of both sides. */
struct audit_total {
	unsigned int threads[4]; /* by enum audit_result */
	struct audit sum;
};
void audit_all(const struct ledger *l, struct audit_total *ret_total);

#endif
