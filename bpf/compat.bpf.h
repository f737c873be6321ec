/* SPDX-License-Identifier: GPL-2.0-only */
/* Every difference between kernel versions and architectures that our programs meet, each with the release that made it. */
#ifndef WHYSCALE_COMPAT_BPF_H
#define WHYSCALE_COMPAT_BPF_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* 5.16 moved a task's CPU into thread_info on every architecture (bcf9033e5449). */
static __always_inline u32 task_cpu(struct task_struct *p)
{
	if (bpf_core_field_exists(p->thread_info.cpu))
		return p->thread_info.cpu;
	return p->cpu;
}

/* 6.12 lets a thread that sleeps stay on the run queue until it is picked (152e11f6df29, delayed dequeue). */
static __always_inline bool task_delayed(struct task_struct *p)
{
	return bpf_core_field_exists(p->se.sched_delayed) && p->se.sched_delayed;
}

/* 6.18 throttles task by task (e1fad12dcb66); before, the whole cfs_rq stood still. */
static __always_inline bool task_throttled(struct task_struct *p)
{
	if (bpf_core_field_exists(p->throttled))
		return p->throttled;
	if (bpf_core_field_exists(p->se.cfs_rq->throttle_count))
		return p->se.cfs_rq->throttle_count > 0;
	return false;
}

/* Present with CONFIG_PARAVIRT_TIME_ACCOUNTING only. */
static __always_inline bool steal_known(void)
{
	return bpf_core_field_exists(((struct rq *)0)->prev_steal_time_rq);
}

static __always_inline u64 rq_steal(struct rq *rq)
{
	return steal_known() ? rq->prev_steal_time_rq : 0;
}

/* 6.2 lets a program look at any address as at a type (a35b9af4ec2c): a plain load instead of a helper's checked copy. */
extern void *bpf_rdonly_cast(void *obj, u32 btf_id) __ksym __weak;

/*
 * 6.5 traces what is queued for another CPU (68f4ff04dbad), 6.2 has bpf_task_from_pid (3f0e6f2b41d3): so the task whose wake-up is
 * sent there. A task's wake_entry is what lies in the queue; NULL when there is no such task.
 */
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

static __always_inline struct task_struct *task_of_wake_entry(struct __call_single_data *csd)
{
	struct task_struct *p;

	p = bpf_rdonly_cast((char *)csd - bpf_core_field_offset(struct task_struct, wake_entry),
			    bpf_core_type_id_kernel(struct task_struct));
	return bpf_task_from_pid(p->pid);
}

/* addr: as bpf_task_pt_regs() has told it before. */
static __always_inline struct pt_regs *regs_of(struct task_struct *p, u64 addr)
{
	if (bpf_rdonly_cast)
		return bpf_rdonly_cast((void *)addr, bpf_core_type_id_kernel(struct pt_regs));
	return (struct pt_regs *)bpf_task_pt_regs(p);
}

static __always_inline u32 read_u32(u64 addr)
{
	u32 value = 0;

	if (bpf_rdonly_cast) {
		struct thread_info *at;

		at = bpf_rdonly_cast(
			(void *)(addr - bpf_core_field_offset(struct thread_info, flags)),
			bpf_core_type_id_kernel(struct thread_info));
		return at->flags;
	}
	bpf_probe_read_kernel(&value, sizeof(value), (void *)addr);
	return value;
}

static __always_inline u64 read_u64(u64 addr)
{
	u64 value = 0;

	if (bpf_rdonly_cast) {
		struct thread_info *at;

		at = bpf_rdonly_cast(
			(void *)(addr - bpf_core_field_offset(struct thread_info, flags)),
			bpf_core_type_id_kernel(struct thread_info));
		return at->flags;
	}
	bpf_probe_read_kernel(&value, sizeof(value), (void *)addr);
	return value;
}

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002 /* in a 32-bit system call */
static __always_inline u32 regs_syscall(struct pt_regs *regs)
{
	return regs->orig_ax;
}
static __always_inline u64 regs_arg1(struct pt_regs *regs)
{
	return regs->di;
}
static __always_inline u64 regs_arg2(struct pt_regs *regs)
{
	return regs->si;
}
static __always_inline u64 regs_arg3(struct pt_regs *regs)
{
	return regs->dx;
}
static __always_inline u64 regs_arg4(struct pt_regs *regs)
{
	return regs->r10;
}
static __always_inline u64 regs_arg5(struct pt_regs *regs)
{
	return regs->r8;
}
/* The system call has returned 0, and the thread is on its way back to user space. Until then -ENOSYS stands in its place. */
static __always_inline bool regs_returned(struct pt_regs *regs)
{
	return !regs->ax;
}
static __always_inline u64 regs_pc(struct pt_regs *regs)
{
	return regs->ip;
}
static __always_inline u64 regs_sp(struct pt_regs *regs)
{
	return regs->sp;
}
/* As EV_STACK orders them. */
#define NR_VFORK 58 /* arch/x86/entry/syscalls/syscall_64.tbl, as those below */
static __always_inline void save_regs(u64 *to, struct pt_regs *regs)
{
	to[0] = regs->ip;
	to[1] = regs->sp;
	to[2] = regs->bp;
	to[3] = regs->bx;
	to[4] = regs->r12;
	to[5] = regs->r13;
	to[6] = regs->r14;
	to[7] = regs->r15;
	/* the C library keeps its return address there: on the stack, which it shares with the child, it would be overwritten */
	to[8] = regs->orig_ax == NR_VFORK ? regs->di : 0;
	for (int i = 9; i < STACK_REGS; i++)
		to[i] = 0;
}
/* What a perf_event program is given: bpf_user_pt_regs_t of include/uapi, the same for ever, which CO-RE must not touch. */
struct sample_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs;
	u64 flags, sp, ss;
};
static __always_inline u64 sample_pc(const struct sample_regs *regs)
{
	return regs->ip;
}
static __always_inline void save_sample_regs(u64 *to, const struct sample_regs *regs)
{
	to[0] = regs->ip;
	to[1] = regs->sp;
	to[2] = regs->bp;
	to[3] = regs->bx;
	to[4] = regs->r12;
	to[5] = regs->r13;
	to[6] = regs->r14;
	to[7] = regs->r15;
	for (int i = 8; i < STACK_REGS; i++)
		to[i] = 0;
}
enum {
	NR_SCHED_YIELD = 24,
	NR_EXECVE = 59,
	NR_EXECVEAT = 322,
	NR_FUTEX = 202,
	NR_FUTEX_WAITV = 449,
	NR_FUTEX_WAIT = 455,
};
static __always_inline bool task_compat(struct task_struct *p)
{
	return p->thread_info.status & TS_COMPAT;
}
#define RECORD_ALIGN ~0ull
/* TSO: a store is seen after those before it. */
static __always_inline void commit_word(u64 *word, u64 value)
{
	asm volatile("" ::: "memory");
	*(volatile u64 *)word = value;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline u32 regs_syscall(struct pt_regs *regs)
{
	return regs->syscallno;
}
static __always_inline u64 regs_arg1(struct pt_regs *regs)
{
	return regs->orig_x0;
}
static __always_inline u64 regs_arg2(struct pt_regs *regs)
{
	return regs->regs[1];
}
static __always_inline u64 regs_arg3(struct pt_regs *regs)
{
	return regs->regs[2];
}
static __always_inline u64 regs_arg4(struct pt_regs *regs)
{
	return regs->regs[3];
}
static __always_inline u64 regs_arg5(struct pt_regs *regs)
{
	return regs->regs[4];
}
/* The system call has returned 0. Until then its first argument stands in that place: if that is 0, nobody knows. */
static __always_inline bool regs_returned(struct pt_regs *regs)
{
	return !regs->regs[0] && regs->orig_x0;
}
static __always_inline u64 regs_pc(struct pt_regs *regs)
{
	return regs->pc;
}
static __always_inline u64 regs_sp(struct pt_regs *regs)
{
	return regs->sp;
}
static __always_inline void save_regs(u64 *to, struct pt_regs *regs)
{
	to[0] = regs->pc;
	to[1] = regs->sp;
	to[2] = regs->regs[29];
	to[3] = regs->regs[30];
	for (int i = 0; i < 10; i++)
		to[4 + i] = regs->regs[19 + i];
}
struct sample_regs {
	u64 regs[31], sp, pc, pstate;
};
static __always_inline u64 sample_pc(const struct sample_regs *regs)
{
	return regs->pc;
}
static __always_inline void save_sample_regs(u64 *to, const struct sample_regs *regs)
{
	to[0] = regs->pc;
	to[1] = regs->sp;
	to[2] = regs->regs[29];
	to[3] = regs->regs[30];
	for (int i = 0; i < 10; i++)
		to[4 + i] = regs->regs[19 + i];
}
/* include/uapi/asm-generic/unistd.h */
enum {
	NR_SCHED_YIELD = 124,
	NR_EXECVE = 221,
	NR_EXECVEAT = 281,
	NR_FUTEX = 98,
	NR_FUTEX_WAITV = 449,
	NR_FUTEX_WAIT = 455,
};
static __always_inline bool task_compat(struct task_struct *p)
{
	return false;
}
#define RECORD_ALIGN \
	~7ull /* records begin at words anyway; the verifier wants to see it for an atomic */
/* A fetching atomic is a full barrier; BPF has a store-release only since 6.15. The arm64 JIT knows it since 5.18. */
static __always_inline void commit_word(u64 *word, u64 value)
{
	(void)__sync_lock_test_and_set(word, value);
}
#endif

#endif
