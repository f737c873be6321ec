/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two sides, A and B, each one or several recordings: what changed, and whether that is more than their noise.
 *
 *   A   10.1 10.3  9.9     mean 10.1    a difference is beyond the noise when Student's t test for two samples with one variance
 *   B   12.2 12.0 12.4     mean 12.2    says so at a level of 0.1 % (strict, since there are many rows), and it is not tiny
 *
 * With one recording on each side nothing is known of the noise: the differences are shown, and said to be that.
 */
#ifndef WHYSCALE_REPORT_DIFF_H
#define WHYSCALE_REPORT_DIFF_H

#include <jansson.h>
#include <stdio.h>

#include "report/account.h"
#include "report/report.h"

/* A time must change by this share of the wall time, a count by this share of itself, to be worth a claim. */
#define DIFF_TIME_MIN 0.002
#define DIFF_COUNT_MIN 0.02
/*
 * Switches, migrations and waits: small counts of a few recordings are often all the same by chance, and then their spread says nothing. Each
 * is taken to be off by half an event: 2, 2, 2 against 1, 1, 1 is no claim, against 6, 6, 6 it is one.
 */
#define DIFF_COUNT_GRAIN 0.5

enum diff_verdict { DIFF_SAME, DIFF_WITHIN_NOISE, DIFF_BEYOND_NOISE, DIFF_NOISE_UNKNOWN };

/* "same", "within noise", "beyond noise", "noise unknown". */
const char *diff_verdict_name(enum diff_verdict verdict);

struct diff_value {
	double a, b; /* means */
	double a_min, a_max, b_min, b_max;
	enum diff_verdict verdict;
};

struct diff_class {
	struct diff_value time, share, per_worker; /* ns; 0..1 of all threads' time; ns */
};

struct diff_lock {
	const char *name; /* belongs to an account */
	struct diff_value wait_ns, waits;
};

struct diff_finding {
	const char *cause, *status; /* "new", "gone", "larger", "smaller", "unchanged" */
	struct diff_value lost_ns;
};

struct diff_side {
	const struct account *account;
	const char *const *path;
	size_t nr;
};

struct diff {
	struct diff_side a, b;
	struct diff_value wall_ns, threads, workers, voluntary, involuntary, migrations;
	struct diff_class class[CLASS_NR];
	struct diff_lock *lock; /* the largest change first; owned, as the next */
	size_t nr_locks;
	struct diff_finding *finding; /* likewise */
	size_t nr_findings;
};

/* At least one account on each side; they must outlive the result. 0 or -ENOMEM. */
int diff_make(struct diff_side a, struct diff_side b, struct diff *ret_diff);
void diff_free(struct diff *d);

int diff_text(const struct diff *d, const struct report_options *o, FILE *out, struct err *err);
int diff_json(const struct diff *d, FILE *out, struct err *err); /* whyscale.diff/1 */

#endif
