// SPDX-License-Identifier: GPL-2.0-only
/* What sched's programs are told of stacks before they are loaded: see sample.h. */
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "probes/probe.h"
#include "probes/sample.h"

int sample_size_maps(const struct probe_env *env, struct bpf_object *obj)
{
	const struct {
		const char *name;
		unsigned int entries;
	} sizes[] = {
		{ "stack_scratch", env->nr_bufs },
		{ "seen_ids", STACK_TABLE },
		{ "known_stacks", STACK_TABLE },
		{ "kernel_addresses", KERNEL_ADDRESSES },
		{ "known_kernels", env->nr_bufs * KERNEL_SETS },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		r = bpf_map__set_max_entries(bpf_object__find_map_by_name(obj, sizes[i].name),
					     sizes[i].entries);
	return r;
}

#if defined(__aarch64__)
#define MOVING_CODE "invoke_syscall"
#else
#define MOVING_CODE "do_syscall_64"
#endif

/* The kernel lists its own symbols in the order of their addresses: it reaches to the next one. */
void sample_moving_code(uint64_t *ret_low, uint32_t *ret_size)
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/kallsyms", "re");
	uint64_t address, low = 0;
	char line[512], name[128];

	*ret_low = *ret_size = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %*c %127s", &address, name) != 2)
			continue;
		if (low && address > low && address - low < UINT16_MAX) {
			*ret_low = low;
			*ret_size = (uint32_t)(address - low);
		}
		if (low && address != low)
			return;
		if (!strcmp(name, MOVING_CODE))
			low = address;
	}
}
