/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can be seen of a process tree without privileges: /proc/PID/task/TID/schedstat and status, read again and again. A thread's
 * last numbers are those of the last look before it ended, so up to one look's interval of it is not seen.
 */
#ifndef WHYSCALE_RECORD_PROC_WATCH_H
#define WHYSCALE_RECORD_PROC_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct proc_watch;

/* Watches these processes and their descendants; with only_threads, these threads. `ids` is copied. */
int proc_watch_new(const pid_t *ids, size_t nr_ids, bool only_threads, uint64_t epoch_ns,
		   struct proc_watch **ret_watch, struct err *err);

/* Looks once. */
void proc_watch_look(struct proc_watch *w);

/*
 * [{tid, tgid, comm, start_ns, end_ns, exec_ns, delay_ns, voluntary, involuntary, first{exec_ns, delay_ns, ...}}] of every
 * thread seen; times since the epoch; the four counts are those since the first look. NULL when out of memory.
 */
json_t *proc_watch_threads(const struct proc_watch *w);

void proc_watch_free(struct proc_watch *w);

#endif
