/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call stacks: EV_CALLS, and the stacks themselves when they are new (events.h draws it).
 *
 *   kernel   walked by the kernel, or known again by its return addresses (stack_kernel.bpf.h).
 *   user     the registers and the stack from its pointer upwards are copied, up to where the stack begins or to a limit, to be
 *            unwound later. A copy that was seen before is known by the hash of all its words. Of another one the words are
 *            cleared that cannot matter to the unwinding: only those stay that may point to code or into the copy; these make
 *            the id. So a counter or a time does not make another stack of it. Where the limit has cut the copy, frame pointers
 *            lead on: chain_step().
 *
 * Why not by frame pointers from the beginning: at a function's first and last instructions there is none yet or no more, and the
 * caller would be missing; and within a library without them, which the C library is, the register may hold anything. No test in the
 * kernel can tell, the call frame information can, afterwards. Nor would it be cheaper: scripts/bench-stacks measures both.
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
#include "stack_kernel.bpf.h"
#include "stack_user.bpf.h"

/* The registers with which p, the current task, entered the kernel: where its user stack begins. */
static __always_inline void user_registers(struct stack_scratch *s, struct task_struct *p)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(p);
	u32 call = regs_syscall(regs);

	save_regs(s->words, regs);
	if (call == NR_EXECVE || call == NR_EXECVEAT)
		s->more |= CL2_EXEC;
}

/* What a scheduler hook asks for, see stacks_now(). */
#define HOW_OFF CL_OFF
#define HOW_WAKE CL_WAKE
#define HOW_DEPTH(depth) \
	((depth) << 4) /* how many of our functions call each other, stacks_now() included */
#define HOW_DEPTH_OF(how) ((how) >> 4 & 0xf)
#define HOW_INTERRUPT \
	0x100 /* an interrupt does it: the user stack of whom it came upon is no cause */

/* The user stack with which p, the current task, entered the kernel. */
static __always_inline u64 user_now(struct stack_scratch *s, struct task_struct *p, struct local *l)
{
	user_registers(s, p);
	return user_stack(s, p, l);
}

/* The Python frames of p, the current task. */
static __always_inline u64 python_now(struct stack_scratch *s, struct task_struct *p,
				      struct local *l)
{
	u32 flags;
	u64 id;

	if (!s || !p || !l)
		return 0;
	flags = s->flags;
	id = python_stack(p, l, s->now, &flags);
	s->flags = flags;
	return id;
}

/*
 * The stacks of p, the current task, at a scheduler event. l: its storage, or NULL: it is not ours, and its user stack is of no
 * use. For programs that run with interrupts off.
 */
static __noinline int stacks_now(void *ctx, struct task_struct *p, struct local *l, u64 now,
				 u32 how)
{
	u64 kernel, user = 0, python = 0;
	struct stack_scratch *s = stack_here();
	u32 who, seq = 0;
	struct buf *b = buf_of(bpf_get_smp_processor_id());

	if (!s || !b || !p)
		return 0;
	s->now = now;
	s->flags = how & CL_ABOUT;
	s->more = 0;
	if (how & HOW_INTERRUPT)
		kernel = kernel_walk(ctx, s, HOW_DEPTH_OF(how), false);
	else
		kernel = kernel_stack(ctx, s, p, HOW_DEPTH_OF(how), how);
	if (!kernel)
		s->flags |= CL_NO_KERNEL;
	who = l ? 0 : current_who(b, p); /* only wakers may be others */
	if (l) {
		who = l->serial;
		seq = l->seq;
		if (!(how & HOW_INTERRUPT) && !(p->flags & PF_KTHREAD)) {
			user = user_now(s, p, l);
			if (config.python)
				python = python_now(s, p, l);
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
	if (waker_context(b, p) & (WK_HARDIRQ | WK_SOFTIRQ))
		how |= HOW_INTERRUPT;
	stacks_now(ctx, p, local_of(p), now_ns(), how);
}

#endif
