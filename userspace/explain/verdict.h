/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A prediction put to the test: a speedup was predicted to lie in low..high, an experiment measured it.
 *
 *   low   what the replay expected            high   what it takes for the limit (replay.h)
 *
 * Both ends are widened by the noise: the spread of the repetitions, or VERDICT_NOISE where there is none to be known. Where the run that the
 * prediction was made from took another time than its repetitions, it is at least that difference; and at least what a replay may be off by
 * (REPLAY_OFF_MAX). What lies outside is wrong, and said to be.
 */
#ifndef WHYSCALE_EXPLAIN_VERDICT_H
#define WHYSCALE_EXPLAIN_VERDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define VERDICT_NOISE 0.05
#define VERDICT_TELLS_NOTHING \
	0.5 /* with more noise than this almost nothing is wrong, and it is said so */

enum verdict_word { VERDICT_HOLDS, VERDICT_TOO_LOW, VERDICT_TOO_HIGH };

struct verdict {
	char what[160];       /* "py-threads without the GIL" */
	char experiment[200]; /* "py-processes, in the same run" */
	char because[400];    /* what else differed, a sentence; "" nothing is known to */
	double low, high;     /* predicted speedups, against the same as `measured` */
	double measured;
	double noise; /* share */
	bool noise_known;
	enum verdict_word word;
};

/* Sets `word`. Too low: it was faster than predicted. */
void verdict_decide(struct verdict *v);

/* "predicted 1.92x to 1.95x, measured 1.90x (noise 5.0 %): as predicted". buf has 256 bytes; returned. */
#define VERDICT_TEXT 256
const char *verdict_text(const struct verdict *v, char buf[VERDICT_TEXT]);

/* {what, experiment, predicted:[low, high], measured, noise, noise_known, holds, sentence}. NULL when out of memory. */
json_t *verdict_json(const struct verdict *v);

#endif
