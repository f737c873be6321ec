/* SPDX-License-Identifier: GPL-2.0-only */
/* What is mapped in a process already: /proc/PID/maps; and the build ids of mapped files. For probes/maps.c only. */
#ifndef WHYSCALE_PROBES_MAPS_PROC_H
#define WHYSCALE_PROBES_MAPS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/mapping.h"

/* One line of /proc/PID/maps; m->path then points into it. tgid and times are left as they are. False: it is none. */
bool maps_proc_parse(char *line, struct mapping *m);

/*
 * Calls fn for each mapping of the process, with time_ns as its time; it may change what it is given. 0, -ESRCH when the process is
 * gone, -EACCES when it may not be looked into, or what fn returned.
 */
typedef int (*maps_proc_fn)(void *arg, struct mapping *m);
int maps_proc_read(pid_t pid, uint64_t time_ns, maps_proc_fn fn, void *arg);

struct maps_ids; /* the build ids of the files seen so far */

struct maps_ids *maps_ids_new(void);
void maps_ids_free(struct maps_ids *ids);
/* Forgets them when they are many: they are read again. For recordings without an end. */
void maps_ids_tidy(struct maps_ids *ids);

/*
 * Gives code of a file the build id that is in the file now, if it is still the one that was mapped: its inode is the same, or the
 * process still has it mapped there. And the path by which we find it, where its process has another root directory; that lives until
 * the next call.
 */
void maps_ids_add(struct maps_ids *ids, struct mapping *m);

/*
 * Opens the file that is mapped, to be read: as the process has it mapped, or the one of that name if its inode is the same. -1: it is
 * none, or gone. The caller closes it.
 */
int maps_proc_open(const struct mapping *m, struct stat *ret_stat);

/* Its parent, or 0. */
pid_t maps_proc_parent(pid_t pid);

/* How many threads it has; 0: it is gone. */
int maps_proc_threads(pid_t pid);

/* The process of a thread, or 0. */
pid_t maps_proc_of_thread(pid_t tid);

#endif
