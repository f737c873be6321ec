/* SPDX-License-Identifier: GPL-2.0-only */
/* The classes of the ledger, and which one a wait belongs to. After Brendan Gregg's Thread State Analysis. */
#ifndef WHYSCALE_ANALYSIS_CLASS_H
#define WHYSCALE_ANALYSIS_CLASS_H

#include <stdint.h>

#include "bpf/events.h"

enum ledger_class {
	CLASS_ONCPU,
	CLASS_RUNQ_PREEMPTED,
	CLASS_RUNQ_WAKEUP,
	CLASS_THROTTLED,
	CLASS_LOCK,
	CLASS_GIL,
	CLASS_KLOCK,
	CLASS_SYNC,
	CLASS_IO,
	CLASS_SLEEP,
	CLASS_STOPPED,
	CLASS_BLOCKED_OTHER,
	CLASS_UNTRACKED,
	CLASS_NR
};

/* The name that every output uses, e.g. "runq_wakeup". */
const char *class_name(enum ledger_class class);

/* One line that says what the class is, for a reader who knows what a thread is. */
const char *class_meaning(enum ledger_class class);

/* The machine whose system-call numbers a trace holds. */
enum syscall_arch { ARCH_X86_64, ARCH_AARCH64, ARCH_UNKNOWN };
enum syscall_arch syscall_arch_by_name(const char *uname_machine);

/* Name of a system call by its number, or NULL. */
const char *syscall_name(enum syscall_arch arch, unsigned int nr);

/* Number of a system call by its name, or -1. */
int syscall_number(enum syscall_arch arch, const char *name);

/*
 * The class of a wait that began with this switch-out (not runnable), first match wins: stopped, traced or frozen;
 * in_iowait; then by the system call and, for the poll family, by whether it has descriptors (CLASS_BLOCKED_OTHER where
 * none can be shown). `flags` are SW_*.
 */
enum ledger_class class_of_wait(enum syscall_arch arch, unsigned int flags, unsigned int state,
				uint32_t how);

#endif
