// SPDX-License-Identifier: GPL-2.0-only
/*
 * The account of locks over random streams (sched_sim.h), and over garbage:
 *
 *   every stream      what lock_check.h says; what has a class truly was in that class then, also where records are dropped
 *   garbage           the same sums; it ends
 *   many locks        beyond the bound they are one, and the sums are exact
 *   many waiters      a long queue at one lock, each waiting for all the others: the work stays bounded, and the sums exact
 *
 * A failure prints the seed. SEEDS=n takes n seeds of each kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock_check.h"
#include "random.h"
#include "sched_sim.h"
#include "trace/kinds.h"

struct check {
	struct sim_options opt;
	struct sim_result sim;
	struct lock_run run;
	size_t at[SIM_SERIALS]; /* the truth's interval that is compared now */
	uint64_t known_ns, lock_ns, held_ns;
};

static unsigned int seeds(void)
{
	const char *text = getenv("SEEDS");

	return text ? (unsigned int)atoi(text) : 300;
}

/* A dropped EV_WAKEUP that alone says that the quota is used up leaves no gap. */
static bool may_be(const struct check *c, enum ledger_class class, enum ledger_class truly)
{
	return class == truly ||
	       (c->opt.drops && class == CLASS_RUNQ_WAKEUP && truly == CLASS_THROTTLED);
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct check *c = arg;
	const struct sim_thread *th = &c->sim.thread[t->serial];
	size_t *at = &c->at[t->serial];

	if (class == CLASS_UNTRACKED || (th->hole_ns && to_ns > th->hole_ns))
		return;
	while (from_ns < to_ns) {
		const struct sim_interval *i = &th->interval[*at];

		assert_true(*at < th->nr);
		if (i->to_ns <= from_ns) {
			++*at;
			continue;
		}
		if (!may_be(c, class, i->class))
			fail_msg("seed %" PRIu64 ": thread %u is in %s at %" PRIu64 "-%" PRIu64
				 ", truly %s from %" PRIu64,
				 c->opt.seed, t->serial, class_name(class), from_ns, to_ns,
				 class_name(i->class), i->from_ns);
		from_ns = i->to_ns;
	}
}

static void add_known(struct check *c)
{
	size_t nr;
	const struct lock *const *list = locks_list(c->run.locks, &nr);

	for (size_t i = 0; i < nr; i++) {
		c->lock_ns += list[i]->wait_ns;
		c->held_ns += list[i]->wait_ns - list[i]->doing_ns[LOCK_DOING_UNKNOWN];
	}
}

static void one_stream(struct check *c, size_t history)
{
	char name[32];

	memset(c->at, 0, sizeof(c->at));
	sim_run(&c->opt, &c->sim);
	lock_run_begin(&c->run, SIM_CPUS, history);
	ledger_watch(c->run.ledger, on_interval, c);
	for (size_t i = 0; i < c->sim.nr; i++) {
		const struct sim_event *e = &c->sim.event[i];
		struct trace_event ev = { .time_ns = e->time_ns, .cpu = e->cpu, .rec = e->rec };

		lock_run_event(&c->run, &ev);
	}
	lock_run_end(&c->run, c->sim.end_ns);
	snprintf(name, sizeof(name), "seed %" PRIu64, c->opt.seed);
	lock_run_check(&c->run, name);
	add_known(c);
	lock_run_free(&c->run);
	sim_free(&c->sim);
}

static void streams(bool drops, bool ties, bool holes, size_t history, double least_known)
{
	struct check c = { 0 };

	for (unsigned int seed = 0; seed < seeds(); seed++) {
		c.opt = (struct sim_options){ .seed = seed,
					      .steps = 2000,
					      .drops = drops,
					      .ties = ties,
					      .holes = holes,
					      .locks = true };
		one_stream(&c, history);
	}
	assert_true(c.lock_ns > 0);
	if ((double)c.held_ns < least_known * (double)c.lock_ns)
		fail_msg("of %" PRIu64 " ns only %" PRIu64 " have a holder", c.lock_ns, c.held_ns);
}

static void test_whole(void **state)
{
	(void)state;
	streams(false, false, false, HISTORY_DEFAULT, 0.3);
}

static void test_ties(void **state)
{
	(void)state;
	streams(false, true, false, HISTORY_DEFAULT, 0.3);
}

static void test_missed(void **state)
{
	(void)state;
	streams(false, false, true, HISTORY_DEFAULT, 0.2);
}

static void test_dropped(void **state)
{
	(void)state;
	streams(true, false, false, HISTORY_DEFAULT, 0.05);
}

static void test_all_at_once(void **state)
{
	(void)state;
	streams(true, true, true, HISTORY_DEFAULT, 0);
}

/* Of the history little is kept. */
static void test_forgotten(void **state)
{
	(void)state;
	streams(false, false, false, 64, 0);
}

/* ---- garbage ---- */

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	return random_star(&random_state, below);
}

/* Any kind; small numbers in all places, so that some of it fits together. */
static void garbage(uint64_t rec[EV_MAX_WORDS], uint64_t now)
{
	static const unsigned char kinds[] = { EV_SWITCH, EV_SWITCH, EV_SWITCH, EV_WAKE,  EV_WAKE,
					       EV_FUTEX,  EV_FUTEX,  EV_KLOCK,  EV_WAKEUP };
	unsigned int kind = rnd(4) ? kinds[rnd(sizeof(kinds))] : rnd(32);

	for (unsigned int i = 1; i < EV_MAX_WORDS; i++)
		rec[i] = rnd(8) ? rnd(12) | (uint64_t)rnd(6) << 32 | (uint64_t)rnd(3) << 48 :
				  (uint64_t)rnd(UINT32_MAX) << 33 | rnd(UINT32_MAX);
	if (kind == EV_SWITCH && rnd(4)) {
		rec[2] &= ~0xffffffffull;
		rec[2] |= EV_STATE_INTERRUPTIBLE | (uint64_t)EV_HOW(202, 0, 0) << 8;
	}
	if (kind == EV_FUTEX && rnd(2))
		rec[4] = 6;
	rec[0] = EV_WORD0(now, kind < EV_KIND_NR && rnd(50) ? trace_kind_words[kind] : 1 + rnd(30),
			  kind, rnd(64));
}

static void test_garbage(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 20; seed++) {
		uint64_t rec[EV_MAX_WORDS], now = 5;
		struct trace_event ev = { .rec = rec };
		struct lock_run run;
		char name[32];

		random_state = (seed + 1) * 0x9e3779b97f4a7c15ull;
		lock_run_begin(&run, SIM_CPUS, seed % 2 ? HISTORY_DEFAULT : 1u << 14);
		for (unsigned int i = 0; i < 20000; i++) {
			now += rnd(20) ? rnd(50) : 0;
			ev.time_ns = rnd(30) ? now : rnd(1000);
			ev.cpu = rnd(SIM_CPUS + !rnd(100));
			garbage(rec, ev.time_ns);
			lock_run_event(&run, &ev);
		}
		lock_run_end(&run, now);
		snprintf(name, sizeof(name), "garbage %u", seed);
		lock_run_check(&run, name);
		lock_run_free(&run);
	}
}

/* ---- a long queue ---- */

struct feed {
	struct lock_run *run;
	uint64_t now;
	uint16_t *seq;
};

static void put(struct feed *f, void *rec, unsigned int kind, unsigned int flags, size_t bytes)
{
	struct trace_event ev = { .time_ns = f->now, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(f->now, bytes / 8, kind, flags);
	lock_run_event(f->run, &ev);
}

static void put_switch(struct feed *f, uint32_t prev, uint32_t next)
{
	struct ev_switch rec = { .prev = prev, .next = next, .state = EV_STATE_INTERRUPTIBLE };

	rec.how[0] = 202;
	rec.prev_seq = prev ? ++f->seq[prev] : 0;
	rec.next_seq = next ? f->seq[next] : 0;
	put(f, &rec, EV_SWITCH, 0, sizeof(rec));
}

static void put_wait_at(struct feed *f, uint32_t who, uint64_t address)
{
	struct ev_futex rec = { .who = who, .uaddr = address, .pc = 1, .op = 6 };

	rec.seq = (uint16_t)(f->seq[who] + 1);
	put(f, &rec, EV_FUTEX, FX_READ, sizeof(rec));
}

static void put_wait(struct feed *f, uint32_t who)
{
	put_wait_at(f, who, 4096);
}

/* Thread 1 has it; the others queue up. Who has it runs for 10 ns, gives it to the first in the queue and joins the end. */
static void queue(unsigned int threads, unsigned int rounds)
{
	struct lock_run run;
	struct feed f = { .run = &run, .now = 100, .seq = calloc(threads + 1, sizeof(*f.seq)) };
	const struct lock *const *list;
	uint64_t unknown;
	size_t nr;

	lock_run_begin(&run, 1, HISTORY_DEFAULT);
	for (uint32_t who = 1; who <= threads; who++) {
		struct ev_thread rec = { .who = who, .tid = who, .tgid = 1, .ns_tid = who };

		put(&f, &rec, EV_SNAP, who == 1 ? SN_ON_CPU : 0, sizeof(rec));
		if (who == 1)
			continue;
		put_switch(&f, 0, who);
		put_wait(&f, who);
		put_switch(&f, who, 0);
	}
	for (unsigned int i = 0; i < rounds; i++) {
		uint32_t who = 1 + i % threads, next = 1 + (i + 1) % threads;
		struct ev_wake wake = {
			.wakee = next, .waker = who, .seq = f.seq[next], .why = WHY_WOKEN
		};

		f.now += 10;
		put(&f, &wake, EV_WAKE, WK_CONTEXT, sizeof(wake));
		put_wait(&f, who);
		put_switch(&f, who, next);
	}
	lock_run_end(&run, f.now);
	lock_run_check(&run, "queue");
	list = locks_list(run.locks, &nr);
	assert_int_equal(nr, 1);
	unknown = list[0]->doing_ns[LOCK_DOING_UNKNOWN];
	/* but for what is waited for still, of which nobody has shown that it had it */
	if (threads < 1000)
		assert_true(unknown <= 10ull * threads);
	assert_true(list[0]->convoys >= rounds - threads);
	lock_run_free(&run);
	free(f.seq);
}

static void test_queue(void **state)
{
	(void)state;
	queue(3, 3000);
	queue(100, 10000);
	queue(5000, 20000);
}

/* ---- more locks than are told apart ---- */

static void test_many_locks(void **state)
{
	const unsigned int many = 70000, told = 65536;
	uint16_t seq[3] = { 0 };
	struct lock_run run;
	struct feed f = { .run = &run, .now = 100, .seq = seq };
	const struct lock *const *list;
	uint64_t waits = 0;
	size_t nr;

	(void)state;
	lock_run_begin(&run, 1, HISTORY_DEFAULT);
	put_switch(&f, 0, 1);
	for (unsigned int i = 0; i < many; i++) {
		struct ev_wake wake = { .wakee = 1, .waker = 2, .why = WHY_WOKEN };

		f.now += 10;
		put_wait_at(&f, 1, 4096 + 64ull * i);
		put_switch(&f, 1, 2);
		wake.seq = seq[1];
		f.now += 5;
		put(&f, &wake, EV_WAKE, WK_CONTEXT, sizeof(wake));
		put_switch(&f, 2, 1);
	}
	lock_run_end(&run, f.now);
	lock_run_check(&run, "many locks");
	list = locks_list(run.locks, &nr);
	assert_int_equal(nr, told + 1);
	assert_true(list[0]->overflow);
	assert_int_equal(list[0]->waits, many - told);
	for (size_t i = 0; i < nr; i++)
		waits += list[i]->waits;
	assert_int_equal(waits, many);
	lock_run_free(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),       cmocka_unit_test(test_ties),
		cmocka_unit_test(test_missed),      cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_all_at_once), cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_garbage),     cmocka_unit_test(test_queue),
		cmocka_unit_test(test_many_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
