/* SPDX-License-Identifier: GPL-2.0-only */
/* A trace as text, through the pass that tells who had the CPUs. What goes wrong fails the test. */
#ifndef WHYSCALE_TESTS_RUNQ_CHECK_H
#define WHYSCALE_TESTS_RUNQ_CHECK_H

#include <stdbool.h>

#include "analysis/passes.h"
#include "analysis/runq_who.h"

struct runq_check {
	struct ledger *l;
	struct passes *p;
};

/* See trace_text.h; two CPUs. */
struct runq_check runq_check_run(const char *text, uint64_t end_ns);
void runq_check_free(const struct runq_check *a);

/* The parts sum to the waits, none is larger, and the names sum to their two parts. */
void runq_check_sums(const struct runq_check *a);

/*
 * "wait=500 recorded=200 foreign=300": the wait and its parts that are not 0; then a line for each process that had the CPU, "7: 300".
 * With `all` also how long nobody had it, and what is known of the processes: "nobody=0", "7 name: foreign 300". The caller's to free.
 */
char *runq_check_show(const struct passes *p, bool all);

#endif
