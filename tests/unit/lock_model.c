// SPDX-License-Identifier: GPL-2.0-only
/* Threads that take locks: see lock_model.h. */
#include "lock_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "random.h"

static uint32_t rnd(struct model *m, uint32_t below)
{
	return random_star(&m->random, below);
}

/* ---- what is recorded ---- */

static void put(struct model *m, unsigned int cpu, void *rec, unsigned int kind, unsigned int flags,
		size_t bytes)
{
	struct trace_event ev = { .time_ns = m->now, .cpu = cpu, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(m->now, bytes / 8, kind, flags);
	lock_run_event(&m->run, &ev);
}

static uint64_t address_of(const struct model *m, int lock)
{
	return m->gil ? m->gil_address : ADDRESS + 64 * (uint64_t)lock;
}

static void put_futex(struct model *m, unsigned int cpu, uint32_t who, int lock, bool forced)
{
	struct ev_futex rec = { .who = who, .pc = 1, .uaddr = address_of(m, lock) };
	unsigned int flags = FX_READ | FX_NEAR;

	rec.seq = (uint16_t)(m->task[who].seq + 1);
	if (m->gil) {
		rec.op = 393;
		rec.uaddr += forced ? 64 : 0;
	} else {
		rec.op = 128;
		rec.word = rec.val = 2;
		rec.near[0] = m->lock[lock].owner;
		rec.near[1] = 1;
	}
	if (m->task[who].timed && !forced)
		flags |= FX_TIMEOUT;
	put(m, cpu, &rec, EV_FUTEX, flags, sizeof(rec));
}

static uint32_t pick(struct model *m)
{
	for (uint32_t i = rnd(m, THREADS), n = 0; n < THREADS; n++, i++)
		if (m->task[i % THREADS + 1].doing == QUEUED)
			return i % THREADS + 1;
	return 0;
}

static void arrive(struct model *m, unsigned int cpu, uint32_t who);

static void leave(struct model *m, unsigned int cpu, enum doing doing)
{
	uint32_t who = m->on_cpu[cpu], next;
	bool runnable = doing == QUEUED;
	struct ev_switch rec = { .prev = who };

	m->task[who].doing = doing;
	next = pick(m);
	if (next == who && runnable) {
		m->task[who].doing = RUNS;
		return;
	}
	rec.next = next;
	rec.prev_seq = ++m->task[who].seq;
	rec.next_seq = m->task[next].seq;
	rec.state = runnable ? 0 : EV_STATE_INTERRUPTIBLE;
	rec.how[0] = doing == SLEEPS ? 230 : 202;
	put(m, cpu, &rec, EV_SWITCH, runnable ? SW_RUNNABLE | SW_PREEMPT : 0, sizeof(rec));
	m->on_cpu[cpu] = next;
	if (next)
		arrive(m, cpu, next);
}

static void put_wake(struct model *m, unsigned int cpu, uint32_t wakee, enum wake_why why)
{
	bool timer = why == WHY_TIMEOUT || why == WHY_NONE;
	struct ev_wake rec = { .wakee = wakee,
			       .waker = m->on_cpu[cpu],
			       .seq = m->task[wakee].seq,
			       .cpu = (uint16_t)cpu,
			       .why = why };

	if (m->unseen && !rnd(m, 10)) {
		rec.why = 0;
		put(m, cpu, &rec, EV_WAKEUP, WU_NO_WAKE, sizeof(rec));
	} else {
		put(m, cpu, &rec, EV_WAKE, WK_CONTEXT | (timer ? WK_HARDIRQ : 0), sizeof(rec));
	}
	m->task[wakee].doing = QUEUED;
}

/* ---- what is true ---- */

static struct moment *now_true(struct model *m, int lock)
{
	struct lock_model *l = &m->lock[lock];
	struct moment *last = l->nr_truth ? &l->truth[l->nr_truth - 1] : NULL;

	assert_true(l->nr_truth < MAX_TRUTH);
	if (last && last->from_ns == m->now)
		return last;
	l->truth[l->nr_truth] = last ? *last : (struct moment){ 0 };
	l->truth[l->nr_truth].from_ns = m->now;
	return &l->truth[l->nr_truth++];
}

static void take(struct model *m, int lock, uint32_t who)
{
	m->lock[lock].owner = who;
	m->task[who].holds++;
	m->task[who].wants = -1;
	now_true(m, lock)->holder = now_true(m, lock)->last = who;
}

static uint32_t unqueue(struct model *m, int lock, uint32_t who)
{
	struct lock_model *l = &m->lock[lock];

	for (size_t i = 0; i < l->nr; i++) {
		if (l->queue[i] != who)
			continue;
		memmove(l->queue + i, l->queue + i + 1, (l->nr - i - 1) * sizeof(*l->queue));
		l->nr--;
		return who;
	}
	return 0;
}

static void wake_first(struct model *m, unsigned int cpu, int lock)
{
	uint32_t first = m->lock[lock].nr ? m->lock[lock].queue[0] : 0;
	struct moment *moment = now_true(m, lock);

	moment->leaving &= ~(1ull << m->on_cpu[cpu]);
	if (!first)
		return;
	unqueue(m, lock, first);
	if (m->task[first].doing != WAITS)
		return; /* its limit has run out: the signal is lost to it */
	moment->given = first;
	put_wake(m, cpu, first, WHY_WOKEN);
}

static void wait_for(struct model *m, unsigned int cpu, int lock)
{
	uint32_t who = m->on_cpu[cpu];
	struct task *t = &m->task[who];

	t->wants = lock;
	t->timed = m->gil || !rnd(m, 8);
	t->forced = false;
	t->until_ns = m->now + (m->gil ? INTERVAL_NS : 1000 + rnd(m, 3000000));
	m->lock[lock].queue[m->lock[lock].nr++] = who;
	put_futex(m, cpu, who, lock, false);
	leave(m, cpu, WAITS);
}

/* take_gil(), pthread_mutex_lock(): what is done at once when the thread is on a CPU. */
static void try(struct model *m, unsigned int cpu, int lock)
{
	uint32_t who = m->on_cpu[cpu];
	bool slow = m->task[who].wants >= 0;

	unqueue(m, lock, who); /* whose limit has run out */
	if (m->lock[lock].word) {
		m->lock[lock].word = 2;
		wait_for(m, cpu, lock);
		return;
	}
	m->lock[lock].word = slow ? 2 : 1;
	take(m, lock, who);
	if (m->gil && m->forced) {
		put_wake(m, cpu, m->forced, WHY_WOKEN);
		m->forced = 0;
	}
}

static void arrive(struct model *m, unsigned int cpu, uint32_t who)
{
	struct task *t = &m->task[who];

	t->doing = RUNS;
	for (int lock = 0; lock < LOCKS; lock++)
		if (now_true(m, lock)->given == who)
			now_true(m, lock)->given = 0;
	if (t->given_up && !m->gil)
		t->wants = -1;
	else if (t->given_up)
		m->drop |= m->lock[t->wants].word != 0;
	t->given_up = false;
	if (t->wants >= 0)
		try(m, cpu, t->wants);
}

static void let_go(struct model *m, unsigned int cpu, int lock)
{
	uint32_t who = m->on_cpu[cpu];
	unsigned int word = m->lock[lock].word;

	m->lock[lock].word = 0;
	m->lock[lock].owner = 0;
	m->task[who].holds--;
	now_true(m, lock)->holder = 0;
	if (!m->gil && word < 2)
		return;
	now_true(m, lock)->leaving |= 1ull << who;
	if (m->races && !rnd(m, 4))
		m->task[who].wakes = lock;
	else
		wake_first(m, cpu, lock);
}

static void force_switch(struct model *m, unsigned int cpu)
{
	uint32_t who = m->on_cpu[cpu];

	m->drop = false;
	let_go(m, cpu, 0);
	m->task[who].wants = 0;
	m->task[who].forced = true;
	m->forced = who;
	put_futex(m, cpu, who, 0, true);
	leave(m, cpu, FORCED);
}

/* ---- what happens ---- */

static void sleep_a_while(struct model *m, unsigned int cpu)
{
	struct task *t = &m->task[m->on_cpu[cpu]];

	t->until_ns = m->now + 1000 + rnd(m, 2000000);
	leave(m, cpu, SLEEPS);
}

static void act(struct model *m, unsigned int cpu)
{
	struct task *t = &m->task[m->on_cpu[cpu]];
	int locks = m->gil ? 1 : LOCKS, lock;

	if (t->wakes >= 0) {
		lock = t->wakes;
		t->wakes = -1;
		wake_first(m, cpu, lock);
	} else if (m->gil && m->drop && t->holds) {
		force_switch(m, cpu);
	} else if (!rnd(m, 6)) {
		leave(m, cpu, QUEUED);
	} else if (!rnd(m, 10) && !(m->gil && t->holds)) {
		sleep_a_while(m, cpu);
	} else if ((int)t->holds < locks && !rnd(m, m->gil ? 2 : 3)) {
		try(m, cpu, (int)t->holds);
	} else if (t->holds && !rnd(m, m->gil ? 60 : 3)) {
		let_go(m, cpu, (int)t->holds - 1);
	}
}

static void timers(struct model *m, unsigned int cpu)
{
	for (uint32_t who = 1; who <= THREADS; who++) {
		struct task *t = &m->task[who];
		bool waits = t->doing == WAITS && t->timed;

		if (t->until_ns > m->now || (!waits && t->doing != SLEEPS))
			continue;
		put_wake(m, cpu, who, waits ? WHY_TIMEOUT : WHY_NONE);
		t->given_up = waits;
		/* in a condition variable it stays among those who wait until it is on a CPU */
		if (waits && !m->gil)
			unqueue(m, t->wants, who);
		m->now++;
	}
}

static void signal_one(struct model *m, unsigned int cpu)
{
	uint32_t who = 1 + rnd(m, THREADS);
	struct task *t = &m->task[who];

	if (m->gil || t->doing != WAITS || !m->on_cpu[cpu])
		return;
	unqueue(m, t->wants, who);
	put_wake(m, cpu, who, WHY_SIGNAL);
}

void lock_model_step(struct model *m)
{
	unsigned int cpu = rnd(m, CPUS);
	struct ev_switch rec = { 0 };

	m->now += 1 + rnd(m, rnd(m, 4) ? 20000 : 400000);
	timers(m, cpu);
	if (!rnd(m, 40))
		signal_one(m, cpu);
	if (m->on_cpu[cpu]) {
		act(m, cpu);
		return;
	}
	rec.next = pick(m);
	if (!rec.next)
		return;
	rec.next_seq = m->task[rec.next].seq;
	put(m, cpu, &rec, EV_SWITCH, 0, sizeof(rec));
	m->on_cpu[cpu] = rec.next;
	arrive(m, cpu, rec.next);
}

void lock_model_begin(struct model *m)
{
	for (uint32_t who = 1; who <= THREADS; who++) {
		struct ev_thread rec = { .who = who, .tid = who, .tgid = 1, .ns_tid = who };

		m->task[who].doing = who <= CPUS ? RUNS : QUEUED;
		m->task[who].wants = m->task[who].wakes = -1;
		put(m, who <= CPUS ? who - 1 : 0, &rec, EV_SNAP, who <= CPUS ? SN_ON_CPU : 0,
		    sizeof(rec));
		if (who <= CPUS)
			m->on_cpu[who - 1] = who;
	}
}
