/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One recorded run of a known amount of work by workers that report when each began and ended: the trace and the report, put
 * together.
 */
#ifndef WHYSCALE_ANALYSIS_EXPERIMENT_H
#define WHYSCALE_ANALYSIS_EXPERIMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/audit.h"
#include "analysis/load.h"
#include "analysis/replay.h"
#include "analysis/stack.h"
#include "analysis/worker_waits.h"
#include "base/err.h"

struct experiment_worker {
	uint32_t tid; /* 0: unknown */
	uint64_t counted;
	int64_t begin_ns, end_ns;  /* CLOCK_MONOTONIC, absolute */
	int64_t exec_ns, delay_ns; /* its own reading of /proc/thread-self/schedstat; -1: unknown */
	bool from_proc;            /* ledger_ns comes from those two */
	uint64_t ledger_ns[CLASS_NR]; /* between begin and end */
	/* of its thread's whole life; 0 where an earlier worker was the same thread */
	uint64_t switches, migrations, steal_ns;
	bool steal_known; /* the kernel counts it, and its books were read */
};

struct experiment {
	int64_t t0_ns, t1_ns; /* absolute: the run, as the program timed it */
	size_t nr;
	bool one_process;                 /* the workers are threads of one process */
	struct experiment_worker *worker; /* [nr], owned */

	/* filled in from the trace */
	bool bpf;                                    /* scheduler events were recorded */
	uint64_t ledger_ns[CLASS_NR];                /* all threads */
	uint64_t voluntary, involuntary, migrations; /* all threads */
	size_t nr_threads;
	struct audit_total audit;
	uint64_t *oncpu_ns; /* [nr + 1]: t0..t1 with exactly k workers on a CPU; NULL without bpf. Owned */
	struct worker_waits waits; /* all zeros without bpf */
	/* of the workers' threads, in all their lives: ready without a CPU, and in that, programs that are not recorded had it; 0: not known */
	uint64_t runq_wait_ns, runq_foreign_ns;
	uint64_t lost_events;
	struct load_cost cost;
	uint64_t instructions, cycles; /* of the whole run, by hardware counters; 0: not counted */
	struct replay replay;          /* whoever wants it fills it in: replay_trace() */
};

/* Loads the trace of this run and fills in the rest. t0, t1 and the workers' times are set before. */
int experiment_load(struct experiment *e, const char *trace_path, struct err *err);

/* What the loaded trace says of all threads; experiment_load() has done so. */
void experiment_take_totals(struct experiment *e, const struct loaded *l);

/* On-CPU time of all workers between their begin and end, ns. */
uint64_t experiment_work_ns(const struct experiment *e);

/* reference_ns as in stack_make(). 0 or -ENOMEM. */
int experiment_stack(const struct experiment *e, uint64_t reference_ns, struct stack *ret_stack);

void experiment_free(struct experiment *e);

#endif
