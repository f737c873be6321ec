/* SPDX-License-Identifier: GPL-2.0-only */
/* What `whyscale check` found out, and the two ways to show it. */
#ifndef WHYSCALE_CLI_CHECK_H
#define WHYSCALE_CLI_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cli/check_machine.h"

#define MAX_SOURCES 17

/* A source of data: a probe, or /proc, which is read where the scheduler probe does not work. */
struct source {
	const char *name, *gives, *without, *cost;
	bool works;
	/* why not or, if it works, why not wholly; "": wholly */
	char why[sizeof(((struct err *)0)->msg)];
};

struct check {
	struct machine machine;
	struct source sources[MAX_SOURCES]; /* the last one is /proc */
	size_t nr;
	json_t *counters; /* as in a trace, of this process */
	bool sched_works, can_record;
};

/* Both print on standard output. */
int check_show_json(const struct check *c, struct err *err);
int check_show_table(const struct check *c, struct err *err);

#endif
