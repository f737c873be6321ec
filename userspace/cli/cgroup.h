/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes of a cgroup and of those below it. */
#ifndef WHYSCALE_CLI_CGROUP_H
#define WHYSCALE_CLI_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * `path` is a directory, or the cgroup's path as /proc/PID/cgroup shows it. *ret_pids is the caller's to free, each process once.
 * Errors: no such cgroup, no process in it.
 */
int cgroup_pids(const char *path, pid_t **ret_pids, size_t *ret_nr, struct err *err);

#endif
