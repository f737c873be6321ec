// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stacks of threads that sleep when the recording begins: what they have slept in since before it, no switch-out will show.
 *
 * Each is written as that of the last switch-out: EV_CALLS with its seq, 0 when the recording begins, once the snapshot
 * (snapshot.bpf.h) has told that the thread is blocked. Another thread's memory is read here, for its Python frames too, which may have
 * to wait for a page: so this program may sleep, and has scratches of its own. If the thread was woken meanwhile nothing is written.
 * The kernel leaves its scheduler's functions out of the stack of another thread, as in /proc/PID/stack: schedule(), __schedule(),
 * mutex_lock() are innermost at a switch-out only.
 */
#define PY_ANOTHER
#include "python.bpf.h"
#include "stack_kernel.bpf.h"
#include "stack_user.bpf.h"

char LICENSE[] SEC("license") = "GPL v2";

#define FIRST_BUDGET \
	(64 << 20) /* bytes of new stacks: what is too much for the buffer is given up anyway */

const volatile bool python_refused; /* config.python was set, but this kernel does not take it here */

static __always_inline u64 python_of(struct stack_scratch *s, struct task_struct *p,
				     struct local *l)
{
	u32 flags = s->flags, tgid = l->tgid;
	u64 id = 0;

	if (python_refused && bpf_map_lookup_elem(&py_processes, &tgid))
		flags |= CL_NO_PYTHON;
	else
		id = python_stack(p, l, s->now, &flags);
	s->flags = flags;
	return id;
}

static __always_inline bool sleeps(struct task_struct *p, const struct local *l)
{
	return l->state == LOCAL_BLOCKED && (written_key || !l->seq) && !READ_ONCE(p->on_cpu) &&
	       !(READ_ONCE(p->__state) & TASK_DEAD);
}

/* As user_copy(), of another process. */
static __always_inline u32 copy_stack(struct stack_scratch *s, struct task_struct *p)
{
	u64 want = (s->end - s->sp) & ~7ull, done = 0;
	u8 *to = (u8 *)(s->words + STACK_REGS);

	if (want > STACK_LIMIT)
		want = STACK_LIMIT;
	for (u32 i = 0; i <= STACK_LIMIT / PAGE; i++) {
		u64 bytes = PAGE - ((s->sp + done) & (PAGE - 1));

		if (done >= want || done > STACK_LIMIT)
			break;
		if (bytes > want - done)
			bytes = want - done;
		barrier_var(bytes); /* as there: 6.1 */
		if (bytes > PAGE ||
		    bpf_copy_from_user_task(to + done, bytes, (void *)(s->sp + done), p, 0))
			break;
		done += bytes;
	}
	done &= ~7ull;
	if (done > STACK_LIMIT)
		done = STACK_LIMIT;
	clear_words(s, STACK_REGS + done / 8, 8);
	return done;
}

static __always_inline u64 user_stack_of(struct stack_scratch *s, struct task_struct *p,
					 const struct local *l)
{
	struct mm_struct *mm = p->mm;
	u32 bytes;
	u64 id;

	if (!mm || p->flags & PF_KTHREAD)
		return 0;
	save_regs(s->words, (struct pt_regs *)bpf_task_pt_regs(p));
	s->sp = s->words[1];
	s->end = user_stack_end(p, mm, s->sp);
	user_limits(s, l, mm);
	if (task_compat(p) || !s->words[0]) {
		s->flags |= CL_NO_USER;
		return 0;
	}
	bytes = copy_stack(s, p);
	s->chain = 0;
	clear_registers(s, bytes);
	id = user_stack_written(s, bytes);
	if (!id)
		s->flags |= CL_NO_USER;
	return id;
}

static __always_inline u64 kernel_stack_of(struct stack_scratch *s, struct task_struct *p)
{
	long bytes = bpf_get_task_stack(p, s->frames, KSTACK_FRAMES * 8, 0);
	u64 id = bytes > 0 ? kernel_stack_id(s, (u32)bytes / 8, false) : 0;

	if (!id)
		s->flags |= CL_NO_KERNEL;
	return id;
}

SEC("iter.s/task")
int asleep(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct stack_scratch *s;
	u64 kernel, user, python = 0, switches;
	u32 seq;
	struct local *l;
	struct buf *b;
	u32 zero = 0;

	if (!p)
		return 0;
	l = local_of(p);
	s = bpf_map_lookup_elem(&stack_scratch, &zero);
	b = buf_here();
	if (!l || !s || !b || !sleeps(p, l))
		return 0;
	seq = READ_ONCE(l->seq);
	switches = READ_ONCE(p->nvcsw) + READ_ONCE(p->nivcsw);
	s->now = s->budget_time = record_time(b);
	s->budget = FIRST_BUDGET;
	s->flags = CL_OFF;
	s->more = 0;
	kernel = kernel_stack_of(s, p);
	user = user_stack_of(s, p, l);
	if (user)
		python = python_of(s, p, l);
	if (sleeps(p, l) && seq == READ_ONCE(l->seq) &&
	    switches == READ_ONCE(p->nvcsw) + READ_ONCE(p->nivcsw))
		write_calls(b, s, l->serial, (u16)seq, kernel, user, python);
	return 0;
}
