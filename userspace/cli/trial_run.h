/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes a run of an experiment (trial.h): the command once more, changed, and recorded like the first one. */
#ifndef WHYSCALE_CLI_TRIAL_RUN_H
#define WHYSCALE_CLI_TRIAL_RUN_H

#include <sched.h>

#include "cli/lab.h"
#include "cli/trial.h"

struct trial_runner {
	char **argv; /* of the command, ended by NULL; the caller's */
	char dir[LAB_DIR];
	cpu_set_t ours; /* the CPUs that we may use */
	/* where it is told its number of workers: in a word of argv, or a variable of its environment */
	size_t word;
	const char *before, *after; /* of the number, in that word; NULL: not told there */
	size_t before_len;
	char variable[64]; /* "": not told there */
	const char *
		processes; /* what a shell runs for the same work with processes; NULL: not known */
};

struct trial_ran {
	uint64_t wall_ns;
	uint64_t traced_ns; /* as struct replay's measured_ns; 0: there is no replay of it */
	unsigned int cpus;  /* that its threads could use; 0: not known */
	bool ignored;       /* no Python took the interval */
};

/* Makes the directory for what the runs leave. trial_runner_end() in any case. */
int trial_runner_begin(struct trial_runner *r, char **argv, struct err *err);
void trial_runner_end(struct trial_runner *r);

/*
 * `pattern` has "{n}" where the number of workers stands in one of the words ("-T{n}"), or is NAME={n} for a variable (whose
 * value is then the one of our environment, else `lanes`). The pattern must live on. -EINVAL with a sentence.
 */
int trial_runner_fewer(struct trial_runner *r, const char *pattern, unsigned int lanes,
		       unsigned int *ret_workers, struct err *err);

/* Whether this process may raise priorities, as `nice` and `chrt` would. */
bool trial_may_go_first(void);

/* An error is a run that failed, or was interrupted (-EINTR). The command's output goes to standard error. */
int trial_run(struct trial_runner *r, const struct trial_change *change, struct trial_ran *ret,
	      struct err *err);

#endif
