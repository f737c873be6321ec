/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The passes over the scheduler's events beside the ledger, each made only when it is asked for.
 *
 *   each event ---> passes_event() ---> the ledger (which calls their watchers) ---> ... ---> passes_end() ---> ledger_finish()
 *
 * They see an event before the ledger does: so when the ledger tells that a wait has ended, they know already who had the CPU up to
 * now and who woke the thread.
 */
#ifndef WHYSCALE_ANALYSIS_PASSES_H
#define WHYSCALE_ANALYSIS_PASSES_H

#include "analysis/foreign.h"
#include "analysis/ledger.h"

enum pass_kind {
	PASS_WAKEUPS = 1,  /* who wakes whom: wakeups.h */
	PASS_RUNQ_WHO = 2, /* who had the CPU while threads waited for it: runq_who.h */
	PASS_HISTORY =
		4, /* what each thread did and who woke it, for the critical path: history.h, path.h */
	PASS_PARALLELISM = 16, /* how many threads ran at once: parallelism.h */
	PASS_LOCKS = 8, /* an account of each lock: locks.h; needs the history, made by load.c */
};

struct passes {
	struct foreigners foreign;
	struct wakeups *wakeups;         /* NULL: not asked for; so are the others */
	struct runq_who *runq_who;       /* " */
	struct history *history;         /* " */
	struct parallelism *parallelism; /* " */
	struct ledger *ledger;
	uint64_t now_ns;
	unsigned int nr_cpus;
};

/* `which`: enum pass_kind, or-ed. Call it before the ledger's first event. -ENOMEM. */
int passes_new(struct ledger *l, unsigned int nr_cpus, unsigned int which,
	       struct passes **ret_passes, struct err *err);

/* Each event, before ledger_event(). 0 or -ENOMEM. Malformed records are ignored (the ledger counts them). */
int passes_event(struct passes *p, const struct trace_event *ev);

/* After the last event, before ledger_finish() with the same time. */
int passes_end(struct passes *p, uint64_t end_ns);

/* After ledger_finish(), before results are asked for. 0 or -ENOMEM. */
int passes_finish(struct passes *p);

/* NULL is fine. */
void passes_free(struct passes *p);

#endif
