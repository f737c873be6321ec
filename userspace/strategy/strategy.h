/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counting strategies: seven ways to count to the same number.
 *
 *   strategies.def -> struct strategy -> struct strategy_job (a count, workers, a Python)
 *                                              |
 *                                        strategy_run(), in the process that is measured
 *                                              |
 *   struct strategy_result <- strategy_result_read() <- JSON in the job's result_fd
 *
 * strategy_run() turns the *calling process* into the strategy: a C strategy counts in it, a Python
 * one execs the interpreter in it. So a recorder forks, attaches to the child, and lets the child
 * call strategy_run(); there is no process between them. What each worker counted, and when, comes
 * back as JSON (strategy_result.h).
 */
#ifndef WHYSCALE_STRATEGY_STRATEGY_H
#define WHYSCALE_STRATEGY_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STRATEGY_COUNT_MAX ((uint64_t)1 << 62)
#define STRATEGY_PYTHON_DEFAULT "python3"

struct strategy_job;
struct strategy_result;

enum strategy_language {
	STRATEGY_C,
	STRATEGY_PYTHON,
};

struct strategy {
	const char *name;
	const char *summary; /* one line, for students */
	enum strategy_language language;
	bool single; /* the baseline of its language: always one worker */
	/* C: counts job->count with job->workers in this process; *ret is the caller's to free. */
	int (*run)(const struct strategy_job *job, struct strategy_result *ret, struct err *err);
	const char *source; /* Python: the program, without py/common.py */
};

/*
 * One strategy with its parameters. What is 0 or NULL is given its default by
 * strategy_args_check().
 */
struct strategy_job {
	const struct strategy *strategy;
	uint64_t count;
	unsigned int workers;
	bool full;          /* the default count is the article's */
	const char *python; /* a path or a name to be found in PATH */
	int result_fd;      /* where strategy_run() writes the JSON; stays open across exec */
};

/* How the file of a C strategy defines its run function. */
#define STRATEGY_RUN(id) \
	int id##_run(const struct strategy_job *job, struct strategy_result *ret, struct err *err)

/* "C" or "Python". */
const char *strategy_language_name(const struct strategy *strategy);

/* The i-th strategy in the order of strategies.def, NULL behind the last. */
const struct strategy *strategy_at(size_t i);

/*
 * The strategy of that name, or NULL and a sentence (err->code -EINVAL) that lists the names there
 * are.
 */
const struct strategy *strategy_find(const char *name, struct err *err);

/* The baseline of the strategy's language (itself, if it is that). */
const struct strategy *strategy_baseline(const struct strategy *strategy);

/* "c-single, c-threads, ...": all names, for messages and help. A static string. */
const char *strategy_names(void);

/*
 * The count without --count: the whole run takes about half a minute; `full` gives the article's
 * figures.
 */
uint64_t strategy_default_count(const struct strategy *strategy, bool full);

/*
 * What worker `index` of `workers` counts: an equal share; the first ones take one more each of a
 * remainder.
 */
uint64_t strategy_share(uint64_t count, unsigned int workers, unsigned int index);

/*
 * Makes this process the strategy: counts, checks the sum, and writes the result as the last act
 * (see above). C: returns 0 when the result is written. Python: returns only when the interpreter
 * cannot be executed; the process then exits with 0 and the result written, 1 and a sentence on
 * stderr, or 2 if it is older than 3.6. The job has been through strategy_args_check(). Fails with
 * a sentence; strategy_exit_status() tells the status.
 */
int strategy_run(const struct strategy_job *job, struct err *err);

#endif
