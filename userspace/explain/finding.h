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
#include "analysis/stack.h"

/* What a cause may look at: one run of N workers and, when there is one, its reference. */
struct facts {
	const char *name; /* of the strategy */
	bool single;      /* it is the reference of others */
	const struct experiment *run;
	const struct stack *stack;
	uint64_t baseline_ns; /* wall time of the reference; 0: none */
	const char *baseline_name;
	uint64_t reference_ns; /* on-CPU time of the same work in the reference; 0: none */
	bool interpreter_lock; /* the workers are threads of a Python that has a global interpreter lock */
	unsigned int cpus;          /* that the workers could use */
	unsigned int capacity_cpus; /* so many at once: */
	double capacity; /* what they were worth together, in CPUs, measured close in time; 0: unknown */
	double capacity_min, capacity_max;
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

/* ---- for causes ---- */

/* A loss below this share of the workers' time is not worth a sentence. */
#define FINDING_MIN_SHARE 0.01

/* The present speedup over the reference; 1 without one. */
double facts_speedup(const struct facts *f);

/* What share of the workers' whole time these ns are, 0..1. */
double facts_share(const struct facts *f, int64_t ns);

/*
 * The speedup if lost_ns of the workers' time were gone and nothing else changed: the N * T of the stack shrinks to
 * N * T - lost_ns, shared evenly, so S * N * T / (N * T - lost_ns), but no more than workers and CPUs allow.
 */
double finding_bound(const struct facts *f, int64_t lost_ns);

/*
 * Fills in a finding; cause, lost_ns, bound and lost_speedup follow from the arguments. Takes over `evidence`. The sentence is made
 * from fmt. Returns 1, or -ENOMEM with everything released.
 */
int finding_make(struct finding *ret, const struct facts *f, const char *cause, int64_t lost_ns,
		 json_t *evidence, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

#endif
