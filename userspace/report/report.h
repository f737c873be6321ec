/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The output forms of `whyscale report`: each is one file with one const struct report_form, and one line in forms.def. A form
 * writes what it shows of a loaded trace into a FILE; it opens nothing and decides nothing.
 */
#ifndef WHYSCALE_REPORT_REPORT_H
#define WHYSCALE_REPORT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/load.h"

#define REPORT_THREADS_DEFAULT 40

struct report_options {
	int width; /* characters on a line */
	bool colour;
	bool no_legend;     /* leave out what explains the words */
	size_t max_threads; /* rows of threads */
};

struct report_form {
	const char *
		name; /* its option, "per-cpu"; the one named "table" is shown when none is asked for */
	const char *help; /* what it shows, one line */
	unsigned int
		passes; /* over the events, that it shows the results of (enum pass_kind); without them it leaves them out */
	bool alone;     /* nothing else may be on its output: no header, no other form */
	int (*print)(const struct loaded *l, const struct report_options *o, FILE *out,
		     struct err *err);
};

/* The table of forms.def, ended by NULL. */
extern const struct report_form *const report_forms[];

const struct report_form *report_form_by_name(const char *name);

/* Prints the header (what was recorded, its state, the audit, the cost) and the forms, ended by NULL. */
int report_print(const struct loaded *l, const struct report_form *const *forms,
		 const struct report_options *o, FILE *out, struct err *err);

/* The header alone. */
void report_header(const struct loaded *l, const struct report_options *o, FILE *out);

/* The audit as a sentence: the caller's to free; NULL when out of memory. */
char *report_audit(const struct loaded *l);

/* "ok", "missed", "differs", "none". */
const char *report_audit_name(enum audit_result result);

/* The scheduling policy's name: "other", "fifo" ... */
const char *report_policy(unsigned int policy);

#endif
