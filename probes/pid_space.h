/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pid namespace that whyscale runs in. BPF programs meet threads by their numbers in the initial one; what is recorded, and asked
 * for, are the numbers that whyscale and its user see.
 */
#ifndef WHYSCALE_PROBES_PID_SPACE_H
#define WHYSCALE_PROBES_PID_SPACE_H

#include <stdint.h>

#include "base/err.h"

struct pid_space {
	uint32_t level; /* how many namespaces it lies in; 0: it is the initial one */
	uint32_t inode; /* as in /proc/PID/ns/pid; 0 with level 0 */
	uint32_t tgid;  /* whyscale itself, in the initial one */
};

/* Needs a BPF program where it is not the initial one. Errors: those of BPF, and of a /proc of another namespace. */
int pid_space_find(struct pid_space *ret_space, struct err *err);

#endif
