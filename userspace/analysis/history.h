/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each thread did, and who ended its waits: for walks back in time (path.h).
 *
 *   thread A   ... | oncpu | sync: woken by B | runq | oncpu ...        (the open interval is the ledger's)
 *
 * Intervals come from the ledger, so they are final: what events were lost for is untracked. Memory is bounded: when more than `limit`
 * intervals are kept (for a while twice that, when a wake-up is pending), the older half is given up. Before that, the path of each thread that lives, from there back to the
 * beginning, is summed up; so the critical path of the whole run stays exact (path.h), and only walks that begin in the past end at what
 * is still kept. A thread that is in one long interval when that happens counts, for others' paths through it, as what it
 * was then known to be.
 */
#ifndef WHYSCALE_ANALYSIS_HISTORY_H
#define WHYSCALE_ANALYSIS_HISTORY_H

#include "analysis/ledger.h"

#define HISTORY_DEFAULT (1u << 20) /* intervals, 16 bytes each */

struct history;

/* Listens to the ledger: before its first event. 0 or -ENOMEM. */
int history_new(struct ledger *l, size_t limit, struct history **ret_history);

/* A well-formed event, before the ledger takes it; now_ns never goes back. 0 or -ENOMEM. */
int history_event(struct history *h, const struct trace_event *ev, uint64_t now_ns);

void history_free(struct history *h);

/*
 * history_sum.c: what a thread itself did in from_ns..to_ns, by class; what is not known is untracked, and so is what would take more than
 * `max` intervals. Sums to to_ns - from_ns. Returns how many intervals it looked at.
 */
size_t history_sum(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
		   size_t max, uint64_t ret_ns[CLASS_NR]);

#endif
