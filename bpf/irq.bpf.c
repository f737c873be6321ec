// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts that a CPU serves while a tracked thread waits on its run queue (EV_IRQ). Whom they come upon does not get that time,
 * and the scheduler does not see it: a wait's account of who had the CPU is finer with it.
 *
 *    entry            entry   exit                exit
 *      |----------------|=======|-------------------|          one record, at the last exit, with the whole length
 *    depth 1            2       1                   0
 *
 * The time is read at the outermost entry, and only when somebody waits; else a few words of the CPU's own are read and written.
 * An interrupt that itself wakes the first thread that waits says so (IQ_BEFORE). Soft interrupts count wherever they are served:
 * on the way out of a hard one, where a task enables them again, and in ksoftirqd, whose slice is then only what is left. A
 * kernel with PREEMPT_RT serves them in threads that can be switched out: there the two programs are not loaded.
 *
 * The exits stand first, as they are attached in this order: an entry that is seen has its exit. Uses the buffers of sched.bpf.c.
 */
#include "common.bpf.h"

char LICENSE[] SEC("license") = "GPL v2";

static __always_inline struct buf *buf_quietly(void)
{
	return buf_of(bpf_get_smp_processor_id());
}

static __always_inline int enter(void)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct buf *b = buf_quietly();

	if (unlikely(!b))
		return 0;
	/* No switch happens inside: another task tells that an exit was missed. */
	if (b->h.irq_depth && likely(b->h.irq_task == task)) {
		b->h.irq_depth++;
		return 0;
	}
	b->h.irq_depth = 1;
	b->h.irq_task = task;
	b->h.irq_since = 0;
	if (unlikely(someone_waits(b))) {
		b->h.runs++;
		b->h.irq_since = now_ns();
	}
	return 0;
}

/* Until it is written this one is the outermost: what comes between is inside of it. */
static __always_inline void write_irq(struct buf *b)
{
	u64 since = b->h.irq_since, now;
	struct ev_irq *rec;

	b->h.runs++;
	rec = RESERVE(b, ev_irq);
	if (!rec)
		return;
	now = record_time(b);
	rec->ns = since ? now - since : 0;
	COMMIT(rec, now, EV_IRQ, since ? 0 : IQ_BEFORE);
}

static __always_inline int leave(void)
{
	struct buf *b = buf_quietly();

	if (unlikely(!b) || !b->h.irq_depth)
		return 0;
	if (b->h.irq_depth == 1 && unlikely(b->h.irq_since || someone_waits(b)))
		write_irq(b);
	b->h.irq_depth--;
	return 0;
}

#define EXIT(event)                          \
	SEC("tp_btf/" #event "_exit")        \
	int event##_exit(unsigned long *ctx) \
	{                                    \
		return leave();              \
	}
#define ENTRY(event)                          \
	SEC("tp_btf/" #event "_entry")        \
	int event##_entry(unsigned long *ctx) \
	{                                     \
		return enter();               \
	}

/* A kernel has only some of them: local_timer to irq_work are vectors of x86, ipi is of arm64. */
EXIT(irq_handler)
EXIT(softirq)
EXIT(local_timer)
EXIT(reschedule)
EXIT(call_function)
EXIT(call_function_single)
EXIT(irq_work)
EXIT(ipi)

ENTRY(irq_handler)
ENTRY(softirq)
ENTRY(local_timer)
ENTRY(reschedule)
ENTRY(call_function)
ENTRY(call_function_single)
ENTRY(irq_work)
ENTRY(ipi)
