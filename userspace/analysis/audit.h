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
 * Switches and migrations must be equal. Time: (oncpu + runq - steal) against (exec + delay), within 0.5 % plus 10 us for each
 * switch. The two parts differ for known reasons: a thread woken on an idle CPU is charged from its enqueue; steal is not
 * charged.
 */
struct audit {
	enum audit_result switches, migrations, time, all;  /* all: the worst */
	uint64_t voluntary[2], involuntary[2], migrated[2]; /* [0] ours, [1] the kernel's */
	int64_t missed_switches;                            /* the kernel's minus ours */
	uint64_t oncpu_ns[2], runq_ns[2];                   /* [1]: exec, delay */
	uint64_t steal_ns;
	uint64_t asleep_ns; /* part of runq_ns on both sides: sleep that run_delay counts, see ledger.h */
	int64_t difference_ns; /* ours minus the kernel's, steal taken off */
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
