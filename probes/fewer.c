// SPDX-License-Identifier: GPL-2.0-only
/*
 * See fewer.h. A verifier's patience, and the 512 bytes of stack that a program and its functions have together, depend on the kernel's
 * version and on the compiler's: what loads on one kernel need not on the next, and a ledger without stacks is better than none.
 */
#include "probes/fewer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probes/probe.h"
#include "probes/refusal.h"

void fewer_note(struct probe_env *env, const char *what, const struct err *why)
{
	size_t len = strlen(env->no_stacks);

	snprintf(env->no_stacks + len, sizeof(env->no_stacks) - len, "%s%s (%.240s)",
		 len ? "; " : "", what, why->msg);
}

/* Which kinds of stacks the refused program takes, of those that are asked for; else all that sched's take. */
static unsigned int kinds_refused(unsigned int stacks)
{
	static const struct {
		const char *program; /* how its name begins */
		unsigned int kinds;
	} takes[] = {
		{ "switch", STACKS_OFF | STACKS_LOCK },
		{ "wak", STACKS_WAKE },
	};

	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++)
		if (stacks & takes[i].kinds && refusal_is_program(takes[i].program))
			return stacks & takes[i].kinds;
	return stacks & ~STACKS_ON;
}

static const char *name_kinds(unsigned int kinds)
{
	if (kinds & STACKS_WAKE)
		return kinds & (STACKS_OFF | STACKS_LOCK) ? "stacks of waits, locks and wake-ups" :
							    "stacks of wake-ups";
	return kinds & STACKS_OFF ? "stacks of waits" : "stacks of waits for locks";
}

bool fewer_stacks(struct probe_env *env, const struct err *why)
{
	unsigned int kinds = kinds_refused(env->stacks);

	if (why->code == -EPERM || !refusal_is_program(""))
		return false;
	if (env->stacks && env->python) {
		env->python = false;
		fewer_note(env, "Python's functions", why);
		return true;
	}
	if (!kinds)
		return false;
	env->stacks &= ~kinds;
	fewer_note(env, name_kinds(kinds), why);
	return true;
}
