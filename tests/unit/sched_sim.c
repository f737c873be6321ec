// SPDX-License-Identifier: GPL-2.0-only
/* A small scheduler that knows the truth: see sched_sim.h. */
#include "sched_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "random.h"

enum doing { FREE, NEW, QUEUED, RUNNING, ASLEEP };

struct task {
	enum doing doing;
	uint32_t serial;
	uint32_t tid, tgid;
	uint16_t seq;
	unsigned int cpu; /* where it ran last or was put */
	bool wakeup_due;  /* woken, not yet enqueued: EV_WAKEUP is to come */
	bool wake_seen;   /* a probe saw the wake-up (else EV_MISSED) */
	bool in_seen;     /* a probe saw the switch-in */
	bool exiting;
	uint64_t enqueued_ns, in_ns, since_ns;
	uint64_t hole_ns; /* of the last event that no probe saw */
	enum ledger_class class;
	uint64_t exec_ns, delay_ns;
	uint64_t moved_ns; /* of its wait on the run queue, what no book has */
};

struct cpu {
	struct task *running; /* NULL: idle */
	unsigned int full;    /* records that it will still drop */
	uint64_t lost_first, lost_last, lost;
	uint64_t order;
};

struct sim {
	const struct sim_options *opt;
	struct sim_result *out;
	uint64_t random, now;
	bool tied; /* the last step had the time of the one before it */
	struct task task[SIM_SLOTS];
	struct cpu cpu[SIM_CPUS];
};

static uint32_t rnd(struct sim *s, uint32_t below)
{
	return random_star(&s->random, below);
}

static void append(struct sim *s, unsigned int cpu, const void *rec, size_t bytes)
{
	struct sim_result *out = s->out;
	struct sim_event *ev;

	if (vec_room(&out->event, &out->cap, out->nr + 1))
		abort();
	ev = &out->event[out->nr++];
	memset(ev, 0, sizeof(*ev));
	ev->time_ns = s->now;
	ev->cpu = cpu;
	ev->order = s->cpu[cpu].order++;
	memcpy(ev->rec, rec, bytes);
}

static void tell_lost(struct sim *s, unsigned int cpu)
{
	struct cpu *c = &s->cpu[cpu];
	struct ev_lost rec = {
		.w0 = EV_WORD0(s->now, EV_WORDS_OF(rec), EV_LOST, 0),
		.first_time = c->lost_first,
		.last_time = c->lost_last,
		.count = { [DROP_FULL] = c->lost },
	};

	if (!c->lost)
		return;
	append(s, cpu, &rec, sizeof(rec));
	c->lost = 0;
}

static void put(struct sim *s, unsigned int cpu, void *rec, unsigned int kind, unsigned int flags,
		size_t bytes)
{
	struct cpu *c = &s->cpu[cpu];

	*(uint64_t *)rec = EV_WORD0(s->now, bytes / 8, kind, flags);
	if (s->opt->drops && !c->full && !rnd(s, 60))
		c->full = 1 + rnd(s, rnd(s, 3) ? 4 : 40);
	if (c->full) {
		c->full--;
		if (!c->lost++)
			c->lost_first = s->now;
		c->lost_last = s->now;
		s->out->dropped++;
		return;
	}
	tell_lost(s, cpu);
	append(s, cpu, rec, bytes);
}

static struct sim_thread *truth(struct sim *s, const struct task *t)
{
	return &s->out->thread[t->serial];
}

/* The truth: from now on the task is in `class`. */
static void become(struct sim *s, struct task *t, enum ledger_class class)
{
	struct sim_thread *th = truth(s, t);

	if (s->now > t->since_ns) {
		if (vec_room(&th->interval, &th->cap, th->nr + 1))
			abort();
		th->interval[th->nr++] = (struct sim_interval){ t->since_ns, s->now, t->class };
		th->ledger_ns[t->class] += s->now - t->since_ns;
	}
	t->since_ns = s->now;
	t->class = class;
}

static void put_wake(struct sim *s, struct task *t, unsigned int cpu, unsigned int kind,
		     unsigned int flags)
{
	struct ev_wake rec = { .wakee = t->serial, .seq = t->seq, .cpu = (uint16_t)t->cpu };
	const struct task *by = s->cpu[cpu].running;

	if (s->opt->locks)
		rec.why = rnd(s, WHY_SIGNAL + 1);
	/* Who runs there does it, or one time in four an interrupt. */
	if (kind == EV_WAKE) {
		rec.waker = by ? by->serial : 0;
		flags |= WK_CONTEXT | (by && s->now & 3 ? 0 : WK_HARDIRQ);
	}
	put(s, cpu, &rec, kind, flags, sizeof(rec));
}

static void put_books(struct sim *s, struct task *t, unsigned int cpu, unsigned int flags)
{
	struct sim_thread *th = truth(s, t);
	struct ev_books rec = {
		.who = t->serial,
		.nvcsw = th->voluntary,
		.nivcsw = th->involuntary,
		.nr_migrations = th->migrations,
		.exec_ns = t->exec_ns,
		.delay_ns = t->delay_ns,
	};

	put(s, cpu, &rec, EV_BOOKS, flags, sizeof(rec));
}

static void tick(struct sim *s)
{
	s->tied = s->opt->ties && !s->tied && !rnd(s, 3);
	if (s->tied)
		return;
	s->now += 1 + rnd(s, rnd(s, 8) ? 300 : 20000);
}

static struct task *task_new(struct sim *s)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct task *t = &s->task[i];

		if (t->doing != FREE || s->out->nr_serials + 1 >= SIM_SERIALS)
			continue;
		memset(t, 0, sizeof(*t));
		t->serial = ++s->out->nr_serials;
		t->tid = 100 + i; /* reused: by the slot */
		t->tgid = sim_tgid(t->serial);
		t->since_ns = s->now;
		t->class = CLASS_RUNQ_WAKEUP;
		t->wake_seen = true;
		t->in_seen = true;
		truth(s, t)->start_ns = s->now;
		return t;
	}
	return NULL;
}

static void do_fork(struct sim *s, unsigned int cpu)
{
	struct task *parent = s->cpu[cpu].running, *t = parent ? task_new(s) : NULL;
	struct ev_thread rec = { 0 };

	if (!t)
		return;
	t->doing = NEW;
	t->cpu = rnd(s, SIM_CPUS);
	rec.who = t->serial;
	rec.parent = parent->serial;
	rec.tid = t->tid;
	rec.tgid = t->tgid;
	rec.ns_tid = t->tid;
	put(s, cpu, &rec, EV_FORK, 0, sizeof(rec));
}

/* On the run queue of t->cpu from now on. */
static void enqueue(struct sim *s, struct task *t)
{
	t->doing = QUEUED;
	t->wakeup_due = false;
	t->enqueued_ns = s->now;
}

static void do_wakeup(struct sim *s, struct task *t, unsigned int cpu)
{
	bool throttled = !rnd(s, 12);
	unsigned int flags = throttled ? WU_THROTTLED : 0;

	if (t->doing == NEW)
		flags |= WU_NEW;
	put_wake(s, t, cpu, EV_WAKEUP, flags);
	if (throttled)
		become(s, t, CLASS_THROTTLED);
	enqueue(s, t);
}

static void do_wake(struct sim *s, struct task *t, unsigned int cpu)
{
	if (s->opt->holes && !rnd(s, 6)) {
		t->wake_seen = false;
		t->hole_ns = s->now;
		become(s, t, CLASS_RUNQ_WAKEUP);
		enqueue(s, t);
		return;
	}
	if (!rnd(s, 8)) {
		put_wake(s, t, cpu, EV_WAKEUP, WU_NO_WAKE);
		become(s, t, CLASS_RUNQ_WAKEUP);
		enqueue(s, t);
		return;
	}
	put_wake(s, t, cpu, EV_WAKE, rnd(s, 6) ? 0 : WK_DELAYED);
	become(s, t, CLASS_RUNQ_WAKEUP);
	/*
	 * Where records are dropped and probes miss events, a run_delay that begins at a late EV_WAKEUP would be taken for the
	 * time of a wake-up that no record tells: not here.
	 */
	if (rnd(s, 2) || (s->opt->drops && s->opt->holes))
		enqueue(s, t);
	else
		t->wakeup_due = true;
}

static void put_migrate(struct sim *s, struct task *t, unsigned int cpu, unsigned int to)
{
	struct ev_migrate rec = { .who = t->serial, .from = (uint16_t)t->cpu, .to = (uint16_t)to };

	put(s, cpu, &rec, EV_MIGRATE, MG_QUEUED, sizeof(rec));
	t->cpu = to;
	truth(s, t)->migrations++;
}

/* Up to `most` ns that the kernel's books leave out; not where the record may be missing. */
static uint64_t put_unbooked(struct sim *s, const struct task *t, unsigned int cpu,
			     unsigned int flags, uint64_t most)
{
	struct ev_unbooked rec = { .who = t->serial };

	if (s->opt->holes || s->opt->drops || !most || rnd(s, 3))
		return 0;
	rec.ns = 1 + rnd(s, most < 100000 ? (uint32_t)most : 100000);
	put(s, cpu, &rec, EV_UNBOOKED, flags, sizeof(rec));
	return rec.ns;
}

/* A queued task that may run on this CPU now, moved here if needed; NULL: idle. */
static struct task *pick(struct sim *s, unsigned int cpu)
{
	for (unsigned int i = rnd(s, SIM_SLOTS), n = 0; n < SIM_SLOTS; n++, i++) {
		struct task *t = &s->task[i % SIM_SLOTS];

		if (t->doing != QUEUED || !rnd(s, 4))
			continue;
		if (t->cpu == cpu)
			return t;
		put_migrate(s, t, cpu, cpu);
		t->moved_ns = put_unbooked(s, t, cpu, UB_MOVED, s->now - t->enqueued_ns);
		return t;
	}
	return NULL;
}

/* How the running task leaves: what its record says and the class after it. */
struct leaving {
	unsigned int flags;
	uint8_t state;
	uint32_t how;
	enum ledger_class class;
};

static struct leaving how_to_leave(struct sim *s, const struct task *t)
{
	static const struct leaving ways[] = {
		{ SW_PREEMPT | SW_RUNNABLE, 0, EV_NO_SYSCALL, CLASS_RUNQ_PREEMPTED },
		{ SW_RUNNABLE, 0, EV_NO_SYSCALL, CLASS_RUNQ_PREEMPTED },
		{ SW_RUNNABLE, 0, EV_HOW(24, 0, 0), CLASS_RUNQ_PREEMPTED },
		{ SW_PREEMPT | SW_RUNNABLE, 0, EV_HOW(202, 0, 0), CLASS_RUNQ_PREEMPTED },
		{ SW_RUNNABLE | SW_THROTTLED, 0, EV_NO_SYSCALL, CLASS_THROTTLED },
		{ 0, EV_STATE_INTERRUPTIBLE, EV_HOW(202, 0, 0), CLASS_SYNC },
		{ 0, EV_STATE_INTERRUPTIBLE, EV_HOW(0, 0, 0), CLASS_IO },
		{ 0, EV_STATE_INTERRUPTIBLE, EV_HOW(230, 0, 0), CLASS_SLEEP },
		{ SW_IOWAIT, EV_STATE_UNINTERRUPTIBLE, EV_NO_SYSCALL, CLASS_IO },
		{ 0, EV_STATE_UNINTERRUPTIBLE, EV_NO_SYSCALL, CLASS_BLOCKED_OTHER },
		{ 0, EV_STATE_STOPPED, EV_HOW(0, 0, 0), CLASS_STOPPED },
	};
	static const struct leaving death = { 0, EV_STATE_DEAD, EV_NO_SYSCALL, CLASS_UNTRACKED };

	if (t->exiting && rnd(s, 3))
		return death;
	return ways[rnd(s, sizeof(ways) / sizeof(ways[0]))];
}

#define SIM_LOCKS 4

/*
 * A futex call waits for a lock with priority inheritance, whose word holds anybody's tid, or for something; a wait of another kind may be
 * for a lock of the kernel.
 */
static void announce(struct sim *s, struct task *t, unsigned int cpu, struct leaving *way)
{
	struct ev_futex futex = {
		.who = t->serial,
		.seq = t->seq,
		.uaddr = 4096 + 64 * rnd(s, SIM_LOCKS),
		.word = 100 + rnd(s, SIM_SLOTS),
		.op = rnd(s, 4) ? 6 : 0,
	};
	struct ev_klock klock = { .who = t->serial, .seq = t->seq, .lock = 64 * rnd(s, SIM_LOCKS) };

	if (way->flags || way->class == CLASS_UNTRACKED || way->class == CLASS_STOPPED)
		return;
	if (!rnd(s, 5)) {
		way->class = CLASS_KLOCK;
		way->state |= EV_STATE_ANNOUNCED;
		put(s, cpu, &klock, EV_KLOCK, 0, sizeof(klock));
	} else if (way->class == CLASS_SYNC) {
		way->class = futex.op ? CLASS_LOCK : CLASS_SYNC;
		way->state |= EV_STATE_ANNOUNCED;
		put(s, cpu, &futex, EV_FUTEX, FX_READ | FX_NEAR | (rnd(s, 2) ? FX_TIMEOUT : 0),
		    sizeof(futex));
	}
}

static void put_missed(struct sim *s, struct task *t, unsigned int cpu, unsigned int flags,
		       uint64_t queue_ns)
{
	struct ev_missed rec = { .who = t->serial, .queue_ns = queue_ns };

	if (flags == MI_SWITCH_IN) {
		rec.arrivals = 1;
		rec.arrival_ns = s->now - t->in_ns;
	}
	put(s, cpu, &rec, EV_MISSED, flags, sizeof(rec));
}

/* The books of the task that leaves, and the truth about what it does then. */
static void leave(struct sim *s, struct task *t, const struct leaving *way, bool woken)
{
	bool voluntary = !(way->flags & (SW_PREEMPT | SW_RUNNABLE));
	struct sim_thread *th = truth(s, t);

	th->voluntary += voluntary;
	th->involuntary += !voluntary;
	th->yields += way->how == EV_HOW(24, 0, 0);
	t->exec_ns += s->now - t->in_ns;
	t->wake_seen = true;
	t->in_seen = true;
	if (way->class == CLASS_UNTRACKED) {
		become(s, t, CLASS_UNTRACKED);
		th->end_ns = s->now;
		return;
	}
	become(s, t, woken ? CLASS_RUNQ_WAKEUP : way->class);
	if (!voluntary || woken)
		enqueue(s, t);
	else
		t->doing = ASLEEP;
}

static void arrive(struct sim *s, struct task *t, unsigned int cpu, bool seen)
{
	s->cpu[cpu].running = t;
	if (!t)
		return;
	if (!seen && t->wake_seen)
		t->hole_ns = s->now;
	t->wake_seen |= seen;
	t->in_seen = seen;
	t->in_ns = s->now;
	t->delay_ns += s->now - t->enqueued_ns - t->moved_ns;
	t->moved_ns = 0;
	t->doing = RUNNING;
	become(s, t, CLASS_ONCPU);
}

/*
 * A wake-up just before the switch-out of a task that blocks, from another CPU: the task is still on its CPU, and its
 * switch-out perhaps counted already. Where nothing is lost, a probe that reads on_cpu last may also miss that.
 */
static bool wake_before(struct sim *s, struct task *t, unsigned int cpu, const struct leaving *way)
{
	bool blocks = !(way->flags & SW_RUNNABLE) && way->class != CLASS_UNTRACKED;
	bool lossless = !s->opt->drops && !s->opt->ties && !s->opt->holes;
	uint16_t counted = (uint16_t)rnd(s, 2);

	if (!blocks || rnd(s, 5))
		return false;
	t->seq += counted;
	put_wake(s, t, (cpu + 1) % SIM_CPUS, EV_WAKE, lossless && !rnd(s, 4) ? 0 : WK_ON_CPU);
	t->seq -= counted;
	s->now += 1 + rnd(s, 5);
	return true;
}

static void put_switch(struct sim *s, unsigned int cpu, struct task *prev, struct task *next,
		       const struct leaving *way)
{
	struct ev_switch rec = { .state = way->state };

	if (prev) {
		rec.prev = prev->serial;
		rec.prev_seq = prev->seq;
		rec.how[0] = (uint8_t)way->how;
		rec.how[1] = (uint8_t)(way->how >> 8);
		rec.how[2] = (uint8_t)(way->how >> 16);
	}
	if (next) {
		rec.next = next->serial;
		rec.next_seq = next->seq;
	}
	put(s, cpu, &rec, EV_SWITCH, way->flags, sizeof(rec));
}

/* Another wake-up, just after the switch-out was counted: the task is still seen on its CPU. */
static void wake_after(struct sim *s, struct task *t, unsigned int cpu)
{
	/* Its waker read the number just before that. */
	bool behind = rnd(s, 3) == 0 && !(s->opt->drops && s->opt->holes);

	s->now += 1 + rnd(s, 20);
	t->seq -= behind;
	put_wake(s, t, (cpu + 1) % SIM_CPUS, EV_WAKE, WK_ON_CPU);
	t->seq += behind;
	become(s, t, CLASS_RUNQ_WAKEUP);
	if (rnd(s, 2) || (s->opt->drops && s->opt->holes))
		enqueue(s, t);
	else
		t->wakeup_due = true;
}

static void missed_before(struct sim *s, unsigned int cpu, struct task *prev, struct task *next)
{
	if (prev && !prev->in_seen)
		put_missed(s, prev, cpu, MI_SWITCH_IN, prev->in_ns - prev->enqueued_ns);
	if (next && !next->wake_seen)
		put_missed(s, next, cpu, MI_WAKEUP, s->now - next->enqueued_ns);
}

static void do_switch(struct sim *s, unsigned int cpu)
{
	struct task *prev = s->cpu[cpu].running, *next;
	struct leaving way = { 0 };
	bool woken = false;

	next = pick(s, cpu);
	if (!prev && !next)
		return;
	if (!prev && s->opt->holes && !rnd(s, 6)) {
		arrive(s, next, cpu, false); /* PID 1 left this CPU to it */
		return;
	}
	if (prev) {
		way = how_to_leave(s, prev);
		woken = wake_before(s, prev, cpu, &way);
		prev->seq++;
	}
	missed_before(s, cpu, prev, next);
	if (prev && !(way.flags & (SW_PREEMPT | SW_RUNNABLE)))
		prev->exec_ns -= put_unbooked(s, prev, cpu, UB_LEFT, s->now - prev->in_ns);
	if (prev && s->opt->locks)
		announce(s, prev, cpu, &way);
	put_switch(s, cpu, prev, next, &way);
	if (prev)
		leave(s, prev, &way, woken);
	arrive(s, next, cpu, true);
	if (!prev)
		return;
	if (way.class == CLASS_UNTRACKED) {
		put_books(s, prev, cpu, BK_DEAD);
		prev->doing = FREE;
	} else if (prev->doing == ASLEEP && !rnd(s, 5)) {
		wake_after(s, prev, cpu);
	} else if (woken && rnd(s, 2) && !(s->opt->drops && s->opt->holes)) {
		prev->doing = ASLEEP; /* not on a queue before its EV_WAKEUP */
		prev->wakeup_due = true;
	}
}

static void do_exec(struct sim *s, struct task *t)
{
	struct ev_exec rec = { .who = t->serial, .old_tid = t->tid, .tid = 100, .tgid = t->tgid };

	put(s, t->cpu, &rec, EV_EXEC, 0, sizeof(rec));
	t->tid = 100;
}

static void do_exit(struct sim *s, struct task *t)
{
	struct ev_exit rec = { .who = t->serial };

	put(s, t->cpu, &rec, EV_EXIT, 0, sizeof(rec));
	t->exiting = true;
}

/* A record of a program that can be interrupted: its time is older than that of the one before it. */
static void do_name(struct sim *s, struct task *t)
{
	struct ev_name rec = { .who = t->serial,
			       .tgid = 100,
			       .comm = { 'a', (char)('a' + rnd(s, 26)) } };
	uint64_t now = s->now, since = s->out->nr ? s->out->event[s->out->nr - 1].time_ns : 0;

	s->now = since > 3 ? since - rnd(s, 3) : since;
	if (s->now >= truth(s, t)->start_ns)
		put(s, t->cpu, &rec, EV_NAME, 0, sizeof(rec));
	s->now = now;
}

static void step_task(struct sim *s, struct task *t)
{
	unsigned int cpu = rnd(s, SIM_CPUS);

	if (t->doing == NEW || t->wakeup_due)
		do_wakeup(s, t, cpu);
	else if (t->doing == ASLEEP)
		do_wake(s, t, cpu);
	else if (t->doing == QUEUED && !rnd(s, 4))
		put_migrate(s, t, cpu, (t->cpu + 1) % SIM_CPUS);
	else if (t->doing == RUNNING && !t->exiting && !rnd(s, 12))
		do_exit(s, t);
	else if (t->doing == RUNNING && !rnd(s, 20))
		do_exec(s, t);
	else if (t->doing == RUNNING && !s->opt->drops && !rnd(s, 20))
		do_name(s, t);
}

static void step(struct sim *s)
{
	unsigned int cpu = rnd(s, SIM_CPUS);

	tick(s);
	if (!rnd(s, 10))
		do_fork(s, cpu);
	else if (rnd(s, 2))
		do_switch(s, cpu);
	else
		step_task(s, &s->task[rnd(s, SIM_SLOTS)]);
}

/* Threads that are there when the recording begins. */
static void snapshot(struct sim *s)
{
	if (s->opt->holes) {
		struct ev_missed rec = { .who = WHO_UNTRACKED | 1 };

		put(s, 0, &rec, EV_MISSED, MI_WAKEUP, sizeof(rec));
	}
	for (unsigned int i = 0; i < 3; i++) {
		struct task *t = task_new(s);
		struct ev_thread rec = { .who = t->serial, .tid = t->tid, .tgid = t->tgid };

		if (i == 0) {
			arrive(s, t, 0, true);
			t->delay_ns = 0;
			put(s, 0, &rec, EV_SNAP, SN_ON_CPU, sizeof(rec));
			continue;
		}
		t->class = CLASS_SLEEP;
		t->doing = ASLEEP;
		rec.state = EV_STATE_INTERRUPTIBLE;
		rec.how = EV_HOW(230, 0, 0);
		put(s, 0, &rec, EV_SNAP, SN_BLOCKED, sizeof(rec));
		put_books(s, t, 0, BK_FIRST);
	}
}

static void finish(struct sim *s)
{
	s->now += 100;
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct task *t = &s->task[i];

		if (t->doing == FREE)
			continue;
		if (t->doing != RUNNING)
			put_books(s, t, 0, BK_END);
		if (!t->wake_seen || !t->in_seen)
			truth(s, t)->hole_ns = t->hole_ns;
		become(s, t, CLASS_UNTRACKED);
		truth(s, t)->end_ns = s->now;
	}
	for (unsigned int cpu = 0; cpu < SIM_CPUS; cpu++)
		tell_lost(s, cpu);
	s->out->end_ns = s->now;
}

static int in_time(const void *a, const void *b)
{
	const struct sim_event *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void sim_run(const struct sim_options *options, struct sim_result *ret_result)
{
	struct sim s = { .opt = options, .out = ret_result, .now = 1000 };

	s.random = (options->seed + 1) * 0x9e3779b97f4a7c15ull;
	memset(ret_result, 0, sizeof(*ret_result));
	snapshot(&s);
	for (unsigned int i = 0; i < options->steps; i++)
		step(&s);
	finish(&s);
	qsort(ret_result->event, ret_result->nr, sizeof(*ret_result->event), in_time);
}

void sim_free(struct sim_result *result)
{
	for (unsigned int i = 0; i < SIM_SERIALS; i++)
		free(result->thread[i].interval);
	free(result->event);
}
