/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Predictions put to the test, by experiments that are run (trial.h has them).
 *
 *   explain --verify   the recorded command again, as it was and changed, in turns
 *   run --verify       processes beside threads: what the threads would be without the interpreter's lock; and for what a strategy lost most
 *                      to, the experiment that takes it away, by running the strategy again
 */
#ifndef WHYSCALE_CLI_VERIFY_H
#define WHYSCALE_CLI_VERIFY_H

#include "cli/explained.h"
#include "cli/run_lab.h"
#include "explain/verdict.h"

#define VERIFY_MAX 32
#define VERIFY_REPEATS 3

/*
 * What the CPUs were worth together around runs of one kind (capacity.h), measured before and after each of them, since it drifts with the
 * host: the median of those measurements, the smallest and the largest.
 */
struct verified_capacity {
	unsigned int cpus,
		nr; /* on so many at once, so often; 0: not at all: one worker, or one CPU */
	double worth, worth_min, worth_max; /* the work of so many CPUs */
	double times, times_min, times_max; /* CPU time of a turn, together over alone */
};

struct verified {
	struct verdict verdict[VERIFY_MAX];
	const char *name[VERIFY_MAX]; /* of the experiment */
	struct verified_capacity capacity[VERIFY_MAX],
		as_it_was[VERIFY_MAX]; /* around its runs; around those that it is compared with */
	size_t nr;
	struct {
		const char *name;
		char why[200]; /* a half sentence */
	} not_tried[VERIFY_MAX];
	size_t nr_not_tried;
	char why_not[300]; /* nothing could be tested: why, a half sentence */
};

/* What `explain --verify` is asked for. */
struct verify_options {
	const char *names; /* "pin,nice"; NULL: all that can be tried */
	const char *
		fewer; /* where the command is told its number of workers (trial_run.h); NULL: not known */
	const char *processes; /* likewise: what does the same with processes */
};

/* -EINVAL with a sentence where a name is unknown. */
int verify_check_names(const char *names, struct err *err);

/*
 * Runs the command of the trace again, VERIFY_REPEATS times as it was and so often for each experiment, its output on standard error. An
 * error is one that ends it; what cannot be tested goes into not_tried and why_not.
 */
int verify_trace(const struct explained *e, const struct verify_options *o, struct verified *ret,
		 struct err *err);

/* Compares what was measured already, and runs strategies again where that can tell more. Errors as verify_trace(). */
int verify_run(const struct lab *lab, const struct lab_options *o, struct verified *ret,
	       struct err *err);

struct trial_bench;
struct trial_runner;

/* verify_trials.c: the experiments of `names`, and their verdicts added to ret; `prefix` begins each "what" ("" none). */
int verify_trials(const struct trial_bench *b, struct trial_runner *r, const char *names,
		  const char *prefix, struct verified *ret, struct err *err);

void verified_text(const struct verified *v, int width, FILE *out);
json_t *verified_json(const struct verified *v);

#endif
