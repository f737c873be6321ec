/* SPDX-License-Identifier: GPL-2.0-only */
/* A ledger with the account of locks on it, put together as load.c does, and what must hold for it whatever was fed. */
#ifndef WHYSCALE_TESTS_LOCK_CHECK_H
#define WHYSCALE_TESTS_LOCK_CHECK_H

#include "analysis/locks.h"
#include "analysis/passes.h"

struct lock_run {
	struct ledger *ledger;
	struct history *history; /* owned by passes */
	struct passes *passes;
	struct locks *locks;
	json_t *meta;
};

/* Any failure fails the test. `history`: how many intervals are kept. */
void lock_run_begin(struct lock_run *run, unsigned int nr_cpus, size_t history);
void lock_run_event(struct lock_run *run, const struct trace_event *ev);
void lock_run_end(struct lock_run *run, uint64_t end_ns);
void lock_run_free(struct lock_run *run);

/* Process 1 of the trace has what this test program has mapped. */
void lock_run_map_self(const struct lock_run *run);

/*
 * After the end: each thread's waits for all locks of a class are that class of its ledger, in time and number (sync: not more); each
 * split of a lock's waits sums to them; holders are not blamed for more. `name` is printed when not.
 */
void lock_run_check(const struct lock_run *run, const char *name);

#endif
