/* SPDX-License-Identifier: GPL-2.0-only */
/* Running a Python strategy: finding the interpreter, and becoming it. */
#ifndef WHYSCALE_STRATEGY_PYTHON_H
#define WHYSCALE_STRATEGY_PYTHON_H

#include <limits.h>

#include "base/err.h"

struct strategy_job;

/*
 * Finds the interpreter as a shell would: a name in PATH, or what contains a slash as it is.
 * Returns -ENOENT if there is none and -EACCES if it may not be executed.
 */
int python_find(const char *python, char ret_path[PATH_MAX], struct err *err);

/* Executes the interpreter on the job's strategy, in this process; returns only if that fails. */
int python_exec(const struct strategy_job *job, struct err *err);

#endif
