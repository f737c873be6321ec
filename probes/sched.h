/* SPDX-License-Identifier: GPL-2.0-only */
/* What other probes' checks ask of the scheduler's. */
#ifndef WHYSCALE_PROBES_SCHED_H
#define WHYSCALE_PROBES_SCHED_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Loads the scheduler's programs as a recording with these stacks (STACKS_*) has them, with a buffer of their own, and lets them go. 0,
 * or what the kernel says, with the sentence.
 */
int sched_try(unsigned int stacks, bool python, struct err *why);

#endif
