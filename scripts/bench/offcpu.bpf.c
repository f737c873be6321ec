// SPDX-License-Identifier: GPL-2.0-only
/* What an off-CPU profiler that sums in the kernel does at a switch: two stack ids, who left and when; at its return the sum. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL v2";

#define STACK_TRACE 7  /* BPF_MAP_TYPE_STACK_TRACE */
#define USER_STACK 256 /* BPF_F_USER_STACK */
#define FRAMES 127

struct key {
	u32 pid;
	s32 kernel, user;
};

struct began {
	u64 ns;
	struct key key;
};

struct {
	__uint(type, STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, 4);
	__uint(value_size, FRAMES * 8);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct began);
} began SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct key);
	__type(value, u64);
} sums SEC(".maps");

static __always_inline void leaves(void *ctx, struct task_struct *prev)
{
	struct began b = { .ns = bpf_ktime_get_ns() };
	u32 pid = prev->pid;

	b.key.pid = pid;
	b.key.kernel = bpf_get_stackid(ctx, &stacks, 0);
	b.key.user = bpf_get_stackid(ctx, &stacks, USER_STACK);
	bpf_map_update_elem(&began, &pid, &b, BPF_ANY);
}

static __always_inline void returns(struct task_struct *next)
{
	u32 pid = next->pid;
	struct began *b = bpf_map_lookup_elem(&began, &pid);
	u64 ns, *sum;

	if (!b)
		return;
	ns = bpf_ktime_get_ns() - b->ns;
	sum = bpf_map_lookup_elem(&sums, &b->key);
	if (sum)
		__sync_fetch_and_add(sum, ns);
	else
		bpf_map_update_elem(&sums, &b->key, &ns, BPF_ANY);
	bpf_map_delete_elem(&began, &pid);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(offcpu, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	if (prev->pid)
		leaves(ctx, prev);
	if (next->pid)
		returns(next);
	return 0;
}
