/* SPDX-License-Identifier: GPL-2.0-only */
/* Before the first event and after the last: what runs already, and the kernel's books at the end. */
#ifndef WHYSCALE_SNAPSHOT_BPF_H
#define WHYSCALE_SNAPSHOT_BPF_H

#include "life.bpf.h"

enum { TARGET_TGID = 1, TARGET_TID = 2, TARGET_COMMAND = 4 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u32);
} targets SEC(".maps"); /* tid or tgid: TARGET_* */

static __always_inline u32 wanted(struct task_struct *p)
{
	u32 tid, tgid, *how;

	if ((u32)p->tgid == config.self_tgid)
		return 0;
	tid = tid_of(p);
	tgid = tgid_of(p);
	if (config.mode == MODE_ALL)
		return tid ? TARGET_TGID : 0;
	how = bpf_map_lookup_elem(&targets, &tid);
	if (how && *how & (TARGET_TID | TARGET_COMMAND))
		return *how;
	how = bpf_map_lookup_elem(&targets, &tgid);
	return how && *how & TARGET_TGID ? *how : 0;
}

/*
 * p is ready to run: since when it was preempted? Then the two clocks of its run queue were read at one moment, as exec_start and last_queued,
 * and differ by what they differ by now, if nothing was stolen since (and p was not moved): else it is not known.
 */
static __always_inline u32 queued_how(struct task_struct *p)
{
	u64 queued = p->sched_info.last_queued, charged = p->se.exec_start, task;
	struct rq *rq = p->se.cfs_rq->rq;

	if (task_throttled(p))
		return SM_KNOWN | SM_QUEUED | SM_THROTTLED;
	if (!p->sched_info.pcount && queued)
		return SM_KNOWN | SM_QUEUED;
	task = READ_ONCE(rq->clock_task);
	return queued && charged && queued - charged == READ_ONCE(rq->clock) - task ?
		       SM_KNOWN | SM_QUEUED | SM_PREEMPTED :
		       0;
}

/* To where no interrupt of this CPU can come between: the iterator runs with interrupts on. */
#define NO_CPU 0xffffffffu

/*
 * State, then books, then a look whether the thread moved meanwhile: if none of its switches or wake-ups came between, both hold
 * and the audit may start here, else it starts at its next switch-out.
 */
static __always_inline void snap(struct buf *b, struct task_struct *p, struct local *l, u32 how)
{
	struct ev_thread *rec = RESERVE(b, ev_thread);
	u32 state, flags, seq = l->seq;
	u64 now;

	if (!rec)
		return;
	now = record_time(b);
	state = p->__state;
	flags = (how & TARGET_COMMAND ? SN_TARGET : 0) | (p->flags & PF_KTHREAD ? SN_KTHREAD : 0);
	fill_thread(rec, p, l);
	if (p->on_cpu)
		flags |= SN_ON_CPU;
	else if (!p->on_rq || task_delayed(p))
		flags |= SN_BLOCKED | (in_iowait(p) ? SN_IOWAIT : 0) |
			 (state & TASK_FROZEN ? SN_FROZEN : 0);
	else
		rec->more = queued_how(p);
	rec->parent = 0;
	rec->clone_flags = 0;
	rec->how = flags & SN_BLOCKED ? how_of(p, l) : EV_NO_SYSCALL;
	rec->state = state;
	l->delay_ns = p->sched_info.run_delay;
	l->pcount = p->sched_info.pcount;
	l->nivcsw = p->nivcsw;
	if (l->state == LOCAL_UNKNOWN && l->seq == seq) {
		l->state = flags & SN_ON_CPU  ? LOCAL_ON_CPU :
			   flags & SN_BLOCKED ? LOCAL_BLOCKED :
			   rec->more          ? LOCAL_QUEUED :
						LOCAL_UNKNOWN;
		l->preempted = rec->more & SM_PREEMPTED;
	} else {
		flags &= ~(SN_ON_CPU | SN_BLOCKED | SN_IOWAIT | SN_FROZEN);
		rec->more = 0;
	}
	if (rec->more)
		wait_begin(l, b, NO_CPU, task_cpu(p));
	COMMIT(rec, now, EV_SNAP, flags);
	if (flags & SN_BLOCKED && !p->on_rq)
		write_books(b, p, l, BK_FIRST, record_time(b));
	else
		l->books = BK_FIRST;
	l->steal_mark = rq_steal(p->se.cfs_rq->rq);
}

SEC("iter/task")
int snapshot(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct local *l;
	struct buf *b;
	u32 how;

	if (!p)
		return 0;
	how = wanted(p);
	if (!how || local_of(p))
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	l = track(b, p);
	if (!l)
		return 0;
	l->no_inherit = how & TARGET_TID;
	snap(b, p, l, how);
	write_task(b, p, l, record_time(b));
	return 0;
}

/*
 * Off the CPU, the books are as of the last switch-out. On it they are not: then the next switch-out writes them, and the recorder
 * makes one happen by visiting every CPU.
 */
SEC("iter/task")
int final_books(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct local *l;
	struct buf *b;

	if (!p)
		return 0;
	l = local_of(p);
	if (!l || p->__state & TASK_DEAD)
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	if (p->on_cpu || l->books) {
		l->books |= BK_END;
	} else {
		write_books(b, p, l, BK_END, record_time(b));
		counters_total(b, p, l, record_time(b));
	}
	return 0;
}

#endif
