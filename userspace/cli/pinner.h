/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts each thread of a running command on one CPU: the first one on the first, the next one on the next, and so on in turns, as
 * the replay does (replay.h, pinned). New threads and children are found by looking into /proc every millisecond, so a thread begins on its
 * maker's CPU, and one that lives shorter stays there.
 */
#ifndef WHYSCALE_CLI_PINNER_H
#define WHYSCALE_CLI_PINNER_H

#include <sched.h>
#include <sys/types.h>

#include "base/err.h"

struct pinner;

/* From now on, for this process and all that it starts. `cpus` is copied, and not empty. */
int pinner_start(pid_t root, const cpu_set_t *cpus, struct pinner **ret, struct err *err);

/* Stops. Returns how many threads were pinned. NULL is fine. */
size_t pinner_stop(struct pinner *p);

#endif
