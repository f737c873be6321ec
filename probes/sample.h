/* SPDX-License-Identifier: GPL-2.0-only */
/* What sched's probe must know of stacks and samples. */
#ifndef WHYSCALE_PROBES_SAMPLE_H
#define WHYSCALE_PROBES_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether samples come from a counter of cycles, so in NMIs; else from a timer. */
bool sample_by_cycles(void);

/*
 * The kernel's function that moves its stack at random in each system call (bpf/stack_kernel.bpf.h): its address and size in bytes. The
 * size is 0 where it cannot be known.
 */
void sample_moving_code(uint64_t *ret_low, uint32_t *ret_size);

struct bpf_object;
struct probe_env;

/* Before an object with bpf/stack.bpf.h is loaded: makes room in its maps, which are as small as maps can be. 0 or a negative errno. */
int sample_size_maps(const struct probe_env *env, struct bpf_object *obj);

#endif
