/* SPDX-License-Identifier: GPL-2.0-only */
/* The split of inflation (analysis/inflation.h), as `run` and `sweep` show it. */
#ifndef WHYSCALE_REPORT_INFLATION_TABLE_H
#define WHYSCALE_REPORT_INFLATION_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "analysis/inflation.h"
#include "report/report.h"

struct inflation_row {
	const char *name; /* of the run; NULL: there is none */
	const struct stack *stack;
	const struct inflation_split *split;
};

/* Nothing where no run has any to speak of. `head` stands above the names; calibrated: what switches and moves cost is known. */
int inflation_table(const char *head, const struct inflation_row *row, size_t nr, bool calibrated,
		    const struct report_options *o, FILE *out, struct err *err);

/* null where it is not known. */
json_t *inflation_json(const struct inflation_split *s);

#endif
