// SPDX-License-Identifier: GPL-2.0-only
/* Switch-outs of a thread that stays runnable: which counter of the kernel's they are, and whether run_delay counts the wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/audit.h"
#include "analysis/ledger.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void feed(struct ledger *l, uint64_t time, unsigned int cpu, void *rec, unsigned int kind,
		 unsigned int flags, size_t size)
{
	struct trace_event ev = { .time_ns = time, .cpu = cpu, .rec = rec };

	*(ev_u64 *)rec = EV_WORD0(time, size / 8, kind, flags);
	assert_int_equal(ledger_event(l, &ev), 0);
}

static void fork_one(struct ledger *l)
{
	struct ev_thread fork = { .who = 1, .tid = 7, .tgid = 7 };
	struct ev_wake wakeup = { .wakee = 1 };
	struct ev_switch in = { .next = 1 };

	feed(l, 100, 0, &fork, EV_FORK, 0, sizeof(fork));
	feed(l, 100, 0, &wakeup, EV_WAKEUP, WU_NEW, sizeof(wakeup));
	feed(l, 110, 0, &in, EV_SWITCH, 0, sizeof(in));
}

/* On a CPU 110..200, off it as the row says, moved or not at 250, on a CPU again 300..400, dead. */
static const struct row {
	const char *name;
	unsigned int flags, state;
	bool moved;
	uint64_t voluntary, involuntary, yields;
	uint64_t audit_runq_ns; /* 10 for the first wait, and what run_delay counts of the second */
	uint8_t nr;
	uint32_t left_ns; /* of its first time on a CPU no book has this: EV_UNBOOKED */
} rows[] = {
	{ "preempted", SW_RUNNABLE | SW_PREEMPT, 0, false, 1, 1, 0, 110, 1, 0 },
	{ "at a tick", SW_RUNNABLE, 0, false, 1, 1, 0, 110, 1, 0 },
	{ "sched_yield", SW_RUNNABLE, 0, false, 1, 1, 1, 110, 24, 0 },
	{ "kept by a signal", SW_RUNNABLE, SWR_VOLUNTARY, false, 2, 0, 0, 110, 1, 0 },
	{ "preempted before it could sleep", SW_RUNNABLE | SW_PREEMPT, SWR_NOT_RUNNING, false, 1, 1,
	  0, 10, 1, 0 },
	{ "the same, charged up to an old clock", SW_RUNNABLE | SW_PREEMPT, SWR_NOT_RUNNING, false,
	  1, 1, 0, 10, 1, 30 },
	{ "the same, and then moved", SW_RUNNABLE | SW_PREEMPT, SWR_NOT_RUNNING, true, 1, 1, 0, 60,
	  1, 0 },
};

static void run_row(const struct row *r)
{
	struct ev_switch out = { .prev = 1, .prev_seq = 1, .state = r->state, .how = { r->nr } };
	struct ev_switch in = { .next = 1, .next_seq = 1 };
	struct ev_switch dead = { .prev = 1, .prev_seq = 2, .state = EV_STATE_DEAD };
	struct ev_migrate move = { .who = 1, .to = 1 };
	struct ev_unbooked left = { .who = 1, .ns = r->left_ns };
	struct ev_books books = { .who = 1,
				  .nvcsw = r->voluntary,
				  .nivcsw = r->involuntary,
				  .nr_migrations = r->moved,
				  .exec_ns = 190 - r->left_ns,
				  .delay_ns = r->audit_runq_ns };
	const struct thread *t;
	struct audit audit;
	struct ledger *l;
	struct err err;

	print_message("%s\n", r->name);
	assert_int_equal(ledger_new(ARCH_X86_64, 2, &l, &err), 0);
	fork_one(l);
	if (r->left_ns)
		feed(l, 200, 0, &left, EV_UNBOOKED, UB_LEFT, sizeof(left));
	feed(l, 200, 0, &out, EV_SWITCH, r->flags, sizeof(out));
	if (r->moved)
		feed(l, 250, 0, &move, EV_MIGRATE, MG_QUEUED, sizeof(move));
	feed(l, 300, r->moved, &in, EV_SWITCH, 0, sizeof(in));
	feed(l, 400, r->moved, &dead, EV_SWITCH, 0, sizeof(dead));
	feed(l, 400, r->moved, &books, EV_BOOKS, BK_DEAD, sizeof(books));
	ledger_finish(l, 400);
	t = ledger_thread(l, 0);
	assert_int_equal(t->voluntary, r->voluntary);
	assert_int_equal(t->involuntary, r->involuntary);
	assert_int_equal(t->yields, r->yields);
	assert_int_equal(t->ledger_ns[CLASS_ONCPU], 190);
	assert_int_equal(t->ledger_ns[CLASS_RUNQ_PREEMPTED], 100);
	assert_int_equal(t->audited.runq_ns, r->audit_runq_ns);
	assert_int_equal(t->audited.left_ns, r->left_ns);
	audit_thread(t, &audit);
	assert_int_equal(audit.difference_ns, 0);
	ledger_free(l);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
