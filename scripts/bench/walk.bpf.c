// SPDX-License-Identifier: GPL-2.0-only
/* What a sampling profiler that goes by frame pointers does: the kernel walks the user's stack. And whether the caller of `leaf` is in it. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL v2";

#define STACK_TRACE 7  /* BPF_MAP_TYPE_STACK_TRACE */
#define USER_STACK 256 /* BPF_F_USER_STACK */
#define FRAMES 127

const volatile u32 tgid;
const volatile u64 caller_low, caller_high, leaf_low, leaf_high;
u64 in_leaf, without_caller;

struct {
	__uint(type, STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, 4);
	__uint(value_size, FRAMES * 8);
} stacks SEC(".maps");

SEC("perf_event")
int walk(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != tgid)
		return 0;
	bpf_get_stackid(ctx, &stacks, USER_STACK);
	return 0;
}

SEC("perf_event")
int look(void *ctx)
{
	u64 frame[2] = {};

	if (bpf_get_current_pid_tgid() >> 32 != tgid ||
	    bpf_get_stack(ctx, frame, sizeof(frame), USER_STACK) <= 0 || frame[0] < leaf_low ||
	    frame[0] >= leaf_high)
		return 0;
	__sync_fetch_and_add(&in_leaf, 1);
	if (frame[1] < caller_low || frame[1] >= caller_high)
		__sync_fetch_and_add(&without_caller, 1);
	return 0;
}
