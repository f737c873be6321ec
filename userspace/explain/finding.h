/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A finding: one cause, how much it cost, a sentence that carries its evidence, and what would help. One file for each cause; each
 * reads the facts and returns a finding or nothing. No input or output here.
 */
#ifndef WHYSCALE_EXPLAIN_FINDING_H
#define WHYSCALE_EXPLAIN_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/experiment.h"
#include "analysis/inflation.h"
#include "analysis/replay.h"
#include "analysis/stack.h"

/*
 * No loss is told twice. Each cause takes parts of the stack that no other one takes (stack.h; `sync` and `serial` share one, split by
 * what else happened at that moment), so the losses of all findings sum to no more than the time that the workers lost: N * T less
 * what the work needs.
 *
 *   gil, lock, klock  their own parts       serial  of sync: while exactly one worker ran and none was ready to run
 *   runqueue          both run-queue parts  sync    the rest of it
 *   imbalance         its own part          spawn   spawn and teardown      io, throttled, inflation  their own parts
 *   none              what is left
 *   switching, migration  nothing: counts, whose price the trace does not tell
 *
 * Every number that stands in a sentence stands in its evidence too, as it is printed there (percent, ms, times), beside the exact
 * values (ns, shares).
 */

/* What a cause may look at: one run of N workers and, when there is one, its reference. */
struct facts {
	const char *name; /* of the strategy */
	bool single;      /* it is the reference of others */
	const struct experiment *run;
	const struct stack *stack;
	uint64_t baseline_ns; /* wall time of the reference; 0: none */
	const char *baseline_name;
	uint64_t reference_ns; /* on-CPU time of the same work in the reference; 0: none */
	/*
	 * The share of the reference's time in which its workers were on no CPU: without what they waited for, they would have been faster, so
	 * N of them can be worth more than N times the reference. 0: none, or not known.
	 */
	double reference_waited;
	/* The workers are threads of a Python that has a global interpreter lock: said of a wait only where no event names its lock. */
	bool interpreter_lock;
	const char *
		peer; /* the same work in processes, each with such a lock of its own: its name, NULL: not measured */
	double peer_speedup;
	unsigned int cpus;          /* that the workers could use */
	unsigned int capacity_cpus; /* so many at once: */
	double capacity; /* what they were worth together, in CPUs, measured close in time; 0: unknown */
	double capacity_min, capacity_max;
	struct shared_capacity
		shared; /* the same as CPU time of a turn, together over alone; cpus 0: not measured */
	const struct replay *replay; /* the run played again without a cause; NULL: not tried */
	/* Of the part sync: lanes that were empty while only coordinators worked (work.h); and for how long, on the clock. */
	uint64_t coordinator_alone_ns, coordinator_alone_wall_ns;
};

struct finding {
	const char *cause;
	int64_t lost_ns;         /* of the workers' time, summed */
	double lost_speedup;     /* bound minus the present speedup */
	double bound;            /* "without this, at most": see finding_bound() */
	char *sentence, *remedy; /* owned */
	json_t *evidence;        /* owned */
};

/* A cause: fills in a finding and returns 1, or returns 0 (not this), or -ENOMEM. */
struct cause {
	const char *name;
	int (*find)(const struct facts *f, struct finding *ret);
};

struct findings {
	struct finding *finding; /* largest loss first */
	size_t nr;
};

/* Asks every cause of causes.def. At least one finding results (`none` when nothing else was found). 0 or -ENOMEM. */
int findings_make(const struct facts *f, struct findings *ret_findings);
void findings_free(struct findings *f);

/* {cause, lost_ns, lost_speedup, sentence, evidence, remedy, bound}; the caller's to free. NULL when out of memory. */
json_t *finding_json(const struct finding *f);

/* What goes behind its sentence: " (replay)" where the bound was found by playing the run again, else "". And what that means. */
const char *finding_mark(const struct finding *f);
extern const char finding_marks_mean[];

/* ---- for causes ---- */

/* A loss below this share of the workers' time is not worth a sentence. */
#define FINDING_MIN_SHARE 0.01

/* The present speedup over the reference; 1 without one. */
double facts_speedup(const struct facts *f);

/* What share of the workers' whole time these ns are, 0..1. */
double facts_share(const struct facts *f, int64_t ns);

/* A share (0..1) in percent, rounded as "%.1f" prints it: what goes into the sentence and the evidence. */
double finding_percent(double share);

/* A value rounded as "%.1f" and as "%.2f" print it. */
double finding_tenths(double value);
double finding_hundredths(double value);

/* part / whole, 0 of nothing. */
double finding_ratio(uint64_t part, uint64_t whole);

/*
 * The speedup if lost_ns of the workers' time were gone and nothing else changed: the N * T of the stack shrinks to
 * N * T - lost_ns, shared evenly, so S * N * T / (N * T - lost_ns), but no more than workers and CPUs allow.
 */
double finding_bound(const struct facts *f, int64_t lost_ns);

/* Where the replay has played the run without this cause (replay.h: its `least`), the speedup then; 0: it has not. */
double finding_bound_replayed(const struct facts *f, const struct replay_time *without);

/*
 * Fills in a finding; cause, lost_ns, bound and lost_speedup follow from the arguments. The bound is the replay's where there is one, else
 * finding_bound(); which, and on what it rests, goes into the evidence. Takes over `evidence`. The sentence is made
 * from fmt; where something was lost, "Without it at most 1.97x." follows, and its number goes into the evidence. Returns 1, or
 * -ENOMEM with everything released.
 */
int finding_make(struct finding *ret, const struct facts *f, const char *cause, int64_t lost_ns,
		 json_t *evidence, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/* Adds to the end of the sentence, in front of its full stop. 1, or -ENOMEM with the finding released. */
int finding_add(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
