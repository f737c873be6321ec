/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What we call a file that a process with another root directory has mapped. The kernel tells the path as that process sees it: once
 * it is gone, that leads nowhere. For probes/maps_proc.c only.
 */
#ifndef WHYSCALE_PROBES_MAPS_PATH_H
#define WHYSCALE_PROBES_MAPS_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/mapping.h"

/* Is the file that we find at the mapping's path the one that is mapped, as far as its inode tells? Nothing is opened. */
bool maps_path_leads_there(const struct mapping *m);

/* A path by which we find the open file, whose fstat(2) is `st`. False: there is none, as in a container whose root is mounted nowhere here. */
bool maps_path_here(int fd, const struct stat *st, char ret_path[PATH_MAX]);

/*
 * Opens the mapped file of a process that has ended, which was in another root directory: by its device and inode, see maps_path.c. A
 * descriptor to read from, and what fstat(2) says of it; -1: it is not to be had.
 */
int maps_path_open_gone(const struct mapping *m, struct stat *ret_stat);

#endif
