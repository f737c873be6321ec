/* SPDX-License-Identifier: GPL-2.0-only */
/* What the scheduler's programs have to know of this kernel, from its type information (BTF). */
#ifndef WHYSCALE_PROBES_SCHED_KERNEL_H
#define WHYSCALE_PROBES_SCHED_KERNEL_H

#include <bpf/btf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The kernel's type information, without which no program of ours can be loaded; the caller's to free. NULL: with a sentence. */
struct btf *sched_kernel_btf(struct err *err);

/* Number of arguments of the sched_switch tracepoint, without the first (data) one; -1: it has none. */
int sched_switch_args(const struct btf *btf);

/* Whether csd_queue_cpu can tell the wake-ups that are sent to another CPU, see bpf/compat.bpf.h. */
bool sched_sent_wakes_known(const struct btf *btf);

/*
 * Where a CPU's preempt_count lies, from its run queue: kallsyms may lack data symbols, the BTF of the per-CPU section has both
 * offsets. A variable of its own until 6.1 and again since 6.15, in pcpu_hot from 6.2 to 6.14; arm64 has it in thread_info. False: it is
 * not known.
 */
bool sched_preempt_count(const struct btf *btf, int64_t *ret_delta);

#endif
