// SPDX-License-Identifier: GPL-2.0-only
/* The findings about locks and about waiting for others: which one speaks, what it says, from which share on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "explain_help.h"

/* ---- gil ---- */

static void test_gil(void **state)
{
	struct worker_lock *lock;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_GIL, 1988);
	lock = explain_wait_for(&m, LOCK_GIL, "CPython 3.11's GIL", 211, 1988);
	lock->gil_handovers = 200;
	lock->gil_timeouts = 7;
	m.facts.peer = "processes-9";
	m.facts.peer_speedup = 3.875;
	explain_find(&m, &all);
	assert_int_equal(all.nr, 1);
	assert_string_equal(
		all.finding[0].sentence,
		"run-7: at most one of 4 threads runs at a time: 49.7 % of their time is spent waiting for CPython's "
		"GIL, handed over 200 times, every 5.0 ms. Without it at most 3.98x; processes-9 measured 3.88x.");
	assert_string_equal(all.finding[0].cause, "gil");
	assert_int_equal(all.finding[0].lost_ns, 1988 * MS);
	assert_true(fabs(all.finding[0].bound - 2 * 4 / 2.012) < 1e-9);
	assert_int_equal(explain_evidence(&all.finding[0], "gil_timeouts"), 7);
	assert_int_equal(explain_evidence(&all.finding[0], "gil_ns"), 1988 * MS);
	findings_free(&all);

	/* a peer that is faster than the bound, and what the bound does not know */
	m.facts.peer_speedup = 3.99;
	explain_find(&m, &all);
	explain_says(&all.finding[0],
		     "processes-9 measured 3.99x, having lost less in other ways as well.");
	findings_free(&all);

	/* two at once for more than a twentieth: then it is not said that they do not */
	m.oncpu_ns[1] = T - T / 10;
	m.oncpu_ns[3] = T / 10;
	explain_find(&m, &all);
	explain_silent(&all.finding[0], "at most one");
	explain_says(&all.finding[0], "two or more of them ran at once for 10.0 % of the run");
	findings_free(&all);

	/* interpreters with locks of their own: no number of hand-overs, which are of one lock */
	explain_wait_for(&m, LOCK_GIL, "a CPython interpreter's own GIL (0x10)", 5, 0);
	explain_find(&m, &all);
	explain_silent(&all.finding[0], "handed over");
	findings_free(&all);
}

static void test_gil_threshold(void **state)
{
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_GIL, 39);
	explain_find(&m, &all);
	assert_null(explain_the(&all, "gil"));
	findings_free(&all);
	/* no event named the lock, its waits are known all the same */
	explain_lose(&m, STACK_GIL, 1);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "gil"), "1.0 %");
	explain_silent(explain_the(&all, "gil"), "handed");
	findings_free(&all);
}

/* ---- lock ---- */

static void test_lock(void **state)
{
	struct worker_lock *lock;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_LOCK, 2000);
	lock = explain_wait_for(&m, LOCK_MUTEX, "counter_lock in prog2", 1021, 2000);
	snprintf(lock->holder_comm, sizeof(lock->holder_comm), "w3");
	lock->holder_tid = 1234;
	lock->holder_ns = (uint64_t)(1199 * MS);
	explain_find(&m, &all);
	assert_string_equal(
		explain_the(&all, "lock")->sentence,
		"run-7: 50.0 % of the time of its 4 workers is spent waiting for the mutex counter_lock in prog2, which "
		"they had to wait for 1021 times, 2.0 ms each. Without it at most 4.00x.");
	findings_free(&all);

	lock->holder_ns = (uint64_t)(1200 * MS);
	explain_holder_did(lock, LOCK_ASLEEP, 199);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "lock"),
		     "each; for 60.0 % of that waiting the lock was held by w3/1234. Without");
	assert_true(explain_evidence(explain_the(&all, "lock"), "holder_percent") == 60.0);
	findings_free(&all);
}

/* Each thing that a holder may do, just below a tenth of the waiting and at it. */
static void test_holder_doing(void **state)
{
	static const struct {
		enum lock_doing doing;
		bool handed;
		const char *says, *key, *remedy;
	} rows[] = {
		{ LOCK_PREEMPTED, false, "no CPU (a preempted lock-holder)",
		  "holder_preempted_percent", "no more threads than CPUs" },
		{ LOCK_PREEMPTED, true, "first had to get a CPU (a lock convoy)",
		  "holder_handed_percent", "no more threads than CPUs" },
		{ LOCK_BLOCKED, false, "its holder was itself blocked", "holder_blocked_percent",
		  "do not sleep" },
		{ LOCK_ASLEEP, false, "its holder slept", "holder_asleep_percent", "do not sleep" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int share = 99; share <= 600; share += share == 99 ? 1 : 500) {
			struct worker_lock *lock;
			struct findings all;
			struct made m;

			print_message("%s %d\n", rows[i].key, share);
			explain_make(&m);
			explain_lose(&m, STACK_LOCK, 1000);
			lock = explain_wait_for(&m, LOCK_RWLOCK, "l", 1, 1000);
			explain_holder_did(lock, rows[i].doing, share);
			lock->handed_ns = rows[i].handed ? (uint64_t)(share * MS) : 0;
			explain_find(&m, &all);
			explain_says(explain_the(&all, "lock"), "read-write lock l");
			explain_says(explain_the(&all, "lock"), "once, for 1000.0 ms");
			if (share < 100)
				explain_silent(explain_the(&all, "lock"), rows[i].says);
			else
				explain_says(explain_the(&all, "lock"), rows[i].says);
			assert_true(fabs(explain_evidence(explain_the(&all, "lock"), rows[i].key) -
					 share / 10.0) < 1e-9);
			assert_int_equal(share > 500, strstr(explain_the(&all, "lock")->remedy,
							     rows[i].remedy) != NULL);
			findings_free(&all);
		}
	}
}

static void test_locks(void **state)
{
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_LOCK, 1000);
	explain_wait_for(&m, LOCK_PI_MUTEX, "a", 3, 700);
	explain_wait_for(&m, LOCK_MUTEX, "b", 1, 300);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "lock"),
		     "waiting for 2 locks, for 70.0 % of that for the priority-inheriting mutex a");
	findings_free(&all);
	explain_make(&m);
	explain_lose(&m, STACK_LOCK, 1000);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "lock"),
		     "25.0 % of the time of its 4 workers is spent waiting for locks.");
	findings_free(&all);
}

/* ---- klock ---- */

static void test_klock(void **state)
{
	struct worker_lock *lock;
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_KLOCK, 400);
	lock = explain_wait_for(&m, LOCK_KERNEL, "kernel lock mmap_lock", 80, 400);
	lock->spin_ns = (uint64_t)(39 * MS);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "klock"),
		     "for 10.0 % of the time of its 4 workers they were blocked inside the kernel");
	explain_says(explain_the(&all, "klock"), "kernel lock mmap_lock, 80 times, 5.0 ms each");
	explain_silent(explain_the(&all, "klock"), "spinning");
	findings_free(&all);
	lock->spin_ns = (uint64_t)(40 * MS);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "klock"), "40.0 ms more were spent on a CPU, spinning");
	findings_free(&all);
}

/* ---- serial and sync ---- */

static void test_serial_and_sync(void **state)
{
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	explain_lose(&m, STACK_SYNC, 1500);
	explain_wait_for(&m, LOCK_BARRIER, "b1 in prog", 10, 1100);
	explain_wait_for(&m, LOCK_COND, "c1 in prog", 4, 300);
	m.run.waits.kind_ns[WAIT_OTHER] = (uint64_t)(100 * MS);
	m.run.waits.alone_ns = (uint64_t)(300 * MS);
	m.run.waits.alone_kind_ns[LOCK_BARRIER] = (uint64_t)(900 * MS);
	m.run.waits.alone_most_ns = (uint64_t)(270 * MS);
	m.run.waits.alone_most_tid = 77;
	strcpy(m.run.waits.alone_most_comm, "w0");
	explain_find(&m, &all);
	assert_int_equal(explain_the(&all, "serial")->lost_ns, 900 * MS);
	assert_int_equal(explain_the(&all, "sync")->lost_ns, 600 * MS);
	explain_says(
		explain_the(&all, "serial"),
		"for 30.0 % of the run exactly one of its 4 workers runs (w0/77 for 90.0 % of that) while others wait "
		"for it: 22.5 % of the workers' time, most of it at a barrier (b1 in prog).");
	explain_says(
		explain_the(&all, "sync"),
		"15.0 % of the time of its 4 workers is spent waiting for another thread's or process's work: 7.5 % on a "
		"condition variable (c1 in prog), 5.0 % at a barrier (b1 in prog), 2.5 % for something that no event names");
	findings_free(&all);

	/* not one and the same: no name */
	m.run.waits.alone_most_ns = (uint64_t)(179 * MS);
	explain_find(&m, &all);
	explain_silent(explain_the(&all, "serial"), "w0/77");
	findings_free(&all);
}

/* All of it is told, once, also where one part is too small to be told by itself. */
static void test_split(void **state)
{
	static const int alone_ms[] = { 0, 39, 40, 500, 961, 1000, 5000 };

	(void)state;
	for (size_t i = 0; i < sizeof(alone_ms) / sizeof(alone_ms[0]); i++) {
		const struct finding *serial, *sync;
		struct findings all;
		struct made m;

		print_message("%d ms alone\n", alone_ms[i]);
		explain_make(&m);
		explain_lose(&m, STACK_SYNC, 1000);
		explain_wait_for(&m, LOCK_SEMAPHORE, "s", 10, 1000);
		m.run.waits.alone_ns = (uint64_t)(alone_ms[i] < 1000 ? alone_ms[i] : 1000) * MS;
		m.run.waits.alone_kind_ns[LOCK_SEMAPHORE] = (uint64_t)(alone_ms[i] * MS);
		explain_find(&m, &all);
		serial = explain_the(&all, "serial");
		sync = explain_the(&all, "sync");
		assert_int_equal(serial != NULL, alone_ms[i] >= 40);
		assert_int_equal(sync != NULL, alone_ms[i] <= 960);
		assert_true((serial ? serial->lost_ns : 0) + (sync ? sync->lost_ns : 0) <=
			    1000 * MS);
		if (serial && sync)
			assert_int_equal(serial->lost_ns + sync->lost_ns, 1000 * MS);
		if (alone_ms[i] == 39)
			assert_int_equal(sync->lost_ns, 1000 * MS);
		findings_free(&all);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		unsigned int kind;
		const char *name, *says;
	} rows[] = {
		{ LOCK_FUTEX, "heap 0x55", "on a futex whose purpose is not known (heap 0x55)" },
		{ LOCK_COND, "cq", "on a condition variable (cq)" },
		{ LOCK_JOIN, "end of thread prog/8", "for the end of thread prog/8" },
		{ LOCK_SEMAPHORE, "sq", "on a semaphore (sq)" },
		{ LOCK_BARRIER, "bq", "at a barrier (bq)" },
		{ LOCK_ONCE, "oq", "initialised once (oq)" },
		{ LOCK_FUTURE, "fq", "for a result (a future) (fq)" },
		{ LOCK_PARK, "pq", "parked, until another thread wakes them (pq)" },
		{ LOCK_RUNTIME, "Go runtime (x)",
		  "inside their language's runtime (Go runtime (x))" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings all;
		struct made m;

		explain_make(&m);
		explain_lose(&m, STACK_SYNC, 800);
		explain_wait_for(&m, rows[i].kind, rows[i].name, 2, 800);
		explain_find(&m, &all);
		assert_int_equal(all.nr, 1);
		explain_says(explain_the(&all, "sync"), rows[i].says);
		findings_free(&all);
		/* many of a kind, none of which is half of it: the kind alone */
		m.run.waits.kind_ns[rows[i].kind] *= 3;
		explain_find(&m, &all);
		explain_silent(explain_the(&all, "sync"), rows[i].name);
		findings_free(&all);
	}
}

/* What is said of Python's lock where no event names what was waited for, and only there. */
static void test_unnamed(void **state)
{
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.facts.interpreter_lock = true;
	explain_lose(&m, STACK_SYNC, 800);
	explain_find(&m, &all);
	explain_says(explain_the(&all, "sync"), "this may be that");
	findings_free(&all);
	explain_wait_for(&m, LOCK_BARRIER, "b", 2, 800);
	explain_find(&m, &all);
	explain_silent(explain_the(&all, "sync"), "Python");
	findings_free(&all);

	explain_make(&m);
	m.facts.interpreter_lock = true;
	m.run.bpf = false;
	m.run.oncpu_ns = NULL;
	explain_lose(&m, STACK_UNTRACKED, 2000);
	explain_find(&m, &all);
	assert_int_equal(all.nr, 1);
	explain_says(explain_the(&all, "none"), "so it may be that");
	findings_free(&all);
}

/* Without a reference the bound is one over this run, and says so. */
static void test_no_reference(void **state)
{
	struct findings all;
	struct made m;

	(void)state;
	explain_make(&m);
	m.facts.baseline_ns = m.facts.reference_ns = 0;
	m.facts.baseline_name = NULL;
	explain_lose(&m, STACK_LOCK, 2000);
	explain_find(&m, &all);
	explain_says(&all.finding[0], "Without it at most 2.00x as fast as this run.");
	findings_free(&all);
}

/* Every cause at once, names at their full length. */
static void test_all_at_once(void **state)
{
	static const enum stack_part parts[] = {
		STACK_LOCK,      STACK_GIL,         STACK_KLOCK,     STACK_SYNC,
		STACK_IO,        STACK_SLEEP,       STACK_THROTTLED, STACK_SPAWN,
		STACK_IMBALANCE, STACK_RUNQ_WAKEUP, STACK_INFLATION, STACK_UNTRACKED
	};
	char name[WORKER_LOCK_NAME];
	struct findings all;
	struct made m;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	explain_make(&m);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		explain_lose(&m, parts[i], 300);
	for (enum lock_kind kind = 0; kind < LOCK_KIND_NR; kind++) {
		struct worker_lock *lock = explain_wait_for(&m, kind, name, 1234567890123, 300);

		memset(lock->holder_comm, 'h', sizeof(lock->holder_comm));
		lock->holder_tid = UINT32_MAX;
		lock->holder_ns = lock->all_wait_ns;
		for (int doing = LOCK_PREEMPTED; doing < LOCK_DOING_UNKNOWN; doing++)
			explain_holder_did(lock, doing, 75);
		lock->handed_ns = (uint64_t)(35 * MS);
		m.run.waits.alone_kind_ns[kind] = (uint64_t)(10 * MS);
	}
	m.run.waits.alone_ns = (uint64_t)(100 * MS);
	explain_find(&m, &all);
	assert_int_equal(all.nr, 12);
	explain_says(explain_the(&all, "lock"), "(a lock convoy)");
	findings_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gil),
		cmocka_unit_test(test_gil_threshold),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_holder_doing),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_klock),
		cmocka_unit_test(test_serial_and_sync),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_no_reference),
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
