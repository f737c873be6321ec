// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt probe: bpf/irq.bpf.c in the scheduler probe's buffers.
 *
 * Into the trace's META go "irqs": ["irq_handler", "softirq", ...], the kinds of interrupts that were recorded. Where it is missing,
 * interrupts are in the time of whom they came upon.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "irq.skel.h"
#include "probes/bpf_cost.h"
#include "probes/probe.h"
#include "probes/refusal.h"
#include "probes/sched_kernel.h"

#define SECTION "tp_btf/"
#define TYPE_PREFIX "btf_trace_"

struct irq {
	struct irq_bpf *skel;
};

static void btf_p(struct btf **btf)
{
	btf__free(*btf);
}

/* The kind of interrupt that a program is for: its event without "_entry" or "_exit". */
static const char *kind_of(const struct bpf_program *prog, int *ret_len)
{
	const char *event = bpf_program__section_name(prog) + strlen(SECTION);

	*ret_len = (int)(strrchr(event, '_') - event);
	return event;
}

/* With PREEMPT_RT soft interrupts are served by threads that can be switched out. */
static bool is_realtime(void)
{
	_cleanup_(fclose_p) FILE *f = fopen("/sys/kernel/realtime", "re");

	return f && fgetc(f) == '1';
}

/* Only those programs whose event this kernel has: they bear its name, and there is no entry without an exit. Returns how many. */
static unsigned int choose(struct irq_bpf *skel, const struct btf *btf)
{
	bool realtime = is_realtime();
	struct bpf_program *prog;
	unsigned int nr = 0;

	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, false);
	for (unsigned int id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, t->name_off);

		if (!btf_is_typedef(t) || strncmp(name, TYPE_PREFIX, strlen(TYPE_PREFIX)))
			continue;
		name += strlen(TYPE_PREFIX);
		prog = bpf_object__find_program_by_name(skel->obj, name);
		if (!prog || (realtime && !strncmp(name, "softirq_", 8)))
			continue;
		bpf_program__set_autoload(prog, true);
		nr++;
	}
	return nr;
}

static int no_events(struct err *err)
{
	return err_set(err, -ENOTSUP,
		       "this kernel's type information has no irq:irq_handler_entry event: use one "
		       "built with CONFIG_DEBUG_INFO_BTF and CONFIG_TRACEPOINTS");
}

/* The honest check is to load them, with a buffer of their own into which nothing is written. */
static int irq_check(struct err *why)
{
	_cleanup_(btf_p) struct btf *btf = sched_kernel_btf(why);
	struct irq_bpf *skel;
	int r;

	if (!btf)
		return why->code;
	refusal_listen();
	skel = irq_bpf__open();
	if (!skel)
		return err_sys(why, -errno, "cannot open the interrupt programs");
	r = choose(skel, btf) ? irq_bpf__load(skel) : no_events(why);
	irq_bpf__destroy(skel);
	if (r && r != -ENOTSUP)
		return refusal_error(why, r, "the interrupt programs");
	return r;
}

static void irq_close(void *state)
{
	struct irq *q = state;

	if (!q)
		return;
	irq_bpf__destroy(q->skel);
	free(q);
}

static int load(struct irq *q, struct probe_env *env, const struct btf *btf, struct err *err)
{
	int r;

	refusal_listen();
	q->skel = irq_bpf__open();
	if (!q->skel)
		return err_sys(err, -errno, "cannot open the interrupt programs");
	if (env->bpf_config_bytes != sizeof(q->skel->rodata->config))
		return err_set(err, -EINVAL,
			       "the interrupt programs are of another build: "
			       "build whyscale anew with `make clean all`");
	memcpy((void *)&q->skel->rodata->config, env->bpf_config, env->bpf_config_bytes);
	if (!choose(q->skel, btf))
		return no_events(err);
	r = bpf_map__reuse_fd(q->skel->maps.bufs, env->bufs_fd);
	if (!r)
		r = bpf_map__reuse_fd(q->skel->maps.locals, env->locals_fd);
	if (!r)
		r = bpf_map__reuse_fd(q->skel->maps.displaced, env->displaced_fd);
	if (!r)
		r = irq_bpf__load(q->skel);
	if (!r)
		r = irq_bpf__attach(q->skel);
	if (r)
		return refusal_error(err, r, "the interrupt programs");
	bpf_cost_add(env->bpf_cost, q->skel->obj);
	return 0;
}

/* Without the scheduler's programs there is nothing to do, which is no failure. */
static int irq_open(struct probe_env *env, void **ret_state, struct err *err)
{
	_cleanup_(btf_p) struct btf *btf = NULL;
	struct irq *q = calloc(1, sizeof(*q));

	*ret_state = q;
	if (!q)
		return err_sys(err, -ENOMEM, "cannot open the interrupt probe");
	if (env->locals_fd < 0)
		return 0;
	btf = sched_kernel_btf(err);
	return btf ? load(q, env, btf, err) : err->code;
}

static int irq_meta(void *state, json_t *into)
{
	struct irq *q = state;
	struct bpf_program *prog;
	json_t *list;

	if (!q->skel)
		return 0;
	list = json_array();
	if (!list || json_object_set_new(into, "irqs", list))
		return -ENOMEM;
	bpf_object__for_each_program(prog, q->skel->obj) {
		int len;
		const char *event = kind_of(prog, &len);

		if (bpf_program__autoload(prog) && !strcmp(event + len, "_entry") &&
		    json_array_append_new(list, json_stringn(event, (size_t)len)))
			return -ENOMEM;
	}
	return 0;
}

const struct probe probe_irq = {
	.name = "irq",
	.gives =
		"the time that interrupts took from a CPU while the program's threads waited for it",
	.without = "interrupts are in the time of whoever had the CPU",
	.cost = "below 0.1 us an interrupt, below 0.2 us while a thread of the program waits for that CPU",
	.with_sched = true,
	.check = irq_check,
	.open = irq_open,
	.meta = irq_meta,
	.close = irq_close,
};
