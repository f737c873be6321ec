/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this process is kept from by the kernel, and by which of its ways to do so. A call that was refused says EPERM, whatever the
 * reason: the sentence that names it comes from here.
 */
#ifndef WHYSCALE_BASE_CONFINED_H
#define WHYSCALE_BASE_CONFINED_H

#include <limits.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#ifndef CAP_PERFMON /* headers before 5.8 */
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

struct confined {
	unsigned int uid;
	uint64_t capabilities; /* effective, a bit each */
	bool user_ns; /* in a user namespace of its own, where they give no power over the kernel */
	bool pid_ns;  /* in a pid namespace of its own: a container */
	bool seccomp; /* a filter looks at its system calls, and those of its children */
	char lockdown[16];       /* "none", "integrity", "confidentiality"; "": cannot be told */
	int perf_event_paranoid; /* INT_MIN: there is none */
};

/* What cannot be found out is as if it were not there. */
void confined_look(struct confined *ret_confined);

bool confined_has(const struct confined *c, int capability);

/*
 * Whether /proc is mounted and shows the processes of this process's own pid namespace, so that its numbers are ours: 0, or
 * -ENOTSUP with a sentence.
 */
int confined_proc(struct err *why);

/*
 * Sets the sentence for a bpf(2) that the kernel refused with `code` (EPERM, EACCES or ENOSYS): which privilege is missing, or what else
 * keeps this process from it, and what to do. Returns `code`.
 */
int confined_from_bpf(struct err *err, int code);

/* The same for perf_event_open(2). `what` begins the sentence where a privilege is missing: "watching all processes". */
int confined_from_perf(struct err *err, int code, const char *what);

#endif
