/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who wakes whom, how often, and how long the woken one then waits for a CPU.
 *
 * The waker is the thread whose system call did it; in an interrupt it is the interrupt, whomever it interrupted. Where the
 * recording could not tell the context, the waker is the thread that was there, and `context` says that it is not sure. Every wake-up
 * of a recorded thread that had an effect counts once. Memory is bounded: beyond WAKEUPS_MAX pairs the others are one sum.
 */
#ifndef WHYSCALE_ANALYSIS_WAKEUPS_H
#define WHYSCALE_ANALYSIS_WAKEUPS_H

#include "analysis/ledger.h"

#define WAKEUPS_MAX 65536

enum wake_context {
	WAKE_TASK,
	WAKE_HARDIRQ,   /* a hard interrupt (or NMI) */
	WAKE_SOFTIRQ,   /* a soft interrupt, e.g. a network packet or a timer */
	WAKE_INTERRUPT, /* one of the two, above an idle CPU */
	WAKE_UNKNOWN,   /* not known whether the thread, or an interrupt above it */
	WAKE_NEW,       /* the first one of a new thread, by its maker */
	WAKE_CONTEXT_NR
};

/* "task", "hardirq", "softirq", "interrupt", "unknown", "new". */
const char *wake_context_name(enum wake_context context);

struct wake_counts {
	uint64_t count;
	uint64_t delays;   /* of these, the delay that followed is known */
	uint64_t delay_ns; /* their sum: from the wake-up (of a new thread: the fork) to running */
	uint64_t longest_ns;
};

struct wake_pair {
	uint32_t waker; /* who; 0 for interrupts and where nothing is known */
	uint32_t wakee; /* serial */
	enum wake_context context;
	struct wake_counts counts;
};

struct wakeups {
	struct wake_pair *pair; /* in the order in which they were met */
	size_t nr;
	struct wake_counts others; /* of the pairs beyond WAKEUPS_MAX */
	struct wake_counts all;
};

/* 0 or -ENOMEM. */
int wakeups_new(struct ledger *l, struct wakeups **ret_wakeups);
int wakeups_event(struct wakeups *w, const struct trace_event *ev);
void wakeups_free(struct wakeups *w);

/*
 * The context and waker that a wake-up record tells (EV_WAKE, or EV_WAKEUP with WU_NO_WAKE): *ret_waker is 0 unless a thread did it,
 * or may have done it (WAKE_UNKNOWN).
 */
enum wake_context wake_context_of(const struct ev_wake *rec, uint32_t *ret_waker);

#endif
