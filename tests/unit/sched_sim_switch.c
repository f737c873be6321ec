// SPDX-License-Identifier: GPL-2.0-only
/* A switch of the small scheduler: see sched_sim_impl.h. */
#include "sched_sim_impl.h"

void sim_enqueue(struct sim *s, struct task *t)
{
	t->doing = QUEUED;
	t->wakeup_due = false;
	t->enqueued_ns = s->now;
}

/* A queued task that may run on this CPU now, moved here if needed; NULL: idle. */
static struct task *pick(struct sim *s, unsigned int cpu)
{
	for (unsigned int i = sim_rnd(s, SIM_SLOTS), n = 0; n < SIM_SLOTS; n++, i++) {
		struct task *t = &s->task[i % SIM_SLOTS];

		if (t->doing != QUEUED || !sim_rnd(s, 4))
			continue;
		if (t->cpu == cpu)
			return t;
		sim_put_migrate(s, t, cpu, cpu);
		t->moved_ns = sim_put_unbooked(s, t, cpu, UB_MOVED, s->now - t->enqueued_ns);
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

	if (t->exiting && sim_rnd(s, 3))
		return death;
	return ways[sim_rnd(s, sizeof(ways) / sizeof(ways[0]))];
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
		.uaddr = 4096 + 64 * sim_rnd(s, SIM_LOCKS),
		.word = 100 + sim_rnd(s, SIM_SLOTS),
		.op = sim_rnd(s, 4) ? 6 : 0,
	};
	struct ev_klock klock = { .who = t->serial,
				  .seq = t->seq,
				  .lock = 64 * sim_rnd(s, SIM_LOCKS) };

	if (way->flags || way->class == CLASS_UNTRACKED || way->class == CLASS_STOPPED)
		return;
	if (!sim_rnd(s, 5)) {
		way->class = CLASS_KLOCK;
		way->state |= EV_STATE_ANNOUNCED;
		sim_put(s, cpu, &klock, EV_KLOCK, 0, sizeof(klock));
	} else if (way->class == CLASS_SYNC) {
		way->class = futex.op ? CLASS_LOCK : CLASS_SYNC;
		way->state |= EV_STATE_ANNOUNCED;
		sim_put(s, cpu, &futex, EV_FUTEX,
			FX_READ | FX_NEAR | (sim_rnd(s, 2) ? FX_TIMEOUT : 0), sizeof(futex));
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
	sim_put(s, cpu, &rec, EV_MISSED, flags, sizeof(rec));
}

/* The books of the task that leaves, and the truth about what it does then. */
static void leave(struct sim *s, struct task *t, const struct leaving *way, bool woken)
{
	bool voluntary = !(way->flags & (SW_PREEMPT | SW_RUNNABLE));
	struct sim_thread *th = sim_truth(s, t);

	th->voluntary += voluntary;
	th->involuntary += !voluntary;
	th->yields += way->how == EV_HOW(24, 0, 0);
	t->exec_ns += s->now - t->in_ns;
	t->wake_seen = true;
	t->in_seen = true;
	if (way->class == CLASS_UNTRACKED) {
		sim_become(s, t, CLASS_UNTRACKED);
		th->end_ns = s->now;
		return;
	}
	sim_become(s, t, woken ? CLASS_RUNQ_WAKEUP : way->class);
	if (!voluntary || woken)
		sim_enqueue(s, t);
	else
		t->doing = ASLEEP;
}

void sim_arrive(struct sim *s, struct task *t, unsigned int cpu, bool seen)
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
	sim_become(s, t, CLASS_ONCPU);
}

/*
 * A wake-up just before the switch-out of a task that blocks, from another CPU: the task is still on its CPU, and its
 * switch-out perhaps counted already. Where nothing is lost, a probe that reads on_cpu last may also miss that.
 */
static bool wake_before(struct sim *s, struct task *t, unsigned int cpu, const struct leaving *way)
{
	bool blocks = !(way->flags & SW_RUNNABLE) && way->class != CLASS_UNTRACKED;
	bool lossless = !s->opt->drops && !s->opt->ties && !s->opt->holes;
	uint16_t counted = (uint16_t)sim_rnd(s, 2);

	if (!blocks || sim_rnd(s, 5))
		return false;
	t->seq += counted;
	sim_put_wake(s, t, (cpu + 1) % SIM_CPUS, EV_WAKE,
		     lossless && !sim_rnd(s, 4) ? 0 : WK_ON_CPU);
	t->seq -= counted;
	s->now += 1 + sim_rnd(s, 5);
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
	sim_put(s, cpu, &rec, EV_SWITCH, way->flags, sizeof(rec));
}

/* Another wake-up, just after the switch-out was counted: the task is still seen on its CPU. */
static void wake_after(struct sim *s, struct task *t, unsigned int cpu)
{
	/* Its waker read the number just before that. */
	bool behind = sim_rnd(s, 3) == 0 && !(s->opt->drops && s->opt->holes);

	s->now += 1 + sim_rnd(s, 20);
	t->seq -= behind;
	sim_put_wake(s, t, (cpu + 1) % SIM_CPUS, EV_WAKE, WK_ON_CPU);
	t->seq += behind;
	sim_become(s, t, CLASS_RUNQ_WAKEUP);
	if (sim_rnd(s, 2) || (s->opt->drops && s->opt->holes))
		sim_enqueue(s, t);
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

void sim_switch(struct sim *s, unsigned int cpu)
{
	struct task *prev = s->cpu[cpu].running, *next;
	struct leaving way = { 0 };
	bool woken = false;

	next = pick(s, cpu);
	if (!prev && !next)
		return;
	if (!prev && s->opt->holes && !sim_rnd(s, 6)) {
		sim_arrive(s, next, cpu, false); /* PID 1 left this CPU to it */
		return;
	}
	if (prev) {
		way = how_to_leave(s, prev);
		woken = wake_before(s, prev, cpu, &way);
		prev->seq++;
	}
	missed_before(s, cpu, prev, next);
	if (prev && !(way.flags & (SW_PREEMPT | SW_RUNNABLE)))
		prev->exec_ns -= sim_put_unbooked(s, prev, cpu, UB_LEFT, s->now - prev->in_ns);
	if (prev && s->opt->locks)
		announce(s, prev, cpu, &way);
	put_switch(s, cpu, prev, next, &way);
	if (prev)
		leave(s, prev, &way, woken);
	sim_arrive(s, next, cpu, true);
	if (!prev)
		return;
	if (way.class == CLASS_UNTRACKED) {
		sim_put_books(s, prev, cpu, BK_DEAD);
		prev->doing = FREE;
	} else if (prev->doing == ASLEEP && !sim_rnd(s, 5)) {
		wake_after(s, prev, cpu);
	} else if (woken && sim_rnd(s, 2) && !(s->opt->drops && s->opt->holes)) {
		prev->doing = ASLEEP; /* not on a queue before its EV_WAKEUP */
		prev->wakeup_due = true;
	}
}
