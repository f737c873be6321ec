/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wake-ups of tracked threads: sched_waking says by whom, sched_wakeup(_new) that it is on a run queue now. Since 6.5 csd_queue_cpu tells
 * which are sent to another CPU, and sched_waking is not needed.
 */
#ifndef WHYSCALE_WAKE_BPF_H
#define WHYSCALE_WAKE_BPF_H

#include "futex.bpf.h"
#include "stack.bpf.h"
#include "thread.bpf.h"

/*
 * Who wakes p: this CPU's current task, in this context. The caller knows that the wake-up has an effect. enqueued: p
 * is on a run queue already.
 */
static __always_inline void write_wake(void *ctx, struct buf *b, struct task_struct *p,
				       struct local *l, u32 cpu, u32 flags, bool enqueued)
{
	struct task_struct *cur;
	struct ev_wake *rec;
	u64 now, why, bits, rq_ns;
	bool futex;

	stacks_at_wake(ctx, b);
	rec = RESERVE_IRQS_OFF(b, ev_wake);
	if (!rec)
		return;
	cur = bpf_get_current_task_btf(); /* once: it is a call */
	/* In this order: whether it is still on its CPU, its seq, the time. */
	flags |= waker_context(b, cur) | (!enqueued && READ_ONCE(p->on_cpu) ? WK_ON_CPU : 0);
	/* not off its CPU yet: the wait that this ends has not begun */
	futex = unlikely(l->state == LOCAL_ON_CPU) ? in_futex_wait(p) : l->futex;
	why = unlikely(futex) ? why_woken(p, cur, flags) : WHY_NONE;
	bits = (u16)READ_ONCE(l->seq) | cpu << 16 | why << 32;
	barrier_var(bits);
	/* not before the stacks that go with it */
	if (enqueued && cpu == bpf_get_smp_processor_id() && !(config.stacks & STACKS_WAKE)) {
		rq_ns = rq_clock(p);
		now = not_before(b, l, rq_ns, clock_of(b, rq_ns));
	} else {
		now = record_time(b);
	}
	*(u64 *)&rec->seq = enqueued ? bits | queued_bits(b, p, now) : bits;
	rec->wakee = l->serial;
	rec->waker = current_who(b, cur);
	l->told_ns = now;
	COMMIT(rec, now, EV_WAKE, flags);
}

/*
 * The wake-up will be done elsewhere, or a little later here. It is counted as waiting on `cpu` from now on, where it is known to be
 * blocked (sched_migrate_task corrects that); sched_wakeup says when it was enqueued.
 */
static __always_inline void announce_wake(void *ctx, struct buf *b, struct task_struct *p,
					  struct local *l, u32 cpu, u32 flags)
{
	u32 here = bpf_get_smp_processor_id();

	l->waking_cpu = here + 1;
	if (likely(l->state == LOCAL_BLOCKED)) {
		l->state = LOCAL_QUEUED;
		wait_begin(l, b, here, cpu);
		b->h.woken_task = (u64)p;
	}
	write_wake(ctx, b, p, l, cpu, flags, false);
}

/*
 * Only where csd_queue_cpu does not tell the wake-ups that are sent to another CPU: this comes with every wake-up, and costs as much
 * as sched_wakeup.
 *
 * A wake-up of a thread that is on a run queue changes nothing: no record. on_rq may be read just before the thread takes
 * itself off; then sched_wakeup tells (WU_NO_WAKE). If it follows on this CPU, sched_wakeup has nothing to add.
 */
SEC("tp_btf/sched_waking")
int BPF_PROG(waking, struct task_struct *p)
{
	struct local *l = local_of(p);
	bool delayed;
	struct buf *b;

	if (!l)
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	b->h.woken_task = 0;
	delayed = task_delayed(p);
	if (p->on_rq && !delayed) {
		l->waking_cpu = 0;
		return 0;
	}
	announce_wake(ctx, b, p, l, task_cpu(p), delayed ? WK_DELAYED : 0);
	return 0;
}

/* A wake-up is sent to another CPU, which will do it in an interrupt. */
SEC("tp_btf/csd_queue_cpu")
int BPF_PROG(wake_sent, unsigned int cpu, unsigned long callsite, void *func,
	     struct __call_single_data *csd)
{
	struct task_struct *p;
	struct local *l;
	struct buf *b;

	if ((csd->node.u_flags & CSD_FLAG_TYPE_MASK) != CSD_TYPE_TTWU)
		return 0;
	p = task_of_wake_entry(csd);
	if (!p)
		return 0;
	l = local_of(p);
	b = l ? buf_here() : NULL;
	if (b)
		announce_wake(ctx, b, p, l, cpu, 0);
	bpf_task_release(p);
	return 0;
}

static __always_inline bool wakeup_told(struct buf *b, struct task_struct *p)
{
	if (b->h.woken_task != (u64)p)
		return false;
	b->h.woken_task = 0;
	return !task_throttled(p);
}

/* p is on a run queue now, and nothing has said so, or not who woke it, or not when. */
static __always_inline void write_wakeup(struct buf *b, struct task_struct *p, struct local *l,
					 u32 flags)
{
	struct ev_wake *rec = RESERVE_IRQS_OFF(b, ev_wake);
	u64 now;

	if (!rec)
		return;
	now = record_time(b);
	rec->wakee = l->serial;
	rec->waker = flags & WU_NO_WAKE ? current_who(b, bpf_get_current_task_btf()) : 0;
	*(u64 *)&rec->seq = (u16)l->seq | task_cpu(p) << 16 | queued_bits(b, p, now);
	l->told_ns = now;
	COMMIT(rec, now, EV_WAKEUP, flags);
}

/* After sched_waking: adds what that could not say. */
static __always_inline int after_waking(struct task_struct *p, u32 flags)
{
	struct buf *b = buf_here();
	struct local *l;
	u32 here;

	/* A thread that wakes itself changes nothing (and has interrupts on). */
	if (!b || (u64)p == (u64)bpf_get_current_task_btf() ||
	    (!(flags & WU_NEW) && wakeup_told(b, p)))
		return 0;
	l = local_of(p);
	if (!l || l->state == LOCAL_ON_CPU || (l->state == LOCAL_QUEUED && !l->waking_cpu))
		return 0;
	here = bpf_get_smp_processor_id();
	if (l->state == LOCAL_BLOCKED) {
		l->state = LOCAL_QUEUED;
		wait_begin(l, b, here, task_cpu(p));
	}
	if (task_throttled(p))
		flags |= WU_THROTTLED;
	if (l->waking_cpu != here + 1 || flags) {
		if (!l->waking_cpu && !(flags & WU_NEW))
			flags |= WU_NO_WAKE;
		write_wakeup(b, p, l, flags);
	}
	l->waking_cpu = 0;
	return 0;
}

/* Without sched_waking: a wake-up that was not sent here is the current task's. */
static __always_inline int alone(void *ctx, struct task_struct *p)
{
	struct local *l = local_of(p);
	bool throttled, sent;
	struct buf *b;
	u32 cpu;

	if (!l || l->state == LOCAL_ON_CPU || (l->state == LOCAL_QUEUED && !l->waking_cpu))
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	cpu = task_cpu(p);
	sent = l->waking_cpu;
	if (l->state == LOCAL_BLOCKED) {
		l->state = LOCAL_QUEUED;
		wait_begin(l, b, bpf_get_smp_processor_id(), cpu);
	}
	if (!sent)
		write_wake(ctx, b, p, l, cpu, 0, true);
	throttled = task_throttled(p);
	if (sent || throttled)
		write_wakeup(b, p, l, throttled ? WU_THROTTLED : 0);
	l->waking_cpu = 0;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(wakeup, struct task_struct *p)
{
	return config.wakeups_alone ? alone(ctx, p) : after_waking(p, 0);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(wakeup_new, struct task_struct *p)
{
	return after_waking(p, WU_NEW);
}

#endif
