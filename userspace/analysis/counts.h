/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the recording's counters counted for each thread (EV_COUNTS): the sums over its slices, and what is not in them.
 *
 *   EV_COUNTS of a slice   added, in order of seq; a gap means that records were lost: `lost` slices
 *   ... CT_TOTAL           the kernel side's own sum so far: takes the place of ours after a gap, so nothing is lost up to there
 *   ... CT_UNKNOWN         the thread was not seen to get its CPU: an `unknown` slice
 *   ... CT_EXEC            what the thread had counted when it began its first program: perf stat begins there
 *
 * A counter that had to share the hardware is extrapolated from the time in which it counted, value * enabled / running, as perf does
 * (tools/lib/perf/evsel.c, perf_counts_values__scale); the result is `scaled`.
 */
#ifndef WHYSCALE_ANALYSIS_COUNTS_H
#define WHYSCALE_ANALYSIS_COUNTS_H

#include <jansson.h>

#include "analysis/ledger.h"

/* One of the recording's counters; strings belong to the META that it was read from. */
struct counter_info {
	const char *name, *unit;
	bool user_only; /* the recorder was not allowed to look into the kernel */
};

struct counted_value {
	uint64_t value;                  /* scaled */
	uint64_t raw;                    /* as counted */
	uint64_t enabled_ns, running_ns; /* it counted in the latter out of the former */
	bool scaled;
	bool none;  /* it never had the hardware: nothing is known of it */
	bool lacks; /* of a sum over several: it was so for one of them */
};

struct counted {
	struct counted_value counter[COUNTERS_MAX];
	uint64_t before_exec[COUNTERS_MAX]; /* of raw, what lies before its first exec; if exec */
	bool exec;
	uint64_t slices;     /* records of slices with values */
	uint64_t unknown;    /* slices whose values are not known */
	uint64_t unknown_ns; /* how long they were, as far as the ledger knows */
	uint64_t open_ns; /* of the slice that it was in when the recording ended: not counted, as no switch ended it */
	uint64_t lost; /* slices that are missing in the sums since their records were dropped */
	bool partial;  /* the values are at least that: something is unknown or lost */
};

struct counts;

/* Which counters a trace has, by META's `counters`: ret_info has room for COUNTERS_MAX; their number. Not trusted, not NULL-named. */
unsigned int counts_describe(const json_t *meta, struct counter_info *ret_info);

/* Before the first event. *ret_counts is NULL where META has no counters of this kind. 0 or -ENOMEM. */
int counts_new(const struct ledger *l, const json_t *meta, struct counts **ret_counts);
void counts_free(struct counts *c); /* NULL is fine */

/* Each event, before ledger_event(). 0 or -ENOMEM. */
int counts_event(struct counts *c, const struct trace_event *ev);

/* After the last event, before ledger_finish() with the same time. 0 or -ENOMEM. */
int counts_end(struct counts *c, uint64_t end_ns);

/* After ledger_finish(), before results are asked for. */
void counts_finish(struct counts *c);

/* Results. c may be NULL: then there are no counters. */
unsigned int counts_nr(const struct counts *c);
const struct counter_info *counts_info(const struct counts *c, unsigned int i);
/* Of a thread; zeros for one that never left a CPU, or where c is NULL. */
const struct counted *counts_of(const struct counts *c, uint32_t serial);

/* Adds what a thread counted to a sum over several. */
void counted_add(struct counted *sum, const struct counted *one);

/* Instructions for each cycle: false where the trace does not have both, or no cycle was counted. */
bool counted_ipc(const struct counts *c, const struct counted *of, double *ret_ipc);

#endif
