/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What /proc/PID/task/TID says of one thread to everybody. All return false when the thread is gone. PID is its process or, for a
 * thread whose process is not known, TID again.
 */
#ifndef WHYSCALE_RECORD_PROC_TASK_H
#define WHYSCALE_RECORD_PROC_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time, time on a run queue, times it was given a CPU. A running thread's exec_ns is up to a tick old. */
struct proc_schedstat {
	uint64_t exec_ns, delay_ns, runs;
};

struct proc_status {
	pid_t tgid;
	uint64_t voluntary, involuntary; /* switches */
};

struct proc_stat {
	char comm[16];
	char state; /* 'Z': a zombie */
	pid_t ppid;
	uint64_t start_ticks; /* since boot; with the tid, who it is */
};

bool proc_read_schedstat(pid_t pid, pid_t tid, struct proc_schedstat *ret);
bool proc_read_status(pid_t pid, pid_t tid, struct proc_status *ret);
bool proc_read_stat(pid_t pid, pid_t tid, struct proc_stat *ret);

/* The line of a stat file; false when it is not one. */
bool proc_parse_stat(const char *line, struct proc_stat *ret);

#endif
