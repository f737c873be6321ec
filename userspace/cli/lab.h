/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands share that record several runs, one after the other: `run` and `sweep`. */
#ifndef WHYSCALE_CLI_LAB_H
#define WHYSCALE_CLI_LAB_H

#include <argp.h>
#include <signal.h>
#include <stdbool.h>

#include "analysis/inflation.h"
#include "base/err.h"
#include "strategy/capacity.h"

#define LAB_DIR 4096

/*
 * Makes a directory of our own for the traces, below TMPDIR or /tmp: ret_dir, "" on an error; who asked removes it. Makes `keep` too, which
 * is where the user wants the traces (NULL: nowhere), unless it is there.
 */
int lab_directory(const char *keep, char ret_dir[LAB_DIR], struct err *err);

/*
 * Measures what the CPUs are worth to so many workers, for about budget_ns, and merges it into *into (all zeros: nothing yet). To be
 * called before a run and after it: what they were worth around it is both. One worker, or one CPU: nothing.
 */
void lab_capacity(unsigned int workers, uint64_t budget_ns, struct capacity *into);

/* For analysis/inflation.h. */
struct shared_capacity lab_shared(const struct capacity *c);

/* --repeat and -o, of commands that take both. As an argp parser's. */
error_t lab_parse_repeats(struct argp_state *state, const char *arg, unsigned int *ret_repeats);
error_t lab_parse_output(struct argp_state *state, const char *arg, const char **ret_path);

/* Between two recordings (which take signals themselves) a signal is only noted. */
#define LAB_SIGNALS 3
struct lab_signals {
	struct sigaction old[LAB_SIGNALS];
};
void lab_signals_note(struct lab_signals *s);
void lab_signals_restore(const struct lab_signals *s);
bool lab_signalled(void);

#endif
