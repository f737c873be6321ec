/* SPDX-License-Identifier: GPL-2.0-only */
/* The result of `whyscale run`: the strategies side by side, as tables with sentences or as JSON (whyscale.run/1). */
#ifndef WHYSCALE_REPORT_RUN_REPORT_H
#define WHYSCALE_REPORT_RUN_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "analysis/experiment.h"
#include "analysis/inflation.h"
#include "analysis/stack.h"
#include "explain/finding.h"
#include "report/report.h"

struct run_entry {
	const char *name;
	bool single;
	unsigned int workers;
	uint64_t count, counted;
	const char *interpreter; /* "CPython 3.11.2"; NULL for C */
	char *skipped;           /* why it was not run, or NULL. Owned by the caller, as all here */

	struct experiment run; /* the repetition with the median wall time */
	uint64_t wall_ns, wall_min_ns, wall_max_ns;
	uint64_t baseline_ns; /* 0: none */
	const char *baseline_name;
	struct stack stack;
	struct inflation_split inflation; /* of the stack's */
	struct findings findings;
	unsigned int capacity_cpus;                  /* measured on so many at once */
	double capacity, capacity_min, capacity_max; /* CPUs; 0: not measured */
};

struct run_report {
	const struct run_entry *entry;
	size_t nr;
	unsigned int repeats;
	unsigned int cpus; /* that the workers could use */
	const char *kernel, *arch;
	bool bpf;
	const char *why_not; /* no BPF: why */
	bool calibrated;     /* what switches and migrations cost is known */
	json_t *verified; /* predictions put to the test, for JSON, which takes it over; NULL: none were */
};

int run_report_table(const struct run_report *r, const struct report_options *o, FILE *out,
		     struct err *err);
int run_report_json(const struct run_report *r, FILE *out, struct err *err);

/* Baseline wall over wall; 0 without a baseline. */
double run_entry_speedup(const struct run_entry *e);

#endif
