/* SPDX-License-Identifier: GPL-2.0-only */
/* The findings of a trace: sentences, or JSON (whyscale.explain/1). */
#ifndef WHYSCALE_REPORT_EXPLAIN_REPORT_H
#define WHYSCALE_REPORT_EXPLAIN_REPORT_H

#include <stdio.h>

#include "analysis/work.h"
#include "explain/finding.h"
#include "report/report.h"

struct explain_report {
	const char *path;
	const char *command; /* as it was called; "" unknown */
	const struct facts *facts;
	const struct work *work;
	const struct findings *findings;
	size_t top; /* findings shown */
};

int explain_report_text(const struct explain_report *r, const struct report_options *o, FILE *out,
			struct err *err);

/* `verified`, when not NULL, becomes the key of that name; it is taken over. */
int explain_report_json(const struct explain_report *r, json_t *verified, FILE *out,
			struct err *err);

#endif
