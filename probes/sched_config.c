// SPDX-License-Identifier: GPL-2.0-only
/* What the scheduler's programs are told before they are loaded: see sched_config.h. */
#include "probes/sched_config.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/threads.h"
#include "probes/pid_space.h"
#include "probes/python.h"
#include "probes/sample.h"
#include "probes/sched_kernel.h"

/* As in sched.bpf.c. */
enum { MODE_TARGETS, MODE_ALL };
#define NO_SLOT 0xffff

static void btf_p(struct btf **btf)
{
	btf__free(*btf);
}

/* One for each CPU that is there, also if it is offline now. */
static int assign_buffers(struct probe_env *env, struct sched_bpf *skel, struct err *err)
{
	unsigned int max =
		sizeof(skel->rodata->config.cpu_slot) / sizeof(skel->rodata->config.cpu_slot[0]);
	_cleanup_(free_p) bool *there = calloc(env->nr_cpus, sizeof(*there));

	if (env->nr_cpus > max)
		return err_set(err, -E2BIG, "this machine has %u CPUs, whyscale knows up to %u",
			       env->nr_cpus, max);
	env->buf_cpu = calloc(env->nr_cpus, sizeof(*env->buf_cpu));
	if (!env->buf_cpu || !there)
		return err_sys(err, -ENOMEM, "cannot list the CPUs");
	memcpy(there, env->online, env->nr_cpus * sizeof(*there));
	cpulist_add_present(there, env->nr_cpus);
	skel->rodata->config.every_cpu = true;
	for (unsigned int cpu = 0; cpu < max; cpu++) {
		if (cpu < env->nr_cpus && there[cpu]) {
			if (cpu != env->nr_bufs)
				skel->rodata->config.every_cpu = false;
			env->buf_cpu[env->nr_bufs] = cpu;
			skel->rodata->config.cpu_slot[cpu] = env->nr_bufs++;
		} else {
			skel->rodata->config.cpu_slot[cpu] = NO_SLOT;
		}
	}
	env->buf_stride = BUF_HEADER + env->buffer_bytes + BUF_SLACK;
	bpf_map__set_value_size(skel->maps.bufs, env->buf_stride);
	bpf_map__set_max_entries(skel->maps.bufs, env->nr_bufs);
	return 0;
}

/*
 * Entries for the threads that are followed at one time: 16384 (4 MiB), more where half as many threads run already. Those for whom
 * none is free are counted and said.
 */
static void size_locals(const struct probe_env *env, struct sched_bpf *skel)
{
	unsigned int bits = 14;

	if (env->max_threads)
		bits = __builtin_ctz(env->max_threads);
	else
		while (bits < 20 && threads_now() > 1u << bits >> 1)
			bits++;
	skel->rodata->config.locals_shift = 32 - bits;
	bpf_map__set_max_entries(skel->maps.locals, 1u << bits);
}

static int configure_stacks(const struct probe_env *env, struct sched_bpf *skel)
{
	skel->rodata->config.stacks = env->stacks;
	skel->rodata->config.stack_bytes = env->stack_bytes;
	skel->rodata->config.stack_rate = env->stack_rate;
	skel->rodata->config.nmi_writers = env->stacks & STACKS_ON && sample_by_cycles();
	sample_moving_code((uint64_t *)&skel->rodata->config.moves_low,
			   (uint32_t *)&skel->rodata->config.moves_size);
	return sample_size_maps(env, skel->obj);
}

/* The maps of bpf/counter.bpf.h are not made where no counter is asked for. */
static int configure_counters(const struct probe_env *env, struct sched_bpf *skel)
{
	bool some = env->nr_counters;
	int r;

	skel->rodata->config.counters = env->nr_counters;
	skel->rodata->config.counter_cpus = env->nr_cpus;
	r = bpf_map__set_autocreate(skel->maps.counter_events, some) ||
	    bpf_map__set_autocreate(skel->maps.counter_marks, some) ||
	    bpf_map__set_autocreate(skel->maps.counted, some);
	return r ? -EINVAL :
		   bpf_map__set_max_entries(skel->maps.counter_events,
					    some ? env->nr_counters * env->nr_cpus : 1);
}

/* The numbers of threads are those of our own pid namespace. */
static int configure_pids(struct sched_bpf *skel, struct err *err)
{
	struct pid_space space;
	int r = pid_space_find(&space, err);

	if (r)
		return r;
	skel->rodata->config.self_tgid = space.tgid;
	skel->rodata->config.pid_level = space.level;
	skel->rodata->config.pid_ns = space.inode;
	return 0;
}

int sched_configure(struct sched_bpf *skel, struct probe_env *env, struct err *err)
{
	_cleanup_(btf_p) struct btf *btf = sched_kernel_btf(err);
	int64_t delta;
	bool alone;
	int args, r;

	if (!btf)
		return err->code;
	args = sched_switch_args(btf);
	bpf_program__set_autoload(skel->progs.switch_with_state, args >= 4);
	bpf_program__set_autoload(skel->progs.switch_without_state, args < 4);
	alone = sched_sent_wakes_known(btf);
	bpf_program__set_autoload(skel->progs.wake_sent, alone);
	bpf_program__set_autoload(skel->progs.waking, !alone);
	bpf_program__set_autoload(skel->progs.key_frame, env->keep);
	skel->rodata->config.wakeups_alone = alone;
	skel->rodata->config.preempt_count_known = sched_preempt_count(btf, &delta);
	skel->rodata->config.preempt_count_delta = delta;
	skel->rodata->config.epoch_ns = env->epoch_ns;
	skel->rodata->config.data_mask = env->buffer_bytes - 1;
	skel->rodata->config.many_cpus = env->nr_cpus > 64;
	skel->rodata->config.cpus_bytes = (env->nr_cpus + 63) / 64 * 8;
	skel->rodata->config.mode = env->mode == PROBE_ALL ? MODE_ALL : MODE_TARGETS;
	skel->rodata->config.python = env->python;
	size_locals(env, skel);
	skel->rodata->config.keep = env->keep;
	r = assign_buffers(env, skel, err);
	if (!r && python_size_maps(env, skel->obj))
		r = err_set(err, -EINVAL, "cannot size the maps for Python");
	if (!r && configure_counters(env, skel))
		r = err_set(err, -EINVAL, "cannot size the maps for counters");
	if (!r && env->stacks && configure_stacks(env, skel))
		r = err_set(err, -EINVAL, "cannot size the maps for call stacks");
	return r ? r : configure_pids(skel, err);
}
