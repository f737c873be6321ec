/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a thread waits for in a futex call, read when it leaves the CPU: the call's arguments from its saved registers, the futex
 * word and what stands beside it from its memory, and now and then its stack. So a call that does not block costs nothing.
 */
#ifndef WHYSCALE_FUTEX_BPF_H
#define WHYSCALE_FUTEX_BPF_H

#include "common.bpf.h"

#define TASK_INTERRUPTIBLE 0x01

/* struct futex_waitv of include/uapi/linux/futex.h */
struct waitv {
	u64 val, uaddr;
	u32 flags, reserved;
};

/*
 * The stack samples written of late: a thread group waiting at one place for one word is written once a second. Two that share a
 * line only make each other be written again; races too.
 */
#define STACK_SEEN 4096
u64 stack_seen[STACK_SEEN];

static __always_inline bool stack_is_new(u64 key, u64 now)
{
	u32 i;

	key ^= key >> 29;
	key *= 0xbf58476d1ce4e5b9;
	key ^= key >> 32;
	i = key & (STACK_SEEN - 1);
	key = (key & ~0xffffull) | (now >> 30 & 0xffff);
	if (stack_seen[i] == key)
		return false;
	stack_seen[i] = key;
	return true;
}

static __always_inline void write_stack_part(struct buf *b, const struct local *l, u64 now,
					     struct pt_regs *regs, u64 sp, u32 part)
{
	struct ev_stack *rec = RESERVE_IRQS_OFF(b, ev_stack);
	u64 *words;
	long r;

	if (!rec)
		return;
	rec->who = l->serial;
	rec->seq = l->seq;
	rec->part = part;
	rec->parts = STACK_PARTS;
	words = rec->words;
	if (!part) {
		save_regs(words, regs);
		r = bpf_probe_read_user(words + STACK_REGS, (STACK_WORDS - STACK_REGS) * 8,
					(void *)sp);
	} else {
		r = bpf_probe_read_user(words, STACK_WORDS * 8, (void *)sp);
	}
	(void)r; /* what cannot be read is zeros */
	COMMIT(rec, now, EV_STACK, 0);
}

static __noinline int write_stack(struct buf *b, const struct local *l, u64 now,
				  struct pt_regs *regs)
{
	u64 sp;

	if (!b || !l || !regs)
		return 0;
	sp = regs_sp(regs);
	write_stack_part(b, l, now, regs, sp, 0);
	sp += (STACK_WORDS - STACK_REGS) * 8;
	for (u32 part = 1; part < STACK_PARTS; part++) {
		write_stack_part(b, l, now, regs, sp, part);
		sp += STACK_WORDS * 8;
	}
	return 0;
}

static __always_inline bool is_futex_wait(u32 nr)
{
	return nr == NR_FUTEX || nr == NR_FUTEX_WAITV || nr == NR_FUTEX_WAIT;
}

static __always_inline bool in_futex_wait(struct task_struct *p)
{
	return !(p->flags & PF_KTHREAD) && !task_compat(p) &&
	       is_futex_wait(regs_syscall((struct pt_regs *)bpf_task_pt_regs(p)));
}

/* For a trace that begins while it waits: key_frame.bpf.h. */
static __always_inline void keep_futex(struct local *l, const struct ev_futex *rec, u32 flags)
{
	l->waits_seq = rec->seq;
	l->waits_flags = flags;
	l->waits_uaddr = rec->uaddr;
	l->waits_pc = rec->pc;
	l->waits_op = rec->op;
	l->waits_val = rec->val;
	l->waits_word = rec->word;
	__builtin_memcpy(l->waits_near, rec->near, sizeof(l->waits_near));
}

/*
 * p, the current task, is about to leave the CPU in the futex call nr. Its seq counts that already.
 * Returns 1 if there is something to tell, even if there is no room for it.
 */
static __noinline int write_futex(struct buf *b, struct task_struct *p, struct local *l, u32 nr,
				  u64 now)
{
	struct pt_regs *regs;
	struct waitv first = {};
	u64 uaddr, op, val, timeout, pc;
	struct ev_futex *rec;
	u32 flags = 0;

	if (!b || !p || !l)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(p);
	pc = regs_pc(regs);
	uaddr = regs_arg1(regs);
	op = regs_arg2(regs);
	val = regs_arg3(regs);
	timeout = regs_arg4(regs);
	if (nr == NR_FUTEX_WAITV) {
		if (bpf_probe_read_user(&first, sizeof(first), (void *)uaddr))
			return 0;
		uaddr = first.uaddr;
		op = first.flags;
		val = first.val;
		flags |= FX_VECTOR | FX_FUTEX2;
	} else if (nr == NR_FUTEX_WAIT) { /* uaddr, val, mask, flags, timeout, clock */
		val = op;
		op = timeout;
		timeout = regs_arg5(regs);
		flags |= FX_FUTEX2;
	}
	if (timeout)
		flags |= FX_TIMEOUT;
	if (stack_is_new((uaddr ^ pc * 0x9e3779b97f4a7c15) + p->tgid, now))
		write_stack(b, l, now, regs);
	rec = RESERVE_IRQS_OFF(b, ev_futex);
	if (!rec)
		return 1;
	rec->who = l->serial;
	rec->seq = l->seq;
	rec->pad = 0;
	rec->uaddr = uaddr;
	rec->pc = pc;
	rec->op = op;
	rec->val = val;
	if (!bpf_probe_read_user(&rec->word, sizeof(rec->word), (void *)uaddr))
		flags |= FX_READ;
	if (!bpf_probe_read_user(rec->near, sizeof(rec->near), (void *)(uaddr + 8)))
		flags |= FX_NEAR;
	if (config.keep)
		keep_futex(l, rec, flags);
	COMMIT(rec, now, EV_FUTEX, flags);
	return 1;
}

/*
 * Why the futex wait of p ends, seen from its waker: an interrupt is a timer or a signal; a thread that is in no futex call, while a
 * signal waits for p, sent that signal; else it wakes by its unlock, or by its end.
 */
static __always_inline u32 why_woken(struct task_struct *p, struct task_struct *waker, u32 context)
{
	bool by_interrupt = context & (WK_HARDIRQ | WK_SOFTIRQ);
	u64 pending;

	if (!by_interrupt && in_futex_wait(waker))
		return WHY_WOKEN;
	pending = (p->pending.signal.sig[0] | p->signal->shared_pending.signal.sig[0]) &
		  ~p->blocked.sig[0];
	if (pending)
		return WHY_SIGNAL;
	return by_interrupt ? WHY_TIMEOUT : WHY_WOKEN;
}

#endif
