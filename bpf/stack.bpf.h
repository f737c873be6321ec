/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call stacks: EV_CALLS, and the stacks themselves when they are new (events.h draws it).
 *
 *   kernel   walked by the kernel, which takes 1 us for a dozen frames. There is no cheaper way to know that it is the same as last
 *            time: the kernel begins each system call at a random place of the stack, and leaves old return addresses between.
 *   user     the registers and the stack from its pointer upwards are copied, up to where the stack begins or to a limit, to be
 *            unwound later. A copy that was seen before is known by the hash of all its words. Of another one the words are
 *            cleared that cannot matter to the unwinding: only those stay that may point to code or into the copy; these make
 *            the id. So a counter or a time does not make another stack of it.
 *
 *      sp                                      the thread's first frame
 *       |  copied: what can be read, <= limit  |
 *       +--------------------------------------+-------------------------
 *       | frames, innermost first              | arguments and environment, or the thread's own descriptor
 *
 * What has been written is remembered in tables that forget: at worst a stack is written again. New user stacks have a budget, of
 * bytes per second and CPU, and no stack takes the last quarter of a buffer: a stack is given up before an event is.
 */
#ifndef WHYSCALE_STACK_BPF_H
#define WHYSCALE_STACK_BPF_H

#include "python.bpf.h"
#include "stack_tables.bpf.h"
#include "stack_user.bpf.h"

/* ---- the kernel's ---- */

/* The hash of the nr addresses in s->frames. */
__noinline u64 kernel_hash(struct stack_scratch *s, u32 nr)
{
	u64 a = nr, b = MIX_BY;

	if (!s)
		return 0;
	for (u32 i = 0; i < KSTACK_FRAMES; i += 2) {
		if (i >= nr)
			break;
		MIX(a, s->frames[i]);
		MIX(b, s->frames[i + 1]);
	}
	MIX(a, b);
	return a ? a : 1;
}

/* 0, or 1: there is no room. */
__noinline int kernel_write(struct stack_scratch *s, u64 id, u32 nr)
{
	struct buf *b = buf_of(bpf_get_smp_processor_id());
	u32 parts = (nr + FRAMES_WORDS - 1) / FRAMES_WORDS;
	struct ev_frames *rec;

	if (!s || !b)
		return 1;
	if (!room_to_spare(b, parts * sizeof(*rec))) {
		stack_count(STACK_NO_ROOM, 1);
		return 1;
	}
	for (u32 i = 0; i < KSTACK_FRAMES; i++)
		if (i >= nr)
			s->frames[i] = 0;
	for (u32 part = 0; part < KSTACK_PARTS; part++) {
		if (part >= parts)
			break;
		rec = RESERVE(b, ev_frames);
		if (!rec)
			return 1;
		rec->id = id;
		rec->part = part;
		rec->parts = parts;
		rec->cut = nr >= KSTACK_FRAMES;
		rec->pad = 0;
		rec->tgid = 0;
		__builtin_memcpy(rec->address, s->frames + part * FRAMES_WORDS,
				 sizeof(rec->address));
		COMMIT(rec, s->now, EV_KSTACK, 0);
	}
	stack_count(STACK_KERNEL_NEW, 1);
	return 0;
}

/* exact: the innermost address is the instruction itself. */
__noinline int kernel_note_addresses(struct stack_scratch *s, u32 exact)
{
	u32 how = exact ? ADDRESS_EXACT : ADDRESS_RETURN;

	for (u32 i = 0; s && i < KSTACK_FRAMES; i++) {
		if (!s->frames[i])
			break;
		if (bpf_map_update_elem(&kernel_addresses, &s->frames[i], &how, BPF_ANY))
			stack_count(STACK_NO_NAME, 1);
		how = ADDRESS_RETURN;
	}
	return 0;
}

/* The id of the nr addresses in s->frames, written if they are new; 0: there is no room. */
static __always_inline u64 kernel_stack_id(struct stack_scratch *s, u32 nr, bool exact)
{
	u64 id;

	s->frames[nr & (FRAMES_ROUND - 1)] = 0; /* the hash goes by twos */
	id = kernel_hash(s, nr);
	if (id_is_seen(id))
		return id;
	if (kernel_write(s, id, nr))
		return 0;
	kernel_note_addresses(s, exact);
	id_set_seen(id);
	return id;
}

/* Walks the kernel stack of `ctx`; the innermost `skip` frames are our own. Its id, or 0. */
static __always_inline u64 kernel_walk(void *ctx, struct stack_scratch *s, u32 skip, bool exact)
{
	long bytes = bpf_get_stack(ctx, s->frames, KSTACK_FRAMES * 8, skip);

	return bytes > 0 ? kernel_stack_id(s, bytes / 8, exact) : 0;
}

/* ---- the record ---- */

static __always_inline void write_calls(struct buf *b, const struct stack_scratch *s, u32 who,
					u32 seq, u64 kernel, u64 user, u64 python)
{
	struct ev_calls *rec = RESERVE(b, ev_calls);

	if (!rec)
		return;
	rec->who = who;
	rec->seq = seq;
	rec->pad = 0;
	rec->kernel = kernel;
	rec->user = user;
	rec->python = python;
	COMMIT(rec, s->now, EV_CALLS, s->flags);
	stack_count(STACK_CALLS, 1);
}

/* What a scheduler hook asks for, see stacks_now(). */
#define HOW_OFF CL_OFF
#define HOW_WAKE CL_WAKE
#define HOW_DEPTH(depth) \
	((depth) << 4) /* how many of our functions call each other, stacks_now() included */
#define HOW_DEPTH_OF(how) ((how) >> 4 & 0xf)
#define HOW_INTERRUPT \
	0x100 /* an interrupt does it: the user stack of whom it came upon is no cause */

/*
 * The stacks of p, the current task, at a scheduler event. l: its storage, or NULL: it is not ours, and its user stack is of no
 * use. For programs that run with interrupts off.
 */
static __noinline int stacks_now(void *ctx, struct task_struct *p, struct local *l, u64 now,
				 u32 how)
{
	u64 kernel, user = 0, python = 0;
	struct stack_scratch *s = stack_here();
	u32 who, seq = 0, flags;
	struct buf *b = buf_of(bpf_get_smp_processor_id());

	if (!s || !b || !p)
		return 0;
	s->now = now;
	s->flags = how & CL_ABOUT;
	kernel = kernel_walk(ctx, s, HOW_DEPTH_OF(how), false);
	if (!kernel)
		s->flags |= CL_NO_KERNEL;
	who = p->pid ? p->pid | WHO_UNTRACKED : WHO_IDLE;
	if (l) {
		who = l->serial;
		seq = l->seq;
		if (!(how & HOW_INTERRUPT) && !(p->flags & PF_KTHREAD)) {
			save_regs(s->words, (struct pt_regs *)bpf_task_pt_regs(p));
			user = user_stack(s, p);
			flags = s->flags;
			python = python_stack(p, l, now, &flags);
			s->flags = flags;
		}
	}
	write_calls(b, s, who, seq, kernel, user, python);
	return 0;
}

/* p leaves the CPU. Its seq counts that already. */
static __always_inline void stacks_at_switch(void *ctx, struct task_struct *p, struct local *l,
					     u64 now, u32 depth)
{
	if (!(config.stacks & (STACKS_OFF | STACKS_LOCK)) || p->__state & TASK_DEAD)
		return;
	if (!(config.stacks & STACKS_OFF) && !(l->futex && l->state == LOCAL_BLOCKED))
		return;
	stacks_now(ctx, p, l, now, HOW_OFF | HOW_DEPTH(depth));
}

/* The current task wakes a thread of ours, or an interrupt does. */
static __always_inline void stacks_at_wake(void *ctx, struct buf *b)
{
	struct task_struct *p;
	u32 how = HOW_WAKE | HOW_DEPTH(2);

	if (!(config.stacks & STACKS_WAKE))
		return;
	p = bpf_get_current_task_btf();
	if (waker_context(b) & (WK_HARDIRQ | WK_SOFTIRQ))
		how |= HOW_INTERRUPT;
	stacks_now(ctx, p, local_of(p), now_ns(), how);
}

#endif
