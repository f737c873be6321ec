/* SPDX-License-Identifier: GPL-2.0-only */
/* What a recording does without when the kernel refuses the programs that take call stacks. */
#ifndef WHYSCALE_PROBES_FEWER_H
#define WHYSCALE_PROBES_FEWER_H

#include <stdbool.h>

#include "base/err.h"

struct probe_env;

/*
 * After a program of sched's was refused (refusal.h), `why` its sentence: asks for less in env->stacks or env->python, and says so in
 * env->no_stacks. Python's functions go first, then the kinds of stacks that the refused program takes, then all but samples, whose
 * program is another. False: the refusal was not about a program, or there is nothing left to do without.
 */
bool fewer_stacks(struct probe_env *env, const struct err *why);

/* Adds "WHAT (why)" to env->no_stacks. */
void fewer_note(struct probe_env *env, const char *what, const struct err *why);

#endif
