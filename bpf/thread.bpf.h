/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the scheduler programs know and write about a tracked thread, apart from its events: the system call it is in, who waits on
 * which CPU, its scheduling, the kernel's books, and what the books say of events that no probe saw.
 */
#ifndef WHYSCALE_THREAD_BPF_H
#define WHYSCALE_THREAD_BPF_H

#include "clock.bpf.h"

/* ---- small facts ---- */

/* The system call that p is in and its first two arguments, or EV_NO_SYSCALL. */
static __always_inline u32 how_of(struct task_struct *p, const struct local *l)
{
	struct pt_regs *regs;
	u64 arg1, arg2;
	u32 nr;

	if (l->kthread)
		return EV_NO_SYSCALL;
	regs = regs_of(p, l->regs);
	nr = regs_syscall(regs);
	if (nr >= EV_NO_SYSCALL)
		return EV_NO_SYSCALL;
	arg1 = regs_arg1(regs);
	arg2 = regs_arg2(regs);
	if (arg1 > EV_ARG1_MAX)
		arg1 = EV_ARG1_MAX;
	if (arg2 > EV_ARG2_MAX)
		arg2 = EV_ARG2_MAX;
	return EV_HOW(nr, arg2, arg1);
}

static __always_inline bool in_iowait(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD(task, in_iowait); /* the macro has a `p` of its own */
}

/* normal_prio changes with the nice value and the real-time priority. */
static __always_inline u32 prio_key(struct task_struct *p)
{
	return p->normal_prio << 8 | p->policy;
}

/* ---- the count of tracked threads that wait on a CPU ---- */

/*
 * The count is the sum of what the CPU itself has added, which needs no atomic as interrupts are off, and of what others have; each
 * part alone may be negative.
 */
static __always_inline void count_waiting(struct buf *here, u32 here_cpu, u32 cpu, s64 change)
{
	struct buf *b;

	if (likely(cpu == here_cpu)) {
		here->h.waiting_here += change;
		return;
	}
	b = buf_of(cpu);
	if (b)
		__sync_fetch_and_add(&b->h.waiting_remote, change);
}

static __always_inline void wait_begin(struct local *l, struct buf *here, u32 here_cpu, u32 cpu)
{
	if (l->wait_cpu)
		return;
	l->wait_cpu = cpu + 1;
	count_waiting(here, here_cpu, cpu, 1);
}

static __always_inline void wait_end(struct local *l, struct buf *here, u32 here_cpu)
{
	u32 cpu = l->wait_cpu;

	if (!cpu)
		return;
	l->wait_cpu = 0;
	count_waiting(here, here_cpu, cpu - 1, -1);
}

/* ---- records ---- */

static __always_inline void fill_task(struct ev_task *rec, struct task_struct *p,
				      const struct local *l)
{
	u32 size = bpf_core_field_size(p->cpus_mask);
	struct cgroup *cgroup;

	rec->who = l->serial;
	rec->policy = p->policy;
	rec->nice = p->static_prio - 120;
	rec->rt_priority = p->rt_priority;
	rec->pad = 0;
	rec->nr_cpus = p->nr_cpus_allowed;
	rec->pad2 = 0;
	/* a session's automatic group is no cgroup: it stands in for the root one, whose id is 1 */
	cgroup = BPF_CORE_READ(p, sched_task_group, css.cgroup);
	rec->cgroup = cgroup ? BPF_CORE_READ(cgroup, kn, id) : 1;
	__builtin_memset(rec->cpus, 0, sizeof(rec->cpus));
	if (size > sizeof(rec->cpus))
		size = sizeof(rec->cpus);
	if (size > config.cpus_bytes)
		size = config.cpus_bytes;
	bpf_probe_read_kernel(rec->cpus, size, p->cpus_ptr);
}

static __noinline int write_task(struct buf *b, struct task_struct *p, struct local *l, u64 now)
{
	struct ev_task *rec;

	if (!b || !p || !l)
		return 0;
	l->prio_key = prio_key(p);
	l->nr_cpus = p->nr_cpus_allowed;
	l->cpus = p->cpus_mask.bits[0];
	rec = RESERVE(b, ev_task);
	if (!rec)
		return 0;
	fill_task(rec, p, l);
	COMMIT(rec, now, EV_TASK, 0);
	return 0;
}

static __always_inline void check_task(struct buf *b, struct task_struct *p, struct local *l,
				       u64 now)
{
	if (unlikely(l->cpus != p->cpus_mask.bits[0] || l->prio_key != prio_key(p) ||
		     (config.many_cpus && l->nr_cpus != (u32)p->nr_cpus_allowed)))
		write_task(b, p, l, now);
}

/* All but run_delay. */
static __always_inline void fill_books(struct ev_books *rec, struct task_struct *p,
				       const struct local *l)
{
	rec->who = l->serial;
	rec->pad = 0;
	rec->nvcsw = p->nvcsw;
	rec->nivcsw = p->nivcsw;
	rec->nr_migrations = p->se.nr_migrations;
	rec->exec_ns = p->se.sum_exec_runtime;
	rec->pcount = p->sched_info.pcount;
	rec->steal_ns = l->steal_ns;
	rec->utime_ns = p->utime;
	rec->stime_ns = p->stime;
	rec->start_ns = p->start_time;
}

/* For a thread that is off the CPU, or just leaving: the books then agree with the switches written. */
static __noinline int write_books(struct buf *b, struct task_struct *p, struct local *l, u32 flags,
				  u64 now)
{
	struct ev_books *rec;
	u64 delay_ns;
	u32 seq;

	if (!b || !p || !l)
		return 0;
	seq = READ_ONCE(l->seq);
	rec = RESERVE(b, ev_books);
	if (!rec)
		return 0;
	fill_books(rec, p, l);
	delay_ns = p->sched_info.run_delay;
	barrier_var(
		delay_ns); /* else the compiler chooses between two pointers, which the verifier forbids */
	/* a ready thread that was moved has been charged for its waiting before that */
	if (flags & BK_END && seq)
		delay_ns = l->delay_ns;
	if (flags & BK_FIRST) {
		l->first_ns = now;
		l->first_delay_ns = delay_ns;
	}
	rec->delay_ns = delay_ns;
	/* It ran meanwhile: these books hold for no moment, and its next switch-out writes others. */
	if (unlikely(READ_ONCE(l->seq) != seq)) {
		l->books |= flags;
		flags = 0;
	}
	COMMIT(rec, now, EV_BOOKS, flags | (steal_known() ? BK_STEAL : 0));
	return 0;
}

/* The thread is about to wait for the kernel lock that it found taken. Its seq counts that switch-out already. */
static __noinline int write_klock(struct buf *b, const struct local *l, u64 now)
{
	struct ev_klock *rec;

	if (!b || !l)
		return 0;
	rec = RESERVE_IRQS_OFF(b, ev_klock);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->seq = l->seq;
	rec->pad = 0;
	rec->lock = l->klock;
	rec->for_ns = 0;
	COMMIT(rec, now, EV_KLOCK, 0);
	return 0;
}

/* prev ran and no probe saw it get the CPU: sched_info did. */
static __noinline int write_missed_in(struct buf *b, struct task_struct *p, struct local *l,
				      u64 now)
{
	struct ev_missed *rec;

	if (!b || !p || !l)
		return 0;
	rec = RESERVE(b, ev_missed);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->arrivals = (u32)p->sched_info.pcount - l->pcount;
	rec->arrival_ns = p->se.cfs_rq->rq->clock - p->sched_info.last_arrival;
	rec->queue_ns = p->sched_info.run_delay - l->delay_ns;
	COMMIT(rec, now, EV_MISSED, MI_SWITCH_IN);
	return 0;
}

/* next is about to run and no probe saw its wake-up. */
static __noinline int write_missed_wake(struct buf *b, struct task_struct *p, struct local *l,
					u64 now)
{
	u64 queued;
	struct ev_missed *rec;

	if (!b || !p || !l)
		return 0;
	queued = p->sched_info.last_queued;
	rec = RESERVE(b, ev_missed);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->arrivals = 0;
	rec->arrival_ns = 0;
	rec->queue_ns = queued ? p->se.cfs_rq->rq->clock - queued : 0;
	COMMIT(rec, now, EV_MISSED, MI_WAKEUP);
	return 0;
}

/* ---- time that the kernel's books leave out ---- */

#define TASK_ON_RQ_MIGRATING 2

static __noinline int write_unbooked(struct buf *b, const struct local *l, u64 now, s64 ns,
				     u32 flags)
{
	struct ev_unbooked *rec;

	if (!b || !l || ns <= 0)
		return 0;
	rec = RESERVE(b, ev_unbooked);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->ns = ns < 0xffffffff ? ns : 0xffffffff;
	COMMIT(rec, now, EV_UNBOOKED, flags);
	return 0;
}

/* Since its first books p is charged for charged_ns of waiting, which end now: what of it was before the books? */
static __noinline int check_before(struct buf *b, struct local *l, u64 now, u64 charged_ns)
{
	struct ev_unbooked_before *rec;
	s64 ns;

	if (!b || !l)
		return 0;
	ns = charged_ns - (now - l->first_ns);
	l->first_ns = 0;
	if (ns < UNBOOKED_LEFT_NS)
		return 0;
	rec = RESERVE(b, ev_unbooked_before);
	if (!rec)
		return 0;
	rec->it.who = l->serial;
	rec->it.ns = ns < 0xffffffff ? ns : 0xffffffff;
	rec->charged_ns = charged_ns;
	commit(rec, now, sizeof(*rec) / 8, EV_UNBOOKED, UB_BEFORE);
	return 0;
}

/*
 * p is being moved, and is on no run queue. The clock was read when it left the old one. Since the move before, run_delay has only
 * grown by the time on that queue, which tells when it was put there.
 */
static __always_inline void leave_queue(struct local *l, struct task_struct *p)
{
	u64 left_ns = rq_clock(p), delay_ns = p->sched_info.run_delay;

	if (l->moved)
		l->off_queue_ns += left_ns - (delay_ns - l->left_delay_ns) - l->left_ns;
	l->moved = true;
	l->left_ns = left_ns;
	l->left_delay_ns = delay_ns;
}

static __always_inline void forget_moves(struct local *l)
{
	l->moved = false;
	l->off_queue_ns = 0;
}

/* p, which was moved, is about to run: it is on this queue since last_queued. */
static __noinline int end_moves(struct buf *b, struct task_struct *p, struct local *l, u64 now)
{
	u64 queued;

	if (!b || !p || !l)
		return 0;
	queued = p->sched_info.last_queued;
	if (queued)
		write_unbooked(b, l, now, l->off_queue_ns + queued - l->left_ns, UB_MOVED);
	forget_moves(l);
	return 0;
}

/*
 * Its charge runs from exec_start at its switch-in without a gap: each update adds to sum_exec_runtime by how much it moves exec_start.
 * So this stays the same as long as p has its CPU, but for what a move of exec_start alone has left out (UB_LEFT).
 */
static __always_inline u64 uncharged_mark(struct task_struct *p)
{
	return p->se.exec_start - p->se.sum_exec_runtime;
}

/*
 * p blocks now, or is preempted on its way there. It has used its CPU up to exec_start by the kernel's books, less what these
 * have left out; the run queue's two clocks differ by what neither p nor anybody else is charged for.
 */
static __always_inline void check_left(struct buf *b, struct task_struct *p, const struct local *l,
				       const struct rq_read *r, u64 now)
{
	s64 ns = now - b->h.clock_ahead - r->behind - p->se.exec_start;

	if (likely(l->uncharged_mark))
		ns += uncharged_mark(p) - l->uncharged_mark;
	if (unlikely(ns >= UNBOOKED_LEFT_NS))
		write_unbooked(b, l, now, ns, UB_LEFT);
}

/* For how long p has been on its run queue by that one's clock, whose lock is held; in the place that ev_wake has for it. */
static __always_inline u64 queued_bits(const struct buf *b, struct task_struct *p, u64 now)
{
	u64 queued = p->sched_info.last_queued;
	s64 ns = now - b->h.clock_ahead - queued;

	if (!queued || ns <= 0)
		return 0;
	return (u64)(ns < EV_QUEUED_MAX ? ns : EV_QUEUED_MAX) << 40;
}

#endif
