/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where `record --keep` may let go of all that was written before: every tracked thread as it is now, so that a trace can begin here.
 *
 *   EV_FUTEX or EV_KLOCK that it waits for, EV_SNAP (its state, and the seq as of it), EV_TASK, and EV_BOOKS where they hold at that moment; else at its next switch-out
 *
 * These go to who iterates, not into the buffers: only the trace that begins here has them.
 *
 * Other CPUs go on meanwhile. A thread's programs read the clock first and change its storage then, some 0.2 us later. So what is
 * read twice, with the record's time between the two and some distance from both, holds at that time:
 *
 *      storage            time            storage, the same: EV_SNAP stands behind all records of the thread that
 *   ------|--- 0.5 us ------|------ 2 us ------|---->       made this state, and before all that follow
 */
#ifndef WHYSCALE_KEY_FRAME_BPF_H
#define WHYSCALE_KEY_FRAME_BPF_H

#include "life.bpf.h"

#define KEY_BEFORE_NS 500
#define KEY_BEHIND_NS 2000
#define KEY_CLOCK_READS 200 /* of some 20 ns */
#define KEY_TRIES 3

struct key_frame {
	struct ev_thread thread;
	struct ev_task task;
	struct ev_books books;
};

static __always_inline void key_wait(u64 until)
{
	for (u32 i = 0; i < KEY_CLOCK_READS; i++)
		if (now_ns() >= until)
			break;
}

/* The state by the storage, where the task itself does not say otherwise (a switch or wake-up that no probe saw). */
static __always_inline u32 key_flags(struct task_struct *p, const struct local *l, u32 state,
				     struct ev_thread *rec)
{
	bool queued = p->on_rq && !task_delayed(p);

	rec->more = 0;
	rec->state = p->__state;
	rec->how = EV_NO_SYSCALL;
	switch (state) {
	case LOCAL_ON_CPU:
		if (!p->on_cpu)
			return 0;
		rec->more = SM_KNOWN;
		return SN_ON_CPU;
	case LOCAL_BLOCKED:
		if (queued)
			return 0;
		rec->more = SM_KNOWN;
		rec->how = how_of(p, l);
		return SN_BLOCKED | (in_iowait(p) ? SN_IOWAIT : 0) |
		       (p->__state & TASK_FROZEN ? SN_FROZEN : 0);
	case LOCAL_QUEUED:
		rec->more = SM_KNOWN | SM_QUEUED | (l->preempted ? SM_PREEMPTED : 0) |
			    (queued && task_throttled(p) ? SM_THROTTLED : 0);
		return 0;
	default:
		return 0;
	}
}

/* Fills thread and books. False: the state changed meanwhile. */
static __noinline int key_look(struct task_struct *p, struct local *l, struct key_frame *key)
{
	u32 seq, state, flags;
	u64 now;

	if (!p || !l || !key)
		return 0;
	seq = READ_ONCE(l->seq);
	state = READ_ONCE(l->state);
	key_wait(now_ns() + KEY_BEFORE_NS);
	now = now_ns();
	flags = key_flags(p, l, state, &key->thread);
	key->thread.seq = seq;
	fill_books(&key->books, p, l);
	key->books.delay_ns = p->sched_info.run_delay;
	if (p->flags & PF_KTHREAD)
		flags |= SN_KTHREAD;
	key->thread.w0 = EV_WORD0(now, sizeof(key->thread) / 8, EV_SNAP, flags);
	key->task.w0 = EV_WORD0(now, sizeof(key->task) / 8, EV_TASK, 0);
	key->books.w0 = EV_WORD0(now, sizeof(key->books) / 8, EV_BOOKS,
				 BK_FIRST | (steal_known() ? BK_STEAL : 0));
	key_wait(now + KEY_BEHIND_NS);
	return READ_ONCE(l->seq) == seq && READ_ONCE(l->state) == state;
}

/* What the thread waits for, as it was told when it began to. Not 0: there is no room. */
static __noinline int key_wait_of(struct seq_file *seq, struct local *l,
				  const struct ev_thread *thread)
{
	u64 now = EV_TIME(thread->w0);
	struct ev_klock klock = {};
	struct ev_futex futex;

	if (!seq || !l)
		return 0;
	if (l->klock) {
		klock.w0 = EV_WORD0(now, sizeof(klock) / 8, EV_KLOCK, 0);
		klock.who = l->serial;
		klock.seq = thread->seq;
		klock.lock = l->klock;
		return bpf_seq_write(seq, &klock, sizeof(klock));
	}
	if (!l->futex)
		return 0;
	futex.w0 = EV_WORD0(now, sizeof(futex) / 8, EV_FUTEX, l->waits_flags);
	futex.who = thread->who;
	futex.seq = l->waits_seq;
	futex.pad = 0;
	futex.uaddr = l->waits_uaddr;
	futex.pc = l->waits_pc;
	futex.op = l->waits_op;
	futex.val = l->waits_val;
	futex.word = l->waits_word;
	__builtin_memcpy(futex.near, l->waits_near, sizeof(futex.near));
	if (futex.seq != thread->seq)
		return 0;
	return bpf_seq_write(seq, &futex, sizeof(futex));
}

SEC("iter/task")
int key_frame(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct key_frame key;
	struct local *l;
	bool known = false, books, blocked;

	if (!p)
		return 0;
	l = local_of(p);
	if (!l || p->__state & TASK_DEAD)
		return 0;
	fill_thread(&key.thread, p, l);
	key.thread.parent = l->parent;
	key.thread.clone_flags = 0;
	fill_task(&key.task, p, l);
	for (u32 i = 0; i < KEY_TRIES && !known; i++)
		known = key_look(p, l, &key);
	if (!known) {
		key.thread.w0 = EV_WORD0(EV_TIME(key.thread.w0), sizeof(key.thread) / 8, EV_SNAP,
					 EV_FLAGS(key.thread.w0) & SN_KTHREAD);
		key.thread.more = 0;
	}
	blocked = known && EV_FLAGS(key.thread.w0) & SN_BLOCKED;
	books = blocked && !p->on_rq;
	if (blocked && key_wait_of(ctx->meta->seq, l, &key.thread))
		return 0;
	if (bpf_seq_write(ctx->meta->seq, &key,
			  books ? sizeof(key) : sizeof(key) - sizeof(key.books)))
		return 0; /* no room: it is met again */
	if (books) {
		l->first_ns = EV_TIME(key.books.w0);
		l->first_delay_ns = key.books.delay_ns;
	} else {
		l->books |= BK_FIRST;
	}
	return 0;
}

#endif
