// SPDX-License-Identifier: GPL-2.0-only
/* Classes: the table of system calls, and every rule by which a wait gets its class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "analysis/class.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define S EV_STATE_INTERRUPTIBLE
#define D EV_STATE_UNINTERRUPTIBLE

static const struct {
	const char *call; /* NULL: in none */
	unsigned int flags, state, arg1, arg2;
	enum ledger_class expected;
} waits[] = {
	{ "futex", 0, S, 0, 128, CLASS_SYNC },
	{ "futex_wait", 0, S, 0, 0, CLASS_SYNC },
	{ "futex_waitv", 0, S, 0, 0, CLASS_SYNC },
	{ "wait4", 0, S, 0, 0, CLASS_SYNC },
	{ "waitid", 0, S, 0, 0, CLASS_SYNC },
	{ "vfork", 0, D, 0, 0, CLASS_SYNC },
	{ "clone", 0, D, 0, 0, CLASS_SYNC },
	{ "semop", 0, S, 0, 0, CLASS_SYNC },
	{ "flock", 0, S, 0, 0, CLASS_SYNC },
	{ "fcntl", 0, S, 3, 7, CLASS_SYNC },
	{ "fcntl", 0, S, 3, 38, CLASS_SYNC },
	{ "fcntl", 0, S, 3, 1, CLASS_BLOCKED_OTHER },
	{ "nanosleep", 0, S, 0, 0, CLASS_SLEEP },
	{ "clock_nanosleep", 0, S, 0, 0, CLASS_SLEEP },
	{ "poll", 0, S, 5, 0, CLASS_SLEEP },
	{ "poll", 0, S, 0, 2, CLASS_IO },
	{ "ppoll", 0, S, 0, EV_ARG2_MAX, CLASS_IO },
	{ "select", 0, S, 0, 9, CLASS_SLEEP },
	{ "pselect6", 0, S, EV_ARG1_MAX, 0, CLASS_IO },
	{ "epoll_wait", 0, S, 4, 0, CLASS_IO },
	{ "read", 0, S, 0, 0, CLASS_IO },
	{ "write", 0, D, 0, 0, CLASS_IO },
	{ "io_uring_enter", 0, S, 0, 0, CLASS_IO },
	{ "msgrcv", 0, S, 0, 0, CLASS_IO },
	{ "mq_timedreceive", 0, S, 0, 0, CLASS_IO },
	{ "pause", 0, S, 0, 0, CLASS_BLOCKED_OTHER },
	{ "rt_sigsuspend", 0, S, 0, 0, CLASS_BLOCKED_OTHER },
	{ "rt_sigtimedwait", 0, S, 0, 0, CLASS_BLOCKED_OTHER },
	{ "exit_group", 0, D, 0, 0, CLASS_BLOCKED_OTHER },
	{ "mmap", 0, D, 0, 0, CLASS_BLOCKED_OTHER },
	{ NULL, 0, D, 0, 0, CLASS_BLOCKED_OTHER },
	/* A page fault or a kernel lock inside a call that waits interruptibly. */
	{ "futex", 0, D, 0, 0, CLASS_BLOCKED_OTHER },
	{ "nanosleep", 0, D, 0, 0, CLASS_BLOCKED_OTHER },
	{ "poll", 0, D, 0, 1, CLASS_BLOCKED_OTHER },
	/* First match wins. */
	{ "futex", SW_IOWAIT, D, 0, 0, CLASS_IO },
	{ NULL, SW_IOWAIT, D, 0, 0, CLASS_IO },
	{ "read", 0, EV_STATE_STOPPED, 0, 0, CLASS_STOPPED },
	{ "read", 0, EV_STATE_TRACED, 0, 0, CLASS_STOPPED },
	{ "nanosleep", SW_FROZEN, 0, 0, 0, CLASS_STOPPED },
	{ "nanosleep", SW_FROZEN | SW_IOWAIT, 0, 0, 0, CLASS_STOPPED },
	/* The number is of another table. */
	{ "read", SW_COMPAT, S, 0, 0, CLASS_BLOCKED_OTHER },
};

static void test_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(waits); i++) {
		int nr = waits[i].call ? syscall_number(ARCH_X86_64, waits[i].call) : EV_NO_SYSCALL;
		enum ledger_class class = class_of_wait(ARCH_X86_64, waits[i].flags, waits[i].state,
							EV_HOW(nr, waits[i].arg2, waits[i].arg1));

		assert_true(nr >= 0);
		if (class != waits[i].expected)
			fail_msg("wait %zu (%s): %s, not %s", i,
				 waits[i].call ? waits[i].call : "none", class_name(class),
				 class_name(waits[i].expected));
	}
}

/* Numbers of both machines, some by the header that we did not write. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(syscall_number(ARCH_X86_64, "read"), 0);
	assert_int_equal(syscall_number(ARCH_X86_64, "futex"), 202);
	assert_int_equal(syscall_number(ARCH_X86_64, "futex_wait"), 455);
	assert_int_equal(syscall_number(ARCH_AARCH64, "read"), 63);
	assert_int_equal(syscall_number(ARCH_AARCH64, "futex"), 98);
	assert_int_equal(syscall_number(ARCH_AARCH64, "nanosleep"), 101);
	assert_int_equal(syscall_number(ARCH_AARCH64, "poll"), -1);
	assert_int_equal(syscall_number(ARCH_AARCH64, "clone"), 220);
	assert_int_equal(syscall_number(ARCH_UNKNOWN, "read"), -1);
	assert_int_equal(syscall_number(ARCH_X86_64, "no such call"), -1);
#ifdef __x86_64__
	assert_int_equal(syscall_number(ARCH_X86_64, "clock_nanosleep"), SYS_clock_nanosleep);
	assert_int_equal(syscall_number(ARCH_X86_64, "io_uring_enter"), SYS_io_uring_enter);
	assert_int_equal(syscall_number(ARCH_X86_64, "ppoll"), SYS_ppoll);
	assert_int_equal(syscall_number(ARCH_X86_64, "sched_yield"), SYS_sched_yield);
#endif
}

/* Name and number agree for every call of every machine; what does not exist has no name. */
static void test_names(void **state)
{
	static const enum syscall_arch archs[] = { ARCH_X86_64, ARCH_AARCH64 };

	(void)state;
	for (size_t a = 0; a < LEN(archs); a++) {
		unsigned int found = 0;

		for (unsigned int nr = 0; nr < 2000; nr++) {
			const char *name = syscall_name(archs[a], nr);

			if (name)
				assert_int_equal(syscall_number(archs[a], name), nr);
			found += name != NULL;
		}
		assert_in_range(found, 320, 400);
	}
	assert_null(syscall_name(ARCH_UNKNOWN, 0));
	assert_null(syscall_name(ARCH_X86_64, EV_NO_SYSCALL));
	assert_string_equal(syscall_name(ARCH_X86_64, 230), "clock_nanosleep");
}

static void test_archs(void **state)
{
	(void)state;
	assert_int_equal(syscall_arch_by_name("x86_64"), ARCH_X86_64);
	assert_int_equal(syscall_arch_by_name("aarch64"), ARCH_AARCH64);
	assert_int_equal(syscall_arch_by_name("riscv64"), ARCH_UNKNOWN);
	assert_int_equal(class_of_wait(ARCH_UNKNOWN, 0, S, 0), CLASS_BLOCKED_OTHER);
	assert_int_equal(class_of_wait(ARCH_AARCH64, 0, S, EV_HOW(101, 0, 0)), CLASS_SLEEP);
}

static void test_class_names(void **state)
{
	(void)state;
	for (int c = 0; c < CLASS_NR; c++) {
		assert_true(strlen(class_name(c)) > 1);
		assert_true(strlen(class_meaning(c)) > 10);
	}
	assert_string_equal(class_name(CLASS_RUNQ_WAKEUP), "runq_wakeup");
	assert_string_equal(class_name(CLASS_BLOCKED_OTHER), "blocked_other");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),       cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_names),       cmocka_unit_test(test_archs),
		cmocka_unit_test(test_class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
