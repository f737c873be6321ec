/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and checking what a user says about a strategy; every refusal is one sentence that says
 * what to do.
 */
#ifndef WHYSCALE_STRATEGY_STRATEGY_ARGS_H
#define WHYSCALE_STRATEGY_STRATEGY_ARGS_H

#include <stdint.h>

#include "base/err.h"

struct strategy_job;

/* A count from 1 to 2^62 in decimal digits, `_` allowed between them; else -EINVAL. */
int strategy_parse_count(const char *text, uint64_t *ret, struct err *err);

/*
 * A number of workers, 1 and up, that this system can start beside what runs already; else -EINVAL.
 */
int strategy_parse_workers(const char *text, unsigned int *ret, struct err *err);

/* The CPUs that this process may use (its affinity mask): the default number of workers. */
unsigned int strategy_default_workers(void);

/*
 * The most workers that could be started now, by the tightest of RLIMIT_NPROC (which does not bind
 * root), kernel.threads-max, kernel.pid_max and the cgroup's pids.max. *ret_limit names it, a
 * static string.
 */
uint64_t strategy_max_workers(const char **ret_limit);

/*
 * Gives what is 0 or NULL in the job its default, one worker to a single strategy, and checks
 * everything. Returns -EINVAL for a bad number; for a Python strategy -ENOENT if there is no such
 * interpreter and -EACCES if it may not be executed.
 */
int strategy_args_check(struct strategy_job *job, struct err *err);

/*
 * The exit status for an error from here or strategy_run(): 2 bad input, 127 not found, 126 not
 * executable, else 1.
 */
int strategy_exit_status(int code);

#endif
