/* SPDX-License-Identifier: GPL-2.0-only */
/* The result of `whyscale sweep`: tables with sentences, JSON (whyscale.sweep/1), and the curve as a picture. */
#ifndef WHYSCALE_REPORT_SWEEP_REPORT_H
#define WHYSCALE_REPORT_SWEEP_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "analysis/sweep.h"
#include "explain/sweep_findings.h"
#include "report/report.h"

struct sweep_report {
	const struct sweep *sweep;
	const struct sweep_findings *findings;
	char *const *argv; /* the command as it was given */
	const char *how;   /* what n was: "{n} in the command", ... */
	unsigned int repeats;
	const char *why_not; /* no BPF: why */
};

int sweep_report_table(const struct sweep_report *r, const struct report_options *o, FILE *out,
		       struct err *err);
/* The object of schema whyscale.sweep/1; the caller's. NULL when out of memory. */
json_t *sweep_report_object(const struct sweep_report *r);

/* One SVG file: the points with their spread, the ideal line, the fitted curves. Needs a point that has a result. */
int sweep_report_svg(const struct sweep_report *r, FILE *out, struct err *err);

/* The command's words with blanks between, for people; cut to `size`. Untrusted: escape it. */
const char *sweep_report_command(const struct sweep_report *r, char *buf, size_t size);

#endif
