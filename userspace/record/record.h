/* SPDX-License-Identifier: GPL-2.0-only */
/* The controller: starts a command stopped (or attaches to what runs), attaches the probes, drains, writes the trace. */
#ifndef WHYSCALE_RECORD_RECORD_H
#define WHYSCALE_RECORD_RECORD_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum record_what { RECORD_COMMAND, RECORD_PIDS, RECORD_TIDS, RECORD_ALL };

struct record_options {
	enum record_what what;
	char *const *
		argv; /* RECORD_COMMAND, and an optional command beside RECORD_ALL: NULL-ended, run through PATH */
	const char *user; /* run the command as this user; NULL: as the caller */
	const pid_t *ids; /* RECORD_PIDS, RECORD_TIDS */
	size_t nr_ids;
	uint64_t duration_ns; /* stop after this long; 0: until the command ends or a signal comes */
	const char *output;   /* path of the trace */
	uint64_t keep_ns; /* keep the last so long in memory, write it at the end and at each SIGUSR2; 0: write all as it comes */
	uint64_t keep_bytes; /* at most so much */
	/* A snapshot was written (why: NULL), or not; NULL: nobody asks. */
	void (*on_snapshot)(const char *path, const struct err *why);
	size_t buffer_bytes;      /* of each CPU, a power of two; 0: the default */
	unsigned int max_threads; /* followed at one time, a power of two; 0: the default */
	bool no_bpf;              /* do not use BPF even where it works: counters and /proc only */
	unsigned int stacks;      /* STACKS_* of bpf/events.h; 0: no call stacks */
	unsigned int stack_bytes; /* of a user stack, copied at most; 0: the default */
	unsigned int sample_hz;   /* samples a second on each CPU; 0: the default */
	bool counters; /* count for each thread and slice; without BPF it always is, for all together */
	const char *
		events; /* which counters, in perf's names: "cycles,page-faults"; NULL: this machine's */
	bool python;   /* frames of Python functions in stacks */
	int stdout_fd; /* the command's standard output; -1: ours */
	const cpu_set_t
		*cpus; /* RECORD_COMMAND: the CPUs that it may use, of cpus_bytes; NULL: as we */
	size_t cpus_bytes;
	int nice; /* RECORD_COMMAND: its nice value; 0: as we had */
	/* RECORD_COMMAND: called while the command is held, before it is let run; NULL: nothing to do */
	int (*held)(void *arg, pid_t command, struct err *err);
	void *held_arg;
};

/* What happened, for the line that `record` prints at its end. */
struct record_result {
	bool bpf;          /* the scheduler's probes ran; else only counters and /proc */
	char why_not[256]; /* bpf is false: why */
	char python[320];  /* which Python frames could not be had, and why; "" */
	int exit_status; /* of the command as a shell gives it (128 + signal); 0 without a command */
	bool interrupted;       /* by a signal to us */
	uint64_t wall_ns;       /* from letting the command run to its end */
	uint64_t events, bytes; /* records, file size */
	uint64_t lost;          /* dropped records; with keep_ns those of what was kept */
	uint64_t lost_on_new;   /* of these, on CPUs that came online meanwhile */
	uint64_t kept_ns; /* keep_ns: how far the trace reaches back from its end; 0: to the beginning */
	bool kept_short;        /* keep_ns: it is less than that, as keep_bytes was reached */
	unsigned int snapshots; /* written */
	char no_counters[400];  /* counters that were asked for and could not be had, and why; "" */
	char no_maps[256]; /* bpf, but the mappings could not be watched, so there are no names: why; "" */
	char no_samples[256]; /* bpf, but STACKS_ON could not be had: why; "" */
	char no_stacks[640]; /* which other stacks, or Python functions, could not be had, and why; "" */
};

/*
 * Records until the command has ended, the duration is over or SIGINT/SIGTERM comes. The file belongs to the caller of sudo and is
 * 0600; a file of that name that was there becomes NAME.old. Errors: the output cannot be written; -ENOENT or
 * -EACCES with ret->exit_status 127 or 126 when the command does not exist or may not run; -ESRCH no such process; what
 * was recorded up to an error is kept. With keep_ns the file is made at the end, and BPF is needed. Without the privilege for BPF it records what it can (result.bpf false).
 */
int record_run(const struct record_options *opts, struct record_result *ret, struct err *err);

#endif
