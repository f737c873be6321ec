/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the kernel's types that our programs read, written by hand. Every access is relocated by CO-RE to where the
 * running kernel has the field, so order and size here mean nothing; names and types do.
 */
#ifndef WHYSCALE_KERNEL_H
#define WHYSCALE_KERNEL_H

#include "events.h"

typedef ev_u8 u8;
typedef ev_u16 u16;
typedef ev_u32 u32;
typedef ev_u64 u64;
typedef signed char s8;
typedef int s32;
typedef long long s64;
typedef _Bool bool;
/* What bpf_helper_defs.h wants to be there. */
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u64 __be64;
typedef u32 __wsum;

#define NULL ((void *)0)
#define true 1
#define false 0

enum { BPF_ANY, BPF_NOEXIST };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
/* As in <linux/bpf.h>. */
struct bpf_perf_event_value {
	u64 counter, enabled, running;
};
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

#define PF_KTHREAD 0x00200000
#define TASK_DEAD 0x80
#define TASK_FROZEN 0x8000 /* since 6.1 */
/* enum { CSD_FLAG_*, CSD_TYPE_* } in include/linux/smp_types.h, since 5.8 */
#define CSD_FLAG_TYPE_MASK 0xf0
#define CSD_TYPE_TTWU 0x30

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r10, r8, ax, dx, si, di, orig_ax, ip, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 sp, pc;
	u64 orig_x0;
	s32 syscallno;
};
#endif

struct thread_info {
	unsigned long flags;
	u32 cpu;
	u32 status;        /* x86 */
	u64 preempt_count; /* arm64; libbpf does not resize a signed field */
};

struct __call_single_node {
	unsigned int u_flags;
};

struct __call_single_data {
	struct __call_single_node node;
};

struct rq {
	u64 clock;
	u64 clock_task;
	u64 prev_steal_time_rq;
};

struct cfs_rq {
	struct rq *rq;
	int throttle_count;
};

struct sched_entity {
	u64 exec_start;
	u64 sum_exec_runtime;
	u64 nr_migrations;
	struct cfs_rq *cfs_rq;
	unsigned char sched_delayed; /* since 6.12 */
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_arrival;
	unsigned long long last_queued;
};

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	struct sigpending shared_pending;
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct task_group {
	struct cgroup_subsys_state css;
};

struct cpumask {
	unsigned long bits[1];
};

#if defined(__TARGET_ARCH_x86)
struct thread_struct {
	unsigned long fsbase;
};
#elif defined(__TARGET_ARCH_arm64)
struct thread_struct {
	struct {
		unsigned long tp_value;
	} uw;
};
#endif

struct mm_struct {
	unsigned long start_code, start_data, end_data, start_brk, brk, start_stack;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	unsigned int cpu; /* before 5.16 */
	/* 7.3 has a byte for this and for on_rq; libbpf does not resize a signed field. */
	unsigned int on_cpu;
	struct __call_single_node wake_entry;
	unsigned int on_rq;
	int static_prio;
	int normal_prio;
	unsigned int rt_priority;
	struct sched_entity se;
	struct task_group *sched_task_group;
	unsigned int policy;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct cpumask cpus_mask;
	struct sched_info sched_info;
	int exit_code;
	unsigned in_iowait : 1;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	u64 utime, stime;
	unsigned long nvcsw, nivcsw;
	u64 start_time;
	struct pid *thread_pid;
	struct signal_struct *signal;
	sigset_t blocked;
	struct sigpending pending;
	char comm[16];
	bool throttled; /* since 6.18 */
	struct mm_struct *mm;
	struct thread_struct thread;
};

struct linux_binprm {
	const char *filename;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
