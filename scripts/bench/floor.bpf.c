// SPDX-License-Identifier: GPL-2.0-only
/* The floor that whyscale's programs are compared with: one that does nothing, one that reads the clock and nothing else. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL v2";

__u64 sink;

SEC("tp_btf/sched_switch")
int floor_empty(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int floor_clock(void *ctx)
{
	sink = bpf_ktime_get_ns();
	return 0;
}
