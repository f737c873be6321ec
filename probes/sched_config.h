/* SPDX-License-Identifier: GPL-2.0-only */
/* What the scheduler's programs are told before they are loaded: `config` of bpf/common.bpf.h, and how large their maps are. */
#ifndef WHYSCALE_PROBES_SCHED_CONFIG_H
#define WHYSCALE_PROBES_SCHED_CONFIG_H

#include "probes/probe.h"
#include "sched.skel.h"

/*
 * Fills in skel's config and sizes its maps for env, and tells env what buffers there will be (buf_cpu, nr_bufs, buf_stride: env's to
 * free). 0 or a negative errno with a sentence.
 */
int sched_configure(struct sched_bpf *skel, struct probe_env *env, struct err *err);

#endif
