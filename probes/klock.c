// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel-lock probe: bpf/klock.bpf.c in the scheduler probe's buffers, and the names of those who called for a lock.
 *
 * Into the trace's META go "klocks": {"0xADDRESS": {"flags": LCB_F_*, "name": "of the lock", "callers": ["innermost", ...]}}; name
 * only where kallsyms has data symbols. The names are looked up when the recording ends, since only root sees the addresses.
 * Where there are none: "klock": {"unavailable": why}.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/kallsyms.h"
#include "klock.skel.h"
#include "probes/bpf_cost.h"
#include "probes/probe.h"
#include "probes/refusal.h"
#include "probes/sched_kernel.h"

struct klock {
	struct klock_bpf *skel;
	struct err why; /* there is none */
};

static int has_events(struct err *why)
{
	struct btf *btf = sched_kernel_btf(why);
	bool there;

	if (!btf)
		return why->code;
	there = btf__find_by_name_kind(btf, "btf_trace_contention_begin", BTF_KIND_TYPEDEF) > 0;
	btf__free(btf);
	if (there)
		return 0;
	return err_set(why, -ENOTSUP,
		       "this kernel has no lock:contention_begin event: use Linux 5.19 or later");
}

static void klock_close(void *state)
{
	struct klock *k = state;

	if (!k)
		return;
	klock_bpf__destroy(k->skel);
	free(k);
}

static int load(struct klock *k, struct probe_env *env, struct err *err)
{
	int r;

	refusal_listen();
	k->skel = klock_bpf__open();
	if (!k->skel)
		return err_sys(err, -errno, "cannot open the kernel-lock programs");
	if (env->bpf_config_bytes != sizeof(k->skel->rodata->config))
		return err_set(err, -EINVAL,
			       "the kernel-lock programs are of another build: "
			       "build whyscale anew with `make clean all`");
	memcpy((void *)&k->skel->rodata->config, env->bpf_config, env->bpf_config_bytes);
	r = bpf_map__reuse_fd(k->skel->maps.bufs, env->bufs_fd);
	if (!r)
		r = bpf_map__reuse_fd(k->skel->maps.locals, env->locals_fd);
	if (!r)
		r = bpf_map__reuse_fd(k->skel->maps.displaced, env->displaced_fd);
	if (!r)
		r = klock_bpf__load(k->skel);
	if (!r)
		r = klock_bpf__attach(k->skel);
	if (r)
		return refusal_error(err, r, "the kernel-lock programs");
	bpf_cost_add(env->bpf_cost, k->skel->obj);
	return 0;
}

/* Without the scheduler's programs, or on a kernel without the events, there is nothing to do, which is no failure. */
static int klock_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct klock *k = calloc(1, sizeof(*k));

	*ret_state = k;
	if (!k)
		return err_sys(err, -ENOMEM, "cannot open the kernel-lock probe");
	if (env->locals_fd < 0 || has_events(&k->why))
		return 0;
	if (load(k, env, &k->why)) {
		klock_bpf__destroy(k->skel);
		k->skel = NULL;
	}
	return 0;
}

/* ---- names ---- */

static void kallsyms_done(struct kallsyms **k)
{
	kallsyms_free(*k);
}

struct caller {
	uint64_t ip[KLOCK_CALLERS];
	uint32_t flags, pad;
};

static json_t *describe(const struct kallsyms *syms, uint64_t lock, const struct caller *c)
{
	json_t *callers = json_array(), *one;
	struct kallsym symbol;

	for (size_t i = 0; i < KLOCK_CALLERS && c->ip[i]; i++) {
		if (kallsyms_find(syms, c->ip[i] - 1, KALLSYMS_FUNCTION, &symbol))
			json_array_append_new(callers, json_string(symbol.name));
	}
	one = json_pack("{s:I,s:o}", "flags", (json_int_t)c->flags, "callers", callers);
	/* sizes are not told: further than this from its symbol, it is in memory that has none */
	if (one && kallsyms_find(syms, lock, KALLSYMS_DATA, &symbol) && symbol.offset < 4096)
		json_object_set_new(one, "name", json_string(symbol.name));
	return one;
}

static int klock_meta(void *state, json_t *into)
{
	_cleanup_(kallsyms_done) struct kallsyms *syms = NULL;
	struct klock *k = state;
	json_t *all;
	uint64_t lock, *previous = NULL, next;
	unsigned int steps = 0;
	struct err err;
	int fd;

	if (k->why.code)
		return json_object_set_new(into, "klock",
					   json_pack("{s:s}", "unavailable", k->why.msg)) ?
			       -ENOMEM :
			       0;
	if (!k->skel)
		return 0;
	fd = bpf_map__fd(k->skel->maps.klock_callers);
	all = json_object();
	if (!all || json_object_set_new(into, "klocks", all))
		return -ENOMEM;
	if (bpf_map_get_next_key(fd, NULL, &next))
		return 0;
	/* without the names, the flags */
	kallsyms_open(NULL, &syms, &err);
	if (!syms && err.code == -ENOMEM)
		return -ENOMEM;
	/* the table changes under our hands, and a key that has gone makes it begin anew */
	while (steps++ < 100000 && !bpf_map_get_next_key(fd, previous, &next)) {
		struct caller c;
		char address[24];

		lock = next;
		previous = &lock;
		if (bpf_map_lookup_elem(fd, &lock, &c))
			continue;
		snprintf(address, sizeof(address), "0x%" PRIx64, lock);
		json_object_set_new(all, address, describe(syms, lock, &c));
	}
	return 0;
}

/* The honest check is to load them, with a buffer of their own into which nothing is written. */
static int klock_check(struct err *why)
{
	struct klock_bpf *skel;
	int r = has_events(why);

	if (r)
		return r;
	refusal_listen();
	skel = klock_bpf__open();
	if (!skel)
		return err_sys(why, -errno, "cannot open the kernel-lock programs");
	r = klock_bpf__load(skel);
	klock_bpf__destroy(skel);
	return r ? refusal_error(why, r, "the kernel-lock programs") : 0;
}

const struct probe probe_klock = {
	.name = "klock",
	.gives = "which kernel locks the program's threads wait for, and who called for them",
	.without =
		"waits for kernel locks are blocked_other, or belong to the system call they are in",
	.cost = "0.1 us for each kernel lock found taken, nothing for the others",
	.with_sched = true,
	.check = klock_check,
	.open = klock_open,
	.meta = klock_meta,
	.close = klock_close,
};
