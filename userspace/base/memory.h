/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory there is for this process. */
#ifndef WHYSCALE_BASE_MEMORY_H
#define WHYSCALE_BASE_MEMORY_H

#include <stdint.h>

/*
 * In bytes: the machine's, or less where this process's cgroup, of version 1 or 2, or one above it as far as it can be seen, has a
 * limit. 0 where it cannot be told.
 */
uint64_t memory_limit(void);

/* The cgroups' part of it; UINT64_MAX: none. The texts are those of /proc/self/cgroup and /proc/self/mountinfo. */
uint64_t memory_cgroup_limit(const char *cgroups, const char *mounts);

#endif
