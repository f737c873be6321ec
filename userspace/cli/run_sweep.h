/* SPDX-License-Identifier: GPL-2.0-only */
/* `whyscale run --workers 1,2,4,8`: the scaling curve of each strategy, as `whyscale sweep` has it for any program. */
#ifndef WHYSCALE_CLI_RUN_SWEEP_H
#define WHYSCALE_CLI_RUN_SWEEP_H

#include "cli/run_lab.h"
#include "cli/sweep_lab.h"

struct run_sweep_options {
	const unsigned int *n; /* ascending */
	size_t nr;
	const char *svg; /* draws each curve there, of several as FILE-STRATEGY.svg; NULL: none */
	bool named;      /* the strategies were */
	bool json;
};

/*
 * Sweeps each strategy of `lab` over n (those that always have one worker are refused, or left out where none was named) and
 * prints the results: tables, or one object of schema whyscale.run/1 whose `sweeps` has one of whyscale.sweep/1 for each, with its `name`.
 * Returns the exit status; says on standard error what went wrong.
 */
int run_sweep(const struct lab_options *lab, const struct run_sweep_options *o);

#endif
