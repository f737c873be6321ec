/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What history.c (the intervals), path.c (the walk) and trunk.c (what is given up, summed up) share. history_sum.c and replay_take.c
 * include it too, nobody else does.
 */
#ifndef WHYSCALE_ANALYSIS_HISTORY_IMPL_H
#define WHYSCALE_ANALYSIS_HISTORY_IMPL_H

#include "analysis/history.h"
#include "analysis/path.h"
#include "analysis/serial_map.h"
#include "analysis/sums.h"

/* How a wait ended. */
enum ended_by {
	ENDED_UNKNOWN, /* and all that is no wait */
	ENDED_BY_TASK, /* by a recorded thread, of its own doing */
	ENDED_OUTSIDE, /* by a thread that is not recorded */
	ENDED_BY_INTERRUPT,
};

/* It begins where the one before it ends. */
struct interval {
	uint64_t to_ns;
	uint32_t waker; /* ENDED_BY_TASK: serial; ENDED_OUTSIDE: who */
	uint8_t class;
	uint8_t ended_by;
	bool visited, joint; /* used by trunk.c */
};

/* A thread's. */
struct past {
	const struct thread *t; /* NULL: nothing is known of this serial */
	uint64_t from_ns; /* what is kept begins here, once begun; before that, with its life */
	bool begun;
	struct interval *at;
	size_t nr, cap;
	size_t hint; /* history_at()'s last answer */
	struct {
		uint64_t time_ns;
		uint32_t who;
		uint8_t ended_by;
	} wake; /* the last one */
	struct trunk *
		base; /* its path from from_ns back to the beginning; NULL while from_ns is its start */
	struct trunk *next_base;
	size_t drop;                     /* used by trunk.c: how many intervals are given up */
	bool visited_start, joint_start; /* as in the interval, of its start */
};

/*
 * The path before a moment, summed up. Paths join as they go back, so what several share is kept once:
 *
 *   base of A --> (own part) --+
 *                              +--> (shared) --> ... --> the beginning
 *   base of B --> (own part) --+
 */
struct trunk {
	struct trunk *parent; /* NULL: it ends, at end_ns */
	size_t refs;          /* pasts and trunks that point here */
	struct sums sums;     /* by path_key() */
	uint64_t slices, jumps;
	uint64_t end_ns; /* before that nothing is known of it */
};

struct history {
	struct ledger *ledger;
	struct serial_map *pasts; /* made as they are asked for */
	size_t limit, nr, next;   /* intervals; the next look at how many there are */
	uint64_t half_ns;         /* when there were half as many as may be */
	bool has_half;
	uint64_t now_ns;
	int failed;
};

/* history.c. NULL: the ledger has not met it (or out of memory). */
struct past *history_past(const struct history *h, uint32_t serial);

static inline uint64_t history_begin(const struct past *p)
{
	return p->begun ? p->from_ns : p->t->start_ns;
}

/*
 * The interval that a thread was in just before `at_ns`: its index, nr for the open one; false: that is not kept, or was not its life.
 */
bool history_at(const struct past *p, uint64_t at_ns, size_t *ret_i);
uint64_t history_from(const struct past *p, size_t i);
enum ledger_class history_class(const struct past *p, size_t i);

/* path.c. A place on a path: what the thread did just before at_ns is next. All but `p` and at_ns is path_step's. */
struct path_place {
	const struct past *p;
	uint64_t at_ns;
	bool jumped;
};

/*
 * Goes one slice back. STEP_SLICE: there it is, and the place is where an interval of its thread begins. STEP_BASE: what came before
 * is in the base of the place's thread. STEP_END: nothing is known before.
 */
enum step { STEP_SLICE, STEP_BASE, STEP_END };
enum step path_step(const struct history *h, struct path_place *place,
		    struct path_slice *ret_slice);

/* The key of a slice in sums. */
uint64_t path_key(const struct path_slice *slice);

/* trunk.c. Gives up what ended at or before until_ns. 0 or -ENOMEM. */
int trunk_prune(struct history *h, uint64_t until_ns);
void trunk_release(struct trunk *k);

#endif
