// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler probe on this kernel, by record_run() and load_trace() in this process: what happens when a buffer is too small,
 * that the recorder is never in its own trace, that an interrupt is told from a thread as a waker, what a snapshot knows.
 * The programs are those of tests/e2e/progs. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "probes/probe.h"
#include "tests/bpf/one_trace.h"

#define SMALLEST (64u << 10)

/* known WORKLOAD [A [B]] with buffers of that size. */
static struct record_result record_known(size_t buffer_bytes, const char *workload, const char *a,
					 const char *b)
{
	char *argv[] = { one_prog("known"), (char *)workload, (char *)a, (char *)b, NULL };
	struct record_options opts = { .what = RECORD_COMMAND,
				       .argv = argv,
				       .buffer_bytes = buffer_bytes };
	struct record_result result = one_record(opts);

	assert_int_equal(result.exit_status, 0);
	return result;
}

static uint64_t sum(const uint64_t *ns)
{
	uint64_t total = 0;

	for (int c = 0; c < CLASS_NR; c++)
		total += ns[c];
	return total;
}

static void show_difference(const struct thread *t, const struct audit *a)
{
	print_message(
		"%s/%u: voluntary %lu %lu, involuntary %lu %lu, migrations %lu %lu, time off by %ld of %lu\n",
		t->comm, t->tid, a->voluntary[0], a->voluntary[1], a->involuntary[0],
		a->involuntary[1], a->migrated[0], a->migrated[1], a->difference_ns,
		a->tolerance_ns);
}

/*
 * Every ledger sums to the thread's life, every count is the kernel's. A time may be off by a little more than the tolerance: what
 * lies between the kernel's clock update and the tracepoint, some 20 us, shows in a thread that lives for a millisecond.
 */
static void assert_exact(const struct loaded *l)
{
	unsigned int wrong = 0;

	assert_true(l->nr_threads > 0);
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		struct audit a;

		assert_int_equal(sum(t->ledger_ns), t->end_ns - t->start_ns);
		audit_thread(t, &a);
		if (a.switches != AUDIT_DIFFERS && a.migrations != AUDIT_DIFFERS &&
		    (a.time != AUDIT_DIFFERS ||
		     labs(a.difference_ns) <= (long)a.tolerance_ns + 100000))
			continue;
		show_difference(t, &a);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* ---- nothing lost ---- */

static void test_nothing_lost(void **state)
{
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	result = record_known(0, "sleeps", "50", "2000");
	assert_int_equal(result.lost, 0);
	l = one_load();
	assert_exact(l);
	assert_int_equal(l->lost_events, 0);
	assert_int_equal(l->nr_threads, 1);
	assert_true(l->threads[0]->ended);
	assert_true(l->threads[0]->ledger_ns[CLASS_SLEEP] >= 50 * 1800000ull);
	assert_int_equal(l->threads[0]->ledger_ns[CLASS_UNTRACKED], 0);
	load_free(l);
}

/* ---- many threads ---- */

/* A chain of that many processes, all there at one time, with room for so many. */
static struct loaded *record_chain(const char *length, unsigned int max_threads,
				   struct record_result *ret)
{
	char *argv[] = { one_prog("known"), (char *)"chain", (char *)length, NULL };
	struct record_options opts = { .what = RECORD_COMMAND,
				       .argv = argv,
				       .max_threads = max_threads };

	*ret = one_record(opts);
	assert_int_equal(ret->exit_status, 0);
	return one_load();
}

/* 180 in a table of 256: a good part is not where the hash of their address says. */
static void test_crowded(void **state)
{
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	l = record_chain("179", 256, &result);
	assert_int_equal(result.lost, 0);
	assert_int_equal(l->nr_threads, 180);
	assert_exact(l);
	for (size_t i = 0; i < l->nr_threads; i++)
		assert_true(l->threads[i]->ended);
	load_free(l);
}

/* Those who end make room for those who come. */
static void test_one_after_another(void **state)
{
	char *argv[] = { one_prog("known"), (char *)"forks", (char *)"200", NULL };
	struct record_options opts = { .what = RECORD_COMMAND, .argv = argv, .max_threads = 16 };
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	result = one_record(opts);
	assert_int_equal(result.lost, 0);
	l = one_load();
	assert_int_equal(l->nr_threads, 201);
	assert_exact(l);
	load_free(l);
}

/* More than there is room for: counted, and the others' accounts are right. */
static void test_too_many(void **state)
{
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	l = record_chain("99", 64, &result);
	assert_true(l->nr_threads >= 64 && l->nr_threads < 100);
	assert_true(result.lost > 0);
	assert_int_equal(l->lost_events, result.lost);
	assert_exact(l);
	load_free(l);
}

/* ---- overflow ---- */

static void assert_spans(const struct loaded *l)
{
	size_t nr;
	const struct lost_span *span = ledger_lost(l->ledger, &nr);
	uint64_t counted = 0;

	assert_true(nr > 0);
	for (size_t i = 0; i < nr; i++) {
		uint64_t n = span[i].count[DROP_FULL] + span[i].count[DROP_STORAGE];

		assert_true(span[i].first_ns <= span[i].last_ns);
		assert_true(span[i].last_ns <= l->meta.ended_ns + 100 * NSEC_PER_MSEC);
		assert_true(n > 0);
		counted += n;
	}
	assert_int_equal(counted, l->lost_events);
	/* the program is quiet for its first 400 ms; what others do meanwhile may be lost too */
	assert_true(span[nr - 1].last_ns > l->begin_ns + 400 * NSEC_PER_MSEC);
}

/*
 * A lost event widens `untracked`, it never makes a wrong class: against the kernel's own books no thread was on a CPU, or
 * switched, more than it really was.
 */
static void assert_nothing_invented(const struct loaded *l)
{
	uint64_t untracked = 0, lost_switches = 0;

	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		struct audit a;

		audit_thread(t, &a);
		untracked += t->ledger_ns[CLASS_UNTRACKED];
		if (a.all == AUDIT_NONE)
			continue;
		assert_true(a.voluntary[0] <= a.voluntary[1]);
		assert_true(a.involuntary[0] <= a.involuntary[1]);
		assert_true(a.migrated[0] <= a.migrated[1]);
		assert_true(a.oncpu_ns[0] <= a.oncpu_ns[1] + a.steal_ns + a.tolerance_ns);
		lost_switches += (uint64_t)a.missed_switches;
	}
	assert_true(untracked > 0);
	assert_true(lost_switches > 0);
}

static void test_overflow(void **state)
{
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	result = record_known(SMALLEST, "bursts", "3", "8000");
	if (!result.lost) { /* the recorder was in time: that can be, but is of no use here */
		print_message("SKIP: nothing was lost\n");
		skip();
	}
	l = one_load();
	assert_exact(l);
	assert_int_equal(l->lost_events, result.lost);
	assert_int_equal(l->meta.dropped_full, result.lost);
	assert_spans(l);
	assert_nothing_invented(l);
	load_free(l);
}

/* The same program with room: all of its switches are there, so the test above loses them by the size alone. */
static void test_same_without_overflow(void **state)
{
	struct record_result result;
	struct loaded *l;

	(void)state;
	need_bpf();
	result = record_known(32u << 20, "bursts", "3", "8000");
	assert_int_equal(result.lost, 0);
	l = one_load();
	assert_exact(l);
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];

		assert_true(t->ended);
		if (!l->missed_switches && !l->missed_wakeups)
			assert_int_equal(t->ledger_ns[CLASS_UNTRACKED], 0);
	}
	load_free(l);
}

/* ---- the recorder itself ---- */

static void test_never_itself(void **state)
{
	char *argv[] = { one_prog("known"), (char *)"burn", (char *)"50", NULL };
	struct record_options opts = { .what = RECORD_ALL, .argv = argv };
	bool kernel_threads = false, command = false;
	struct loaded *l;

	(void)state;
	need_bpf();
	one_record(opts);
	l = one_load();
	assert_exact(l);
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];

		assert_int_not_equal(t->tgid, getpid());
		kernel_threads |= t->kthread;
		command |= !strcmp(t->comm, "known") &&
			   t->ledger_ns[CLASS_ONCPU] >= 45 * NSEC_PER_MSEC;
	}
	assert_true(kernel_threads);
	assert_true(command);
	load_free(l);
}

/* ---- wakers ---- */

struct wakes {
	uint64_t all, known, hard, soft, by_task;
	uint64_t sleeps; /* waits of the class sleep, all threads */
};

static int count_wake(void *arg, const struct trace_event *ev)
{
	struct wakes *w = arg;
	const struct ev_wake *rec = (const struct ev_wake *)ev->rec;
	unsigned int flags = EV_FLAGS(rec->w0);

	if (EV_KIND(rec->w0) != EV_WAKE || rec->wakee & WHO_UNTRACKED)
		return 0;
	w->all++;
	if (!(flags & WK_CONTEXT))
		return 0;
	w->known++;
	w->hard += (flags & WK_HARDIRQ) != 0;
	w->soft += !(flags & WK_HARDIRQ) && flags & WK_SOFTIRQ;
	w->by_task += !(flags & (WK_HARDIRQ | WK_SOFTIRQ));
	return 0;
}

static struct wakes count_wakes(uint64_t *ret_missed)
{
	struct wakes w = {};
	struct loaded *l = NULL;
	struct err err = {};

	if (load_open(one_trace, &l, &err) || load_run(l, count_wake, &w, &err))
		fail_msg("%s", err.msg);
	*ret_missed = l->missed_wakeups;
	for (size_t i = 0; i < l->nr_threads; i++)
		w.sleeps += l->threads[i]->waits[CLASS_SLEEP];
	load_free(l);
	if (!w.known && w.all) {
		print_message("SKIP: this kernel does not tell the context of a wake-up\n");
		skip();
	}
	return w;
}

static void test_timers_wake_in_interrupts(void **state)
{
	struct wakes w;
	uint64_t missed;

	(void)state;
	need_bpf();
	record_known(0, "sleeps", "100", "1000");
	w = count_wakes(&missed);
	assert_int_equal(w.known, w.all);
	/* A virtual CPU that is away for the whole millisecond finds the timer expired, and never sleeps. */
	assert_true(w.sleeps >= 80 && w.sleeps <= 100);
	assert_true(w.hard + missed >= w.sleeps);
	assert_true(w.by_task <= 10); /* its exec, a page */
}

static void test_threads_wake_as_threads(void **state)
{
	struct wakes w;
	uint64_t missed;

	(void)state;
	need_bpf();
	record_known(0, "pingpong", "500", NULL);
	w = count_wakes(&missed);
	assert_int_equal(w.known, w.all);
	assert_true(w.by_task >= 400);
	assert_true(w.hard + w.soft <= w.all / 2);
}

/* ---- the snapshot ---- */

static void test_blocked_from_the_start(void **state)
{
	struct record_options opts = { .what = RECORD_PIDS,
				       .nr_ids = 1,
				       .duration_ns = 200 * NSEC_PER_MSEC };
	const struct thread *t;
	struct loaded *l;
	int fds[2];
	pid_t pid;

	(void)state;
	need_bpf();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		char byte;

		_exit(read(fds[0], &byte, 1) != 1);
	}
	usleep(50000);
	opts.ids = &pid;
	one_record(opts);
	assert_int_equal(write(fds[1], "", 1), 1);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	l = one_load();
	assert_exact(l);
	assert_int_equal(l->nr_threads, 1);
	t = one_thread(l, (uint32_t)pid);
	assert_non_null(t);
	assert_int_equal(t->ledger_ns[CLASS_IO], t->end_ns - t->start_ns);
	assert_true(t->ledger_ns[CLASS_IO] >= 150 * NSEC_PER_MSEC);
	assert_false(t->ended);
	load_free(l);
}

/* It ran before the recording and never leaves the CPU by itself: its first moments may be unknown, no class may be invented. */
static void test_running_from_the_start(void **state)
{
	struct record_options opts = { .what = RECORD_PIDS,
				       .nr_ids = 1,
				       .duration_ns = 300 * NSEC_PER_MSEC };
	const struct thread *t;
	struct loaded *l;
	uint64_t ready;
	pid_t pid;

	(void)state;
	need_bpf();
	pid = one_burner();
	opts.ids = &pid;
	one_record(opts);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	l = one_load();
	assert_exact(l);
	t = one_thread(l, (uint32_t)pid);
	assert_non_null(t);
	ready = t->ledger_ns[CLASS_ONCPU] + t->ledger_ns[CLASS_RUNQ_PREEMPTED] +
		t->ledger_ns[CLASS_RUNQ_WAKEUP] + t->ledger_ns[CLASS_UNTRACKED];
	assert_int_equal(ready, t->end_ns - t->start_ns);
	assert_true(t->ledger_ns[CLASS_ONCPU] > 0);
	load_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_lost),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_one_after_another),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_same_without_overflow),
		cmocka_unit_test(test_never_itself),
		cmocka_unit_test(test_timers_wake_in_interrupts),
		cmocka_unit_test(test_threads_wake_as_threads),
		cmocka_unit_test(test_blocked_from_the_start),
		cmocka_unit_test(test_running_from_the_start),
	};

	return cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
}
