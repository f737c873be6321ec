/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler probe, beyond struct probe: the cost windows, which the recorder's timer opens and closes. */
#ifndef WHYSCALE_PROBES_SCHED_H
#define WHYSCALE_PROBES_SCHED_H

#include <stdbool.h>

/* Times the BPF programs from on to off; see bpf_cost.h. */
void sched_cost_window(void *state, bool on);

#endif
