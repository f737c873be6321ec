/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counting lab: records strategies, one after the other and as often as asked, and puts what they reported and what was recorded
 * together.
 *
 *   round 1:  c-single  c-threads [capacity]  py-single ...      round 2:  c-single ...
 *
 * In turns, not one strategy's repetitions in a row: a machine whose speed drifts with its host then drifts under all of them.
 */
#ifndef WHYSCALE_CLI_RUN_LAB_H
#define WHYSCALE_CLI_RUN_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "report/run_report.h"
#include "strategy/strategy.h"

#define LAB_MAX 64

struct lab_options {
	const struct strategy *strategy[LAB_MAX]; /* in the order in which they are run */
	size_t nr;
	uint64_t count;       /* 0: the default of each */
	unsigned int workers; /* 0: the CPUs available */
	const char *python;   /* NULL: the default */
	unsigned int repeats; /* at least 1 */
	bool full, no_bpf;
	const char *keep; /* keep the traces in this directory; NULL: nowhere */
	void (*progress)(const char *name, unsigned int round, unsigned int rounds); /* or NULL */
};

struct lab {
	struct run_entry
		entry[LAB_MAX]; /* the strategies asked for, then baselines that were only measured */
	size_t nr, nr_asked;
	bool bpf;
	bool calibrated; /* what switches and migrations cost is known */
	char why_not[256];
	bool failed; /* a strategy ended badly (its `skipped` says how) */
	bool interrupted;
};

/* Runs everything. An error is one that ends the whole run; a missing interpreter only skips its strategies. */
int lab_run(const struct lab_options *o, struct lab *ret_lab, struct err *err);
void lab_free(struct lab *lab);

#endif
