// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classes by name, and the class of a wait from what the switch-out says about it.
 *
 * The system calls come from syscalls.def, laid out once per machine as an array by number, so that the class of a
 * wait costs one load.
 */
#include "analysis/class.h"

#include <stddef.h>
#include <string.h>

/* What a system call says about a wait in it. */
enum rule {
	RULE_OTHER,
	RULE_SYNC,
	RULE_CHILD,
	RULE_IO,
	RULE_SLEEP,
	RULE_POLL,
	RULE_SELECT,
	RULE_FCNTL
};

struct syscall_entry {
	const char *name;
	enum rule rule;
};

#define SYSCALLS_NR 512

/*
 * Element 0 takes the calls that the machine does not have: it is written many times and never read. So the
 * number nr is at nr + 1.
 */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
#define SYSCALL(name, x86, arm, rule) [(x86) + 1] = { #name, RULE_##rule },
static const struct syscall_entry x86_64_calls[SYSCALLS_NR + 1] = {
#include "analysis/syscalls.def"
};
#undef SYSCALL
#define SYSCALL(name, x86, arm, rule) [(arm) + 1] = { #name, RULE_##rule },
static const struct syscall_entry aarch64_calls[SYSCALLS_NR + 1] = {
#include "analysis/syscalls.def"
};
#undef SYSCALL
#pragma GCC diagnostic pop

static const char *const names[CLASS_NR] = {
	[CLASS_ONCPU] = "oncpu",
	[CLASS_RUNQ_PREEMPTED] = "runq_preempted",
	[CLASS_RUNQ_WAKEUP] = "runq_wakeup",
	[CLASS_THROTTLED] = "throttled",
	[CLASS_LOCK] = "lock",
	[CLASS_GIL] = "gil",
	[CLASS_KLOCK] = "klock",
	[CLASS_SYNC] = "sync",
	[CLASS_IO] = "io",
	[CLASS_SLEEP] = "sleep",
	[CLASS_STOPPED] = "stopped",
	[CLASS_BLOCKED_OTHER] = "blocked_other",
	[CLASS_UNTRACKED] = "untracked",
};

static const char *const meanings[CLASS_NR] = {
	[CLASS_ONCPU] = "executing on a CPU, in user space or in the kernel",
	[CLASS_RUNQ_PREEMPTED] = "ready to run, but another thread was given its CPU",
	[CLASS_RUNQ_WAKEUP] = "woken up (or just made), waiting for a CPU",
	[CLASS_THROTTLED] = "ready to run, but its cgroup has used up its CPU quota",
	[CLASS_LOCK] = "waiting for a lock that another thread holds",
	[CLASS_GIL] = "waiting for Python's global interpreter lock",
	[CLASS_KLOCK] = "waiting for a lock inside the kernel",
	[CLASS_SYNC] = "waiting for another thread's or process's work",
	[CLASS_IO] = "waiting for a disk, file, pipe or socket",
	[CLASS_SLEEP] = "sleeping until a time that it chose itself",
	[CLASS_STOPPED] = "stopped by a debugger, a signal or the freezer",
	[CLASS_BLOCKED_OTHER] = "waiting for something that none of the other classes names",
	[CLASS_UNTRACKED] =
		"not known: events were lost or could not be seen, or it lies before the first one",
};

const char *class_name(enum ledger_class class)
{
	return (unsigned int)class < CLASS_NR ? names[class] : "?";
}

const char *class_meaning(enum ledger_class class)
{
	return (unsigned int)class < CLASS_NR ? meanings[class] : "?";
}

enum syscall_arch syscall_arch_by_name(const char *uname_machine)
{
	if (!strcmp(uname_machine, "x86_64"))
		return ARCH_X86_64;
	if (!strcmp(uname_machine, "aarch64") || !strcmp(uname_machine, "arm64"))
		return ARCH_AARCH64;
	return ARCH_UNKNOWN;
}

/* The calls of a machine by number, or NULL. */
static const struct syscall_entry *calls_of(enum syscall_arch arch)
{
	switch (arch) {
	case ARCH_X86_64:
		return x86_64_calls + 1;
	case ARCH_AARCH64:
		return aarch64_calls + 1;
	default:
		return NULL;
	}
}

const char *syscall_name(enum syscall_arch arch, unsigned int nr)
{
	const struct syscall_entry *calls = calls_of(arch);

	return calls && nr < SYSCALLS_NR ? calls[nr].name : NULL;
}

int syscall_number(enum syscall_arch arch, const char *name)
{
	const struct syscall_entry *calls = calls_of(arch);

	for (int nr = 0; calls && nr < SYSCALLS_NR; nr++) {
		if (calls[nr].name && !strcmp(calls[nr].name, name))
			return nr;
	}
	return -1;
}

/* fcntl(2): the commands that wait for another's file lock (<linux/fcntl.h>, the same on both machines). */
static enum ledger_class fcntl_class(unsigned int cmd)
{
	enum { SETLKW = 7, OFD_SETLKW = 38 };

	return cmd == SETLKW || cmd == OFD_SETLKW ? CLASS_SYNC : CLASS_BLOCKED_OTHER;
}

/*
 * The waits for time, descriptors, locks and other threads are interruptible ones. A thread that blocks uninterruptibly inside
 * such a call waits for something else (a page fault, a lock of the kernel), which the call does not tell.
 */
static enum ledger_class interruptible_class(enum rule rule, uint32_t how)
{
	switch (rule) {
	case RULE_SYNC:
		return CLASS_SYNC;
	case RULE_SLEEP:
		return CLASS_SLEEP;
	case RULE_POLL:
		return EV_HOW_ARG2(how) ? CLASS_IO : CLASS_SLEEP;
	case RULE_SELECT:
		return EV_HOW_ARG1(how) ? CLASS_IO : CLASS_SLEEP;
	case RULE_FCNTL:
		return fcntl_class(EV_HOW_ARG2(how));
	default:
		return CLASS_BLOCKED_OTHER;
	}
}

enum ledger_class class_of_wait(enum syscall_arch arch, unsigned int flags, unsigned int state,
				uint32_t how)
{
	const struct syscall_entry *calls = calls_of(arch);
	unsigned int nr = EV_HOW_NR(how);

	if (state & (EV_STATE_STOPPED | EV_STATE_TRACED) || flags & SW_FROZEN)
		return CLASS_STOPPED;
	if (flags & SW_IOWAIT)
		return CLASS_IO;
	if (!calls || nr >= SYSCALLS_NR || flags & SW_COMPAT)
		return CLASS_BLOCKED_OTHER;
	if (calls[nr].rule == RULE_IO)
		return CLASS_IO;
	if (calls[nr].rule == RULE_CHILD)
		return CLASS_SYNC;
	if (!(state & EV_STATE_INTERRUPTIBLE))
		return CLASS_BLOCKED_OTHER;
	return interruptible_class(calls[nr].rule, how);
}
