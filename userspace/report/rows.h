/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of the per-thread tables: processes, each with its threads below, both by lost time (life - on-CPU), the largest
 * first. A process of one thread is one row. Beyond a limit the rest is summed up.
 *
 *   ROW_PROCESS   server   1200      sum of its threads
 *   ROW_THREAD      worker 1203
 *   ROW_MORE        (7 more threads)
 *   ROW_SINGLE    helper   1300      process and thread
 *   ROW_MORE      (12 more threads)
 *   ROW_TOTAL     all 23 threads
 */
#ifndef WHYSCALE_REPORT_ROWS_H
#define WHYSCALE_REPORT_ROWS_H

#include "analysis/load.h"

enum row_kind { ROW_PROCESS, ROW_THREAD, ROW_SINGLE, ROW_MORE, ROW_TOTAL };

struct report_row {
	enum row_kind kind;
	bool indented;     /* below a process */
	size_t nr_threads; /* that the sums are of */
	const struct thread *
		thread; /* the one, or (ROW_PROCESS) the one whose name stands for all; else NULL */
	bool same_scheduling; /* policy, nice, CPUs and cgroup of all of them equal that thread's */
	uint64_t life_ns, ledger_ns[CLASS_NR];
	uint64_t voluntary, involuntary, yields, migrations;
	uint64_t yielded_ns;     /* of runq_preempted, what followed a sched_yield */
	enum audit_result audit; /* the worst */
	struct counted counted;  /* what the counters counted */
};

struct report_rows {
	struct report_row *row;
	size_t nr;
};

/*
 * max_threads: how many threads get a row of their own. Threads that never ran come last, and have no row when there are more
 * than that.
 */
int rows_make(const struct loaded *l, size_t max_threads, struct report_rows *ret_rows,
	      struct err *err);
void rows_free(struct report_rows *rows);

/* The row's name, e.g. "  worker", escaped; buf has ROW_NAME_SIZE bytes. */
#define ROW_NAME_SIZE 96
const char *row_name(const struct report_row *row, char *buf);

/* Its process or thread id, or "". buf has 16 bytes. */
const char *row_id(const struct report_row *row, char *buf);

#endif
