// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler's events of the tracked threads, and of the CPUs on which they wait.
 *
 *   sched_switch      always when a tracked thread leaves or gets the CPU, or the CPU goes idle or wakes; others' switches
 *                     only while a tracked thread waits on that CPU's run queue
 *   sched_waking      who wakes a tracked thread; sched_wakeup(_new): it is on a run queue now
 *   migrate
 *   fork, exec, exit, rename: life.bpf.h; what runs already: snapshot.bpf.h
 *
 * What is kept of a thread is made in task_newtask and in the snapshot, never in a scheduler hook. What a wait was for is not decided here:
 * the switch record carries the state and the system call, the analysis looks at them.
 */
#include "futex.bpf.h"
#include "thread.bpf.h"
#include "life.bpf.h"
#include "snapshot.bpf.h"
#include "key_frame.bpf.h"
#include "stack.bpf.h"

char LICENSE[] SEC("license") = "GPL v2";

/* ---- switches ---- */

static __always_inline bool stays_queued(struct task_struct *p)
{
	return p->on_rq && !task_delayed(p);
}

static __always_inline u64 switch_time(struct buf *b, struct task_struct *prev,
				       struct task_struct *next, u64 rq_ns)
{
	if (unlikely(stays_queued(prev) || !next->pid))
		return clock_exact(b, rq_ns);
	return clock_of(b, rq_ns);
}

/*
 * A CPU that looks for work elsewhere lets go of its run queue meanwhile: another one may put p there, read that clock, and tell of it
 * a little later. What is told of p stays in its order.
 */
static __always_inline u64 not_before(struct buf *b, const struct local *l, u64 rq_ns, u64 now)
{
	if (likely(now > l->told_ns))
		return now;
	now = clock_exact(b, rq_ns);
	if (now <= l->told_ns)
		b->h.last = now = l->told_ns + 1;
	return now;
}

struct leave {
	u32 flags, how, state;
};

/* What prev's record says, and what is kept of it until it comes back. */
static __always_inline struct leave leave_cpu(struct buf *b, u32 cpu, bool preempt,
					      struct task_struct *p, struct local *l, u32 state,
					      const struct rq_read *r, u64 now)
{
	struct leave out = { preempt ? SW_PREEMPT : 0, 0, state & 0xff };

	if (unlikely(l->state != LOCAL_ON_CPU)) {
		if (l->state != LOCAL_UNKNOWN)
			write_missed_in(b, p, l, now);
		forget_moves(l);
		wait_end(l, b, cpu);
		l->steal_mark = r->steal;
		l->uncharged_mark = 0;
	}
	l->seq++;
	l->steal_ns += r->steal - l->steal_mark;
	l->delay_ns = p->sched_info.run_delay;
	l->pcount = p->sched_info.pcount;
	out.how = how_of(p, l);
	if (stays_queued(p)) {
		out.flags |= SW_RUNNABLE;
		out.state = ((u32)p->nivcsw == l->nivcsw ? SWR_VOLUNTARY : 0) |
			    (p->__state ? SWR_NOT_RUNNING : 0);
		/* run_delay will not have the wait that begins, from that clock on or not */
		if (unlikely(p->__state))
			check_left(b, p, l, r, now);
		l->nivcsw = p->nivcsw;
		if (task_throttled(p))
			out.flags |= SW_THROTTLED;
		/* it has yielded already, or had nobody to yield to, and loses its CPU on the way out */
		if (EV_HOW_NR(out.how) == NR_SCHED_YIELD &&
		    regs_returned((struct pt_regs *)bpf_task_pt_regs(p)))
			out.how = EV_NO_SYSCALL;
		l->state = LOCAL_QUEUED;
		l->preempted = true;
		wait_begin(l, b, cpu, cpu);
	} else {
		out.flags |= (in_iowait(p) ? SW_IOWAIT : 0) | (state & TASK_FROZEN ? SW_FROZEN : 0);
		l->state = LOCAL_BLOCKED;
		l->preempted = false;
		check_left(b, p, l, r, now);
		l->futex = is_futex_wait(EV_HOW_NR(out.how)) && state & TASK_INTERRUPTIBLE &&
			   !task_compat(p);
		if (unlikely(l->klock)) {
			out.state |= EV_STATE_ANNOUNCED;
			write_klock(b, l, now);
		} else if (l->futex && write_futex(b, p, l, EV_HOW_NR(out.how), now)) {
			out.state |= EV_STATE_ANNOUNCED;
		}
	}
	if (task_compat(p))
		out.flags |= SW_COMPAT;
	return out;
}

static __always_inline void get_cpu(struct buf *b, u32 cpu, struct task_struct *p, struct local *l,
				    u64 steal, u64 now)
{
	if (unlikely(l->state == LOCAL_BLOCKED))
		write_missed_wake(b, p, l, now);
	if (unlikely(l->moved))
		end_moves(b, p, l, now);
	if (unlikely(l->first_ns))
		check_before(b, l, now,
			     p->sched_info.last_queued ?
				     now - b->h.clock_ahead - p->sched_info.last_queued :
				     0);
	wait_end(l, b, cpu);
	l->waking_cpu = 0;
	l->state = LOCAL_ON_CPU;
	l->steal_mark = steal;
	l->uncharged_mark = uncharged_mark(p);
}

static __always_inline void after_switch(struct buf *b, u32 cpu, struct task_struct *p,
					 struct local *l, u32 state, u64 now)
{
	if (unlikely(state & TASK_DEAD)) {
		write_books(b, p, l, BK_DEAD, now);
		counters_total(b, p, l, now);
		wait_end(l, b, cpu);
		local_release(p);
		return;
	}
	if (unlikely(l->books)) {
		write_books(b, p, l, l->books, now);
		if (l->books & BK_END)
			counters_total(b, p, l, now);
		l->books = 0;
	}
	check_task(b, p, l, now);
}

struct switching {
	struct buf *b;
	struct task_struct *prev, *next;
	struct local *from, *to; /* NULL: not ours */
	u32 state, cpu;
	bool preempt;
	u32 prev_was; /* in a pid namespace: as whom prev got the CPU, 0: not known; when it ends it has no number any more */
};

static __always_inline u32 prev_who(const struct switching *s)
{
	return config.pid_level && !s->from && s->prev_was ? s->prev_was : who_of(s->prev, s->from);
}

static __always_inline void write_switch(const struct switching *s, const struct leave *out,
					 u64 now)
{
	struct ev_switch *rec = RESERVE_IRQS_OFF(s->b, ev_switch);

	if (!rec)
		return;
	rec->prev = prev_who(s);
	rec->next = s->b->h.cur_who;
	*(u64 *)&rec->state = (s->from ? out->state : s->state & 0xff) | out->how << 8 |
			      (u64)(s->from ? (u16)s->from->seq : 0) << 32 |
			      (u64)(s->to ? s->to->seq : 0) << 48;
	COMMIT(rec, now, EV_SWITCH, out->flags);
}

/* At least one of the two is not ours. */
static __noinline int switch_with_other(void *ctx, struct switching *s)
{
	struct local *from = s->from, *to = s->to;
	struct leave out = {};
	struct rq_read r;
	u64 now;

	if (!from) {
		barrier(); /* else the compiler makes one test of two pointers, which the verifier forbids */
		if (!to && s->prev->pid && s->next->pid && !someone_waits(s->b))
			return 0;
	}
	r = read_rq(s->prev);
	now = switch_time(s->b, s->prev, s->next, r.clock);
	if (to)
		now = not_before(s->b, to, r.clock, now);
	if (from)
		out = leave_cpu(s->b, s->cpu, s->preempt, s->prev, from, s->state, &r, now);
	else
		name_untracked(s->b, s->prev, prev_who(s), now);
	if (to)
		get_cpu(s->b, s->cpu, s->next, to, r.steal, now);
	else
		name_untracked(s->b, s->next, s->b->h.cur_who, now);
	if (from)
		stacks_at_switch(ctx, s->prev, from, now, 3);
	counters_at_switch(s->b, s->prev, from, to ? s->next : NULL, now);
	write_switch(s, &out, now);
	if (from)
		after_switch(s->b, s->cpu, s->prev, from, s->state, now);
	return 0;
}

static __always_inline int on_switch(void *ctx, bool preempt, struct task_struct *prev,
				     struct task_struct *next, u32 state)
{
	struct switching s = { .prev = prev, .next = next, .state = state, .preempt = preempt };
	struct leave out;
	struct rq_read r;
	u64 now;

	s.from = local_of(prev);
	s.to = local_of(next);
	s.cpu = bpf_get_smp_processor_id();
	s.b = buf_at(s.cpu);
	if (!s.b)
		return 0;
	if (!config.wakeups_alone)
		s.b->h.woken_task = 0;
	if (config.pid_level && s.b->h.cur_task == (u64)prev)
		s.prev_was = s.b->h.cur_who;
	s.b->h.cur_task = (u64)next;
	s.b->h.cur_who = who_of(next, s.to);
	if (likely(s.from)) {
		barrier();
		if (likely(s.to)) {
			r = read_rq(prev);
			now = not_before(s.b, s.to, r.clock, switch_time(s.b, prev, next, r.clock));
			out = leave_cpu(s.b, s.cpu, preempt, prev, s.from, state, &r, now);
			get_cpu(s.b, s.cpu, next, s.to, r.steal, now);
			stacks_at_switch(ctx, prev, s.from, now, 2);
			counters_at_switch(s.b, prev, s.from, next, now);
			write_switch(&s, &out, now);
			after_switch(s.b, s.cpu, prev, s.from, state, now);
			return 0;
		}
	}
	return switch_with_other(ctx, &s);
}

/* 5.18 gave sched_switch the state as it was on the way out (fa2c3254d7cf); before it is read from the task. */
SEC("tp_btf/sched_switch")
int BPF_PROG(switch_with_state, bool preempt, struct task_struct *prev, struct task_struct *next,
	     u32 state)
{
	return on_switch(ctx, preempt, prev, next, state);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_without_state, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return on_switch(ctx, preempt, prev, next, prev->__state);
}

/* ---- wake-ups ---- */

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

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(migrate, struct task_struct *p, int dest_cpu)
{
	struct local *l = local_of(p);
	struct ev_migrate *rec;
	u32 from, flags = 0;
	struct buf *b;

	if (!l)
		return 0;
	from = task_cpu(p);
	if (from == (u32)dest_cpu)
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	if (l->wait_cpu) {
		wait_end(l, b, bpf_get_smp_processor_id());
		wait_begin(l, b, bpf_get_smp_processor_id(), dest_cpu);
	}
	if (p->on_rq == TASK_ON_RQ_MIGRATING) {
		if (l->first_ns)
			check_before(b, l, record_time(b),
				     p->sched_info.run_delay - l->first_delay_ns);
		leave_queue(l, p);
		flags = MG_QUEUED;
	}
	rec = RESERVE_IRQS_OFF(b, ev_migrate);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->from = from;
	rec->to = dest_cpu;
	l->told_ns = record_time(b);
	COMMIT(rec, l->told_ns, EV_MIGRATE, flags);
	return 0;
}
