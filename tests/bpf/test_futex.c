// SPDX-License-Identifier: GPL-2.0-only
/*
 * Futex waits as the kernel side decodes them, against a program that says what it called (progs/futexes): every operation, its
 * arguments, what stood at the address, how the wait ended; nothing for a call that does not block. And the owner of a mutex in a
 * child's pid namespace. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/load.h"
#include "tests/bpf/one_trace.h"

#define MAX_CALLS 64
#define INITIAL_PID_NS 0xeffffffc

static void record(char *const *argv)
{
	need_bpf();
	if (one_command(argv).lost) {
		print_message("SKIP: records were lost\n");
		skip();
	}
}

/* ---- what was called, and what was seen ---- */

struct call {
	unsigned long address;
	uint32_t op, val, flags, why;
	char name[32];
};

struct seen {
	struct ev_futex rec;
	bool ended;
	uint32_t why;
};

static struct call call[MAX_CALLS];
static struct seen seen[4 * MAX_CALLS];
static size_t nr_calls, nr_seen;

static void read_calls(void)
{
	FILE *f = fopen(one_facts, "re");

	assert_non_null(f);
	nr_calls = 0;
	for (struct call *c = call; nr_calls < MAX_CALLS; c++, nr_calls++)
		if (fscanf(f, "%lx %x %x %x %x %31s", &c->address, &c->op, &c->val, &c->flags,
			   &c->why, c->name) != 6)
			break;
	fclose(f);
	assert_true(nr_calls >= 15);
}

/* The waits of all threads, and the wake-up of each. */
static int take(void *arg, const struct trace_event *ev)
{
	const struct ev_wake *wake = (const void *)ev->rec;

	(void)arg;
	if (EV_KIND(ev->rec[0]) == EV_FUTEX && nr_seen < 4 * MAX_CALLS) {
		seen[nr_seen++] = (struct seen){ .rec = *(const struct ev_futex *)ev->rec };
	} else if (EV_KIND(ev->rec[0]) == EV_WAKE) {
		for (size_t i = nr_seen; i-- > 0;) {
			if (seen[i].rec.who != wake->wakee)
				continue;
			if (!seen[i].ended)
				seen[i].why = wake->why;
			seen[i].ended = true;
			break;
		}
	}
	return 0;
}

/* The waits at a call's word: exactly one, or of a PI word and such as time limits, perhaps none: it was over before it blocked. */
static const struct seen *wait_of(const struct call *c)
{
	const struct seen *found = NULL;

	for (size_t i = 0; i < nr_seen; i++) {
		if (seen[i].rec.uaddr != c->address)
			continue;
		if (found)
			fail_msg("%s blocked more than once", c->name);
		found = &seen[i];
	}
	return found;
}

static void check_fields(const struct call *c, const struct ev_futex *rec)
{
	unsigned int flags = EV_FLAGS(rec->w0);

	if (rec->op != c->op || rec->val != c->val)
		fail_msg("%s: op %x val %x, not op %x val %x", c->name, rec->op, rec->val, c->op,
			 c->val);
	if ((flags & (FX_TIMEOUT | FX_VECTOR)) != c->flags)
		fail_msg("%s: flags %x, not %x", c->name, flags, c->flags);
	assert_true(flags & FX_READ && flags & FX_NEAR);
	if (strncmp(c->name, "lock_pi", 7)) {
		assert_int_equal(rec->word, c->val);
	} else {
		assert_true(rec->word & 0x80000000); /* FUTEX_WAITERS */
		assert_true(rec->word & 0x3fffffff);
	}
	/* the program numbered what stands beside the word */
	assert_int_equal(rec->near[0] & 0xfff, 1);
	assert_int_equal(rec->near[1], rec->near[0] + 1);
	assert_int_equal(rec->near[2], rec->near[0] + 2);
	assert_true(rec->pc != 0);
}

static void test_every_call(void **state)
{
	char *argv[] = { one_prog("futexes"), one_facts, NULL };
	struct loaded *l = NULL;
	struct err err = {};
	unsigned int missed = 0;

	(void)state;
	record(argv);
	read_calls();
	nr_seen = 0;
	if (load_open(one_trace, &l, &err) || load_run(l, take, NULL, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(ledger_malformed(l->ledger), 0);
	for (size_t i = 0; i < nr_calls; i++) {
		const struct call *c = &call[i];
		const struct seen *s = wait_of(c);

		if (!c->why) {
			assert_null(s); /* what does not block leaves nothing */
			continue;
		}
		if (!s)
			fail_msg("%s: no wait was seen", c->name);
		check_fields(c, &s->rec);
		missed += !s->ended;
		if (s->ended && s->why != c->why)
			fail_msg("%s: ended by %u, not %u", c->name, s->why, c->why);
	}
	/* a timer above PID 1 */
	assert_true(missed <= l->missed_wakeups);
	load_free(l);
}

/* ---- a pid namespace ---- */

struct threads {
	unsigned int inside, outside, first;
};

static int take_thread(void *arg, const struct trace_event *ev)
{
	const struct ev_thread *rec = (const void *)ev->rec;
	struct threads *t = arg;

	if (EV_KIND(ev->rec[0]) != EV_FORK && EV_KIND(ev->rec[0]) != EV_SNAP)
		return 0;
	if (rec->pid_ns == INITIAL_PID_NS) {
		assert_int_equal(rec->ns_tid, rec->tid);
		t->outside++;
		return 0;
	}
	assert_true(rec->pid_ns != 0);
	t->first += rec->ns_tid == 1;
	t->inside++;
	return 0;
}

static void test_namespace(void **state)
{
	/* it looks itself up in /proc */
	char *argv[] = { "timeout",
			 "-s",
			 "KILL",
			 "20",
			 "unshare",
			 "--pid",
			 "--fork",
			 "--kill-child",
			 "--mount-proc",
			 one_prog("locks"),
			 "one_holder",
			 "1",
			 "3",
			 "10",
			 NULL };
	struct threads threads = {};
	const struct lock *const *list;
	const struct lock *mutex = NULL;
	struct loaded *l = NULL;
	struct err err = {};
	uint64_t owned = 0;
	size_t nr;

	(void)state;
	record(argv);
	if (load_open(one_trace, &l, &err) || load_passes(l, PASS_LOCKS, &err) ||
	    load_run(l, take_thread, &threads, &err))
		fail_msg("%s", err.msg);
	assert_true(threads.outside >= 1 && threads.inside >= 3);
	assert_int_equal(threads.first, 1);
	list = locks_list(l->locks, &nr);
	for (size_t i = 0; i < nr && !mutex; i++)
		mutex = list[i]->kind == LOCK_MUTEX ? list[i] : NULL;
	assert_non_null(mutex);
	for (size_t i = 0; i < mutex->holder_ns.nr; i++)
		if ((mutex->holder_ns.list[i].key & 1) == LOCK_OWNER)
			owned += mutex->holder_ns.list[i].ns;
	if (owned < mutex->wait_ns / 10 * 9)
		fail_msg("an owner is known for %lu of %lu ns", owned, mutex->wait_ns);
	load_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_namespace),
	};

	return cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
}
