// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler's events of the tracked threads, and of the CPUs on which they wait.
 *
 *   sched_switch      always when a tracked thread leaves or gets the CPU, or the CPU goes idle or wakes; others' switches
 *                     only while a tracked thread waits on that CPU's run queue
 *   migrate
 *   wake-ups: wake.bpf.h
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
#include "wake.bpf.h"

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
