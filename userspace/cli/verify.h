/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Predictions put to the test, by experiments that are run.
 *
 *   explain --verify   the recorded command again, in turns with as many CPUs as it had and with one less, or one more
 *   run --verify       processes beside threads: what the threads would be without the interpreter's lock
 */
#ifndef WHYSCALE_CLI_VERIFY_H
#define WHYSCALE_CLI_VERIFY_H

#include "cli/explained.h"
#include "cli/run_lab.h"
#include "explain/verdict.h"

#define VERIFY_MAX 8
#define VERIFY_REPEATS 3

struct verified {
	struct verdict verdict[VERIFY_MAX];
	size_t nr;
	char why_not[300]; /* nothing could be tested: why, a half sentence */
};

/*
 * Runs the command of the trace again, 2 * VERIFY_REPEATS times for each experiment, its output on standard error. An error is one
 * that ends it; what cannot be tested goes into why_not.
 */
int verify_trace(const struct explained *e, struct verified *ret, struct err *err);

/* Compares what was measured already. */
void verify_run(const struct lab *lab, unsigned int repeats, struct verified *ret);

void verified_text(const struct verified *v, int width, FILE *out);
json_t *verified_json(const struct verified *v);

#endif
