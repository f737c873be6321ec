/* SPDX-License-Identifier: GPL-2.0-only */
/* The outputs of `whyscale calibrate`: tables for people, JSON (whyscale.calibrate/1) for programs. */
#ifndef WHYSCALE_CLI_CALIBRATE_SHOW_H
#define WHYSCALE_CLI_CALIBRATE_SHOW_H

#include "cli/calibration.h"
#include "strategy/capacity.h"

#define CALIBRATE_SETS 24

/* CPUs whose worth together was measured. */
struct capacity_row {
	const char *
		what; /* "cache": a pair at that distance; "": the first so many, one of each core before any second */
	char cpus[64]; /* "0-3" */
	struct capacity worth;
};

struct calibrate_result {
	const struct calibration *costs;
	const char *path; /* where they are kept, NULL: nowhere */
	bool kept;        /* they were there before */
	struct capacity_row row[CALIBRATE_SETS];
	unsigned int nr;
	unsigned int rounds;
};

int calibrate_show_table(const struct calibrate_result *c, struct err *err);
int calibrate_show_json(const struct calibrate_result *c, struct err *err);

#endif
