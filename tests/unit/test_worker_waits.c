// SPDX-License-Identifier: GPL-2.0-only
/* What workers waited for: by lock, cut to their windows, and while exactly one of them ran. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/worker_waits.h"
#include "trace_text.h"

#define END_NS 2000

/* The words that threads wait for in these traces, from 1 on. */
static struct lock locks[] = {
	{ .index = 0, .kind = LOCK_MUTEX, .name = "m\x1b\xff in prog" },
	{ .index = 1, .kind = LOCK_GIL, .name = "CPython's GIL" },
	{ .index = 2, .kind = LOCK_BARRIER, .name = "b in prog" },
	{ .index = 3, .kind = LOCK_COND, .name = "c in prog" },
	{ .index = 4, .kind = LOCK_RWLOCK, .name = NULL },
	{ .index = 5, .kind = LOCK_PI_MUTEX, .name = "p in prog" },
	{ .index = 6, .kind = LOCK_MUTEX, .name = "n in prog" },
	{ .index = 7, .kind = LOCK_MUTEX, .name = "o in prog" },
};

/* Workers: the tids 7, 8, 9 from 100 to 900, or as the caller has set them. */
static void run(struct ledger_window *w, size_t nr, const char *text, struct worker_waits *ret)
{
	struct worker_pass *p;
	struct ledger *l;
	struct err err;

	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	for (size_t i = 0; i < nr; i++)
		ledger_add_window(l, &w[i]);
	ledger_on_wait(l, trace_text_on_wait, locks);
	assert_int_equal(worker_pass_new(l, w, nr, 0, END_NS, &p, &err), 0);
	trace_text_feed(l, text);
	ledger_finish(l, END_NS);
	assert_int_equal(worker_pass_finish(p, ret), 0);
	worker_pass_free(p);
	ledger_free(l);
}

static void test_cut_to_window(void **state)
{
	struct ledger_window w = { .tid = 7, .begin_ns = 300, .end_ns = 900 };
	struct worker_waits got;

	(void)state;
	/* the mutex: 200-400, of which 100 are in the window; the GIL 500-600; the mutex again 800-1000, 100 in it */
	run(&w, 1,
	    "100 cpu0 snap A tid=7 oncpu\n"
	    "200 cpu0 futex A addr=1\n"
	    "200 cpu0 switch A/S:futex idle\n"
	    "400 cpu0 wakeup A nowake\n"
	    "400 cpu0 switch idle A\n"
	    "500 cpu0 futex A addr=2\n"
	    "500 cpu0 switch A/S:futex idle\n"
	    "600 cpu0 wakeup A nowake\n"
	    "600 cpu0 switch idle A\n"
	    "800 cpu0 futex A addr=1\n"
	    "800 cpu0 switch A/S:futex idle\n"
	    "1000 cpu0 wakeup A nowake\n"
	    "1000 cpu0 switch idle A\n"
	    "1100 cpu0 futex A addr=4\n"
	    "1100 cpu0 switch A/S:futex idle\n"
	    "1200 cpu0 wakeup A nowake\n"
	    "1200 cpu0 switch idle A\n",
	    &got);
	assert_int_equal(got.nr, 2);
	assert_int_equal(got.lock[0].kind, LOCK_MUTEX);
	assert_int_equal(got.lock[0].class, CLASS_LOCK);
	assert_int_equal(got.lock[0].wait_ns, 200);
	assert_int_equal(got.lock[0].waits, 2);
	assert_string_equal(got.lock[0].name, "m?? in prog");
	assert_int_equal(got.lock[1].kind, LOCK_GIL);
	assert_int_equal(got.lock[1].wait_ns, 100);
	assert_int_equal(got.nr_locks[CLASS_LOCK], 1);
	assert_int_equal(got.nr_locks[CLASS_SYNC], 0);
	assert_int_equal(got.kind_ns[LOCK_MUTEX], w.ledger_ns[CLASS_LOCK]);
	assert_int_equal(got.kind_ns[LOCK_GIL], w.ledger_ns[CLASS_GIL]);
	assert_int_equal(got.kind_ns[LOCK_COND], 0);
	assert_int_equal(w.ledger_ns[CLASS_LOCK], 200);
}

static const char alone[] =
	"100 cpu0 snap A tid=7 oncpu\n"
	"100 cpu1 snap B tid=8 oncpu\n"
	"100 cpu2 snap C tid=9 oncpu\n"
	"200 cpu0 futex A addr=3\n"
	"200 cpu0 switch A/S:futex idle\n" /* at the barrier; B and C run */
	"300 cpu1 futex B addr=3\n"
	"300 cpu1 switch B/S:futex idle\n" /* C is alone, two wait at the barrier */
	"450 cpu2 switch C/P idle\n"       /* it lost its CPU: nobody runs */
	"500 cpu2 switch idle C\n"         /* alone again */
	"600 cpu1 wakeup B nowake\n"       /* B is ready */
	"650 cpu1 switch idle B\n"
	"700 cpu2 switch C/S:wait4 idle\n" /* B is alone; A at the barrier, C for a child */
	"800 cpu1 futex B addr=1\n"
	"800 cpu1 switch B/S:futex idle\n"
	"800 cpu2 wakeup C nowake\n"
	"800 cpu2 switch idle C\n" /* C is alone; A at the barrier, B for the mutex */
	"900 cpu2 switch C/X idle\n";

static void test_alone(void **state)
{
	struct ledger_window w[] = { { .tid = 7, .begin_ns = 100, .end_ns = END_NS },
				     { .tid = 8, .begin_ns = 100, .end_ns = END_NS },
				     { .tid = 9, .begin_ns = 100, .end_ns = 900 } };
	struct worker_waits got;

	(void)state;
	run(w, 3, alone, &got);
	/* C 300-450 and 500-600, B 700-800, C 800-900 */
	assert_int_equal(got.alone_ns, 450);
	assert_int_equal(got.alone_most_ns, 350);
	assert_int_equal(got.alone_most_tid, 9);
	assert_string_equal(got.alone_most_comm, "old");
	/* two, two, one, one */
	assert_int_equal(got.alone_kind_ns[LOCK_BARRIER], 2 * 150 + 2 * 100 + 100 + 100);
	assert_int_equal(got.alone_kind_ns[WAIT_OTHER], 100);
	assert_int_equal(got.alone_kind_ns[LOCK_MUTEX], 0);
	/* what was told of being alone is never more than the ledger's sync */
	assert_int_equal(w[0].ledger_ns[CLASS_SYNC] + w[1].ledger_ns[CLASS_SYNC] +
				 w[2].ledger_ns[CLASS_SYNC],
			 (END_NS - 200) + 300 + 100);
	assert_int_equal(got.kind_ns[LOCK_BARRIER], END_NS - 200 + 300);
	assert_int_equal(got.kind_ns[WAIT_OTHER], 100);
}

/* A wait that begins outside of the worker's window is not a worker's. */
static void test_alone_outside(void **state)
{
	struct ledger_window w[] = { { .tid = 7, .begin_ns = 250, .end_ns = END_NS },
				     { .tid = 8, .begin_ns = 100, .end_ns = 200 },
				     { .tid = 9, .begin_ns = 100, .end_ns = 900 } };
	struct worker_waits got;

	(void)state;
	run(w, 3, alone, &got);
	/* nobody who is at work waits for others while one runs, but C for its child while B runs (no worker any more) */
	assert_int_equal(got.alone_kind_ns[LOCK_BARRIER], 0);
	assert_int_equal(got.alone_kind_ns[WAIT_OTHER], 100);
	assert_int_equal(got.alone_ns, 100);
}

/* Two shares that one thread of a pool did: each wait once. */
static void test_two_windows(void **state)
{
	struct ledger_window w[] = { { .tid = 7, .begin_ns = 100, .end_ns = 300 },
				     { .tid = 7, .begin_ns = 300, .end_ns = 500 } };
	struct worker_waits got;

	(void)state;
	run(w, 2,
	    "100 cpu0 snap A tid=7 oncpu\n"
	    "200 cpu0 futex A addr=5\n"
	    "200 cpu0 switch A/S:futex idle\n"
	    "400 cpu0 wakeup A nowake\n"
	    "400 cpu0 switch idle A\n",
	    &got);
	assert_int_equal(got.nr, 1);
	assert_int_equal(got.lock[0].wait_ns, 200);
	assert_int_equal(got.lock[0].waits, 1);
	assert_string_equal(got.lock[0].name, "?");
	assert_int_equal(got.alone_ns, 0);
}

/* Of a class, the few that were waited for longest are kept; all are counted, and so are their times by kind. */
static void test_bounded(void **state)
{
	static const int words[] = { 1, 5, 6, 7, 8 };
	struct ledger_window w = { .tid = 7, .begin_ns = 0, .end_ns = END_NS };
	char text[1024] = "100 cpu0 snap A tid=7 oncpu\n";
	struct worker_waits got;

	(void)state;
	for (int i = 0, time = 100; i < 5; i++) {
		size_t len = strlen(text);

		/* 10, 20, 30, 30, 30: of equals, the one that was met first */
		snprintf(text + len, sizeof(text) - len,
			 "%d cpu0 futex A addr=%d\n%d cpu0 switch A/S:futex idle\n"
			 "%d cpu0 wakeup A nowake\n%d cpu0 switch idle A\n",
			 time, words[i], time, time + (i < 2 ? 10 * i + 10 : 30),
			 time + (i < 2 ? 10 * i + 10 : 30));
		time += 100;
	}
	run(&w, 1, text, &got);
	assert_int_equal(got.nr, WORKER_LOCKS_OF_CLASS);
	assert_int_equal(got.nr_locks[CLASS_LOCK], 5);
	assert_string_equal(got.lock[0].name, "p in prog");
	assert_string_equal(got.lock[1].name, "n in prog");
	assert_string_equal(got.lock[2].name, "o in prog");
	assert_int_equal(got.lock[3].kind, LOCK_RWLOCK);
	assert_int_equal(got.kind_ns[LOCK_MUTEX], 10 + 30 + 30);
	assert_int_equal(got.kind_ns[LOCK_MUTEX] + got.kind_ns[LOCK_PI_MUTEX] +
				 got.kind_ns[LOCK_RWLOCK],
			 w.ledger_ns[CLASS_LOCK]);
}

/* Who held it: an owner that stood in the lock and one that gave it away are one. */
static void test_holder(void **state)
{
	struct ledger_window w = { .tid = 7, .begin_ns = 100, .end_ns = 900 };
	struct worker_waits got;

	(void)state;
	assert_int_equal(sums_add(&locks[0].holder_ns, 3 << 1 | LOCK_OWNER, 50), 0);
	assert_int_equal(sums_add(&locks[0].holder_ns, 2 << 1 | LOCK_OWNER, 40), 0);
	assert_int_equal(sums_add(&locks[0].holder_ns, 2 << 1 | LOCK_WAKER, 30), 0);
	assert_int_equal(sums_add(&locks[0].holder_ns, 20 << 1 | LOCK_WAKER, 500), 0); /* unknown */
	run(&w, 1,
	    "100 cpu0 snap A tid=7 oncpu\n"
	    "100 cpu1 snap B tid=8 oncpu\n"
	    "100 cpu2 snap C tid=9 oncpu\n"
	    "200 cpu0 futex A addr=1\n"
	    "200 cpu0 switch A/S:futex idle\n",
	    &got);
	assert_int_equal(got.nr, 1);
	assert_int_equal(got.lock[0].holder_tid, 8);
	assert_int_equal(got.lock[0].holder_ns, 70);
	sums_free(&locks[0].holder_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_to_window), cmocka_unit_test(test_alone),
		cmocka_unit_test(test_alone_outside), cmocka_unit_test(test_two_windows),
		cmocka_unit_test(test_bounded),       cmocka_unit_test(test_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
