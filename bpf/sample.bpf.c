// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples on the CPU: the stacks of the tracked thread that a timer, or a counter of cycles that has run over, has interrupted.
 *
 * A timer's comes in a hard interrupt, a counter's in an NMI: also within another program's, which is why this has a scratch of
 * its own, and why config.nmi_writers is set then. Uses the buffers and the thread storage of sched.bpf.c.
 */
#include "stack.bpf.h"

char LICENSE[] SEC("license") = "GPL v2";

/* User space is the lower half of the addresses. */
static __always_inline bool in_user_space(u64 pc)
{
	return (s64)pc >= 0;
}

static __always_inline int take_sample(struct sample_regs *ctx, struct task_struct *p,
				       struct local *l)
{
	u64 kernel = 0, user = 0, python = 0;
	struct stack_scratch *s = stack_here();
	struct buf *b = buf_here();
	u32 flags;

	if (!s || !b)
		return 0;
	s->now = now_ns();
	s->flags = CL_SAMPLE;
	s->more = 0;
	save_sample_regs(s->words, ctx);
	if (in_user_space(sample_pc(ctx))) {
		s->flags |= CL_USER_MODE;
	} else {
		kernel = kernel_walk(ctx, s, 0, true);
		if (!kernel)
			s->flags |= CL_NO_KERNEL;
	}
	if (!(p->flags & PF_KTHREAD)) {
		barrier(); /* two kinds of pointer: the loads must stay apart */
		if (!(s->flags & CL_USER_MODE))
			user_registers(s, p);
		user = user_stack(s, p, l);
		flags = s->flags;
		python = python_stack(p, l, s->now, &flags);
		s->flags = flags;
	}
	write_calls(b, s, l->serial, l->seq, kernel, user, python);
	return 0;
}

SEC("perf_event")
int sample(struct sample_regs *ctx)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct local *l;

	if (!p->pid)
		return 0;
	l = local_of(p);
	return l ? take_sample(ctx, p, l) : 0;
}
