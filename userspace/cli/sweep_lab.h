/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep's lab: runs the command with each n, as often as asked, and puts the curve together.
 *
 *   round 1:  n=1 [capacity]  n=2 [capacity]  n=4 ...      round 2:  n=1 ...
 *
 * In turns, as run_lab.h has it, so that a machine that drifts drifts under all points alike.
 */
#ifndef WHYSCALE_CLI_SWEEP_LAB_H
#define WHYSCALE_CLI_SWEEP_LAB_H

#include <stdbool.h>
#include <stddef.h>

#include "analysis/sweep.h"
#include "base/err.h"

#define SWEEP_POINTS_MAX 64

struct sweep_options {
	unsigned int n[SWEEP_POINTS_MAX]; /* ascending */
	size_t nr;
	unsigned int repeats; /* at least 1 */
	char *const *argv;    /* the command; "{n}" in its words becomes n */
	const char *env;      /* this variable is set to n; NULL: none */
	bool cpus;            /* the command may use n CPUs */
	const char *user;     /* run it as this user; NULL: as the caller */
	bool no_bpf;
	const char *keep; /* keep the traces in this directory; NULL: nowhere */
	void (*progress)(unsigned int n, unsigned int round, unsigned int rounds); /* or NULL */
};

struct sweep_result {
	struct sweep sweep;
	char why_not[256]; /* no BPF: why */
	int exit_status;   /* the first that was not 0 of the command */
	bool interrupted;
};

/*
 * Runs everything. A point whose command fails has no result (`failed`); the others stay. An error ends the whole; with a command that does
 * not exist or may not run, ret->exit_status is 127 or 126. Release with sweep_free(&ret->sweep), also after an error.
 */
int sweep_lab_run(const struct sweep_options *o, struct sweep_result *ret, struct err *err);

/* "1,2,4,8", in any order, into ascending numbers. -EINVAL with a sentence. */
int sweep_parse_numbers(const char *list, unsigned int ret_n[SWEEP_POINTS_MAX], size_t *ret_nr,
			struct err *err);

/* "{n}" stands in one of the words. */
bool sweep_has_placeholder(char *const *argv);

#endif
