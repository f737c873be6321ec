// SPDX-License-Identifier: GPL-2.0-only
/* Who held CPython's lock: a small trace whose story can be read off, to the nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lock_check.h"
#include "lock_show.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

/* This program has the object by which an interpreter is known: what lies in it is its lock. */
char _PyRuntime[1024];

/*
 * B has it. A waits for it with a limit, twice in vain; asks; is given it. C waits for the mutex inside, which is no turn at it. Then A
 * gives it up and waits until another has taken it: that is C, which nobody had to wake.
 */
static const char gil_text[] = "100 cpu0 snap A tid=1 oncpu\n"
			       "100 cpu1 snap B tid=2 oncpu\n"
			       "100 cpu2 snap C tid=3 oncpu\n"
			       "200 cpu0 futex A addr=%1$" PRIu64 " op=393 val=0 word=0 timeout\n"
			       "200 cpu0 switch A/S:futex idle\n"
			       "250 cpu0 wake A by idle hardirq why=2\n"
			       "250 cpu0 switch idle A\n"
			       "250 cpu0 futex A addr=%1$" PRIu64 " op=393 val=0 word=0 timeout\n"
			       "250 cpu0 switch A/S:futex idle\n"
			       "300 cpu0 wake A by idle hardirq why=2\n"
			       "300 cpu0 switch idle A\n"
			       "310 cpu0 futex A addr=%1$" PRIu64 " op=393 val=0 word=0 timeout\n"
			       "310 cpu0 switch A/S:futex idle\n"
			       "320 cpu2 futex C addr=%2$" PRIu64 "\n"
			       "320 cpu2 switch C/S:futex idle\n"
			       "330 cpu1 wake C by B task why=1\n"
			       "330 cpu2 switch idle C\n"
			       "400 cpu1 wake A by B task why=1\n"
			       "400 cpu0 switch idle A\n"
			       "450 cpu1 futex B addr=%1$" PRIu64 " op=393 val=2 word=2 timeout\n"
			       "450 cpu1 switch B/S:futex idle\n"
			       "500 cpu0 futex A addr=%3$" PRIu64 " op=393 val=0 word=0\n"
			       "500 cpu0 switch A/S:futex idle\n"
			       "510 cpu2 wake A by C task why=1\n"
			       "510 cpu0 switch idle A\n"
			       "600 cpu2 wake B by C task why=1\n"
			       "600 cpu1 switch idle B\n";

static void test_gil(void **state)
{
	struct ledger_window work[] = { { .tid = 1, .begin_ns = 260, .end_ns = 400 },
					{ .tid = 2, .begin_ns = 100, .end_ns = 601 } };
	uint64_t base = (uintptr_t)_PyRuntime;
	const struct lock *const *list;
	struct lock_run run;
	char *text, *is, *expected;
	size_t nr;

	(void)state;
	assert_true(asprintf(&text, gil_text, base + 64, base + 72, base + 128) > 0);
	lock_run_begin(&run, 3, HISTORY_DEFAULT);
	lock_run_map_self(&run);
	for (size_t i = 0; i < LEN(work); i++)
		ledger_add_window(run.ledger, &work[i]);
	trace_text_feed_locks(run.ledger, run.passes, run.locks, text);
	lock_run_end(&run, END_NS);
	lock_run_check(&run, "gil");
	list = locks_list(run.locks, &nr);
	is = lock_show(run.locks, false);
	assert_int_equal(nr, 1);
	assert_true(list[0]->main_gil);
	assert_int_equal(list[0]->gil_timeouts, 2);
	assert_int_equal(list[0]->gil_mutex_waits, 1);
	/* B gives it to A, A drops it, C gives it to B; A's work ends as it is given the lock */
	assert_int_equal(list[0]->gil_handovers, 3);
	assert_int_equal(list[0]->gil_work_handovers, 1);
	assert_int_equal(list[0]->gil_work_timeouts, 1);
	/*
	 * A: 50 and 50 and 90 for B, then 10 for who takes it; C 10; B 150, of which A has it for 50, and C for 90. A lets go at 500, and at 510 C
	 * says that it has taken it. C has run all the time: it took it at 501, and it was held for 9 ns, or at 509, and it was free. The events
	 * are the same, so these 10 ns are unknown.
	 */
	assert_true(
		asprintf(&expected,
			 "gil %" PRIu64
			 " 360 in 6, longest 150, woken 4, timed out 2, running 350 unknown 10; "
			 "A 200/4, C 10/1, B 150/1; waker B 200, waker C 100, waker A 50",
			 base) > 0);
	assert_string_equal(is, expected);
	free(text);
	free(is);
	free(expected);
	lock_run_free(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gil),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
