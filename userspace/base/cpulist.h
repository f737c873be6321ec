/* SPDX-License-Identifier: GPL-2.0-only */
/* CPU lists as the kernel writes them: "0-3,8". */
#ifndef WHYSCALE_BASE_CPULIST_H
#define WHYSCALE_BASE_CPULIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CPULIST_MAX 65536

/* Sets ret_cpus[cpu] for each CPU of the list below max; returns one more than the highest CPU named, or -EINVAL. */
int cpulist_parse(const char *list, bool *ret_cpus, unsigned int max);

/*
 * The machine: which CPUs may ever exist (count of numbers) and which are online. ret_online is the caller's to free. Where /sys is not
 * mounted: those that are online, by /proc.
 */
int cpulist_machine(unsigned int *ret_possible, bool **ret_online, struct err *err);

/* Sets ret_cpus[cpu], of `nr`, also for those that are plugged in and offline: they may come back at any time. */
void cpulist_add_present(bool *ret_cpus, unsigned int nr);

#endif
