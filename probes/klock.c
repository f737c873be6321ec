// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel-lock probe: bpf/klock.bpf.c in the scheduler probe's buffers, and the names of those who called for a lock.
 *
 * Into the trace's META go "klocks": {"0xADDRESS": {"flags": LCB_F_*, "name": "of the lock", "callers": ["innermost", ...]}}; name
 * only where kallsyms has data symbols. The names are looked up when the recording ends, since only root sees the addresses.
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
#include "base/vec.h"
#include "klock.skel.h"
#include "probes/bpf_cost.h"
#include "probes/probe.h"

struct klock {
	struct klock_bpf *skel;
};

static int klock_check(struct err *why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool there = btf && btf__find_by_name_kind(btf, "btf_trace_contention_begin",
						   BTF_KIND_TYPEDEF) > 0;

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
		r = klock_bpf__load(k->skel);
	if (!r)
		r = klock_bpf__attach(k->skel);
	if (r)
		return err_sys(err, r, "the kernel refused the kernel-lock programs");
	bpf_cost_add(env->bpf_cost, k->skel->obj);
	return 0;
}

/* Without the scheduler's programs, or on a kernel without the events, there is nothing to do, which is no failure. */
static int klock_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct klock *k = calloc(1, sizeof(*k));
	struct err why = {};

	*ret_state = k;
	if (!k)
		return err_sys(err, -ENOMEM, "cannot open the kernel-lock probe");
	if (env->locals_fd < 0 || klock_check(&why))
		return 0;
	return load(k, env, err);
}

/* ---- names ---- */

struct ksym {
	uint64_t address;
	char type;
	char name[64];
};

static int by_address(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

struct ksyms {
	struct ksym *sym;
	size_t nr, cap;
};

static void ksyms_done(struct ksyms *k)
{
	free(k->sym);
}

/* "ffffffff81000000 T _text\n": sscanf() would take ten times as long for the 100,000 lines. */
static bool parse_line(const char *line, struct ksym *sym)
{
	char *at;
	size_t len;

	sym->address = strtoull(line, &at, 16);
	if (!sym->address || *at != ' ' || !at[1] || at[2] != ' ')
		return false;
	sym->type = at[1];
	len = strcspn(at + 3, "\t\n");
	if (len >= sizeof(sym->name))
		len = sizeof(sym->name) - 1;
	memcpy(sym->name, at + 3, len);
	sym->name[len] = '\0';
	return true;
}

static int read_kallsyms(struct ksyms *k)
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/kallsyms", "re");
	char line[256];
	bool sorted = true;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (vec_room(&k->sym, &k->cap, k->nr + 1))
			return -ENOMEM;
		if (!parse_line(line, &k->sym[k->nr]))
			continue;
		sorted &= !k->nr || k->sym[k->nr - 1].address <= k->sym[k->nr].address;
		k->nr++;
	}
	if (!sorted)
		qsort(k->sym, k->nr, sizeof(*k->sym), by_address);
	return 0;
}

/* The last symbol at or before the address; a function or, with data, an object. */
static const struct ksym *ksym_find(const struct ksyms *k, uint64_t address, bool data)
{
	size_t low = 0, high = k->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->sym[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	/* several names of one address: one of the right type */
	for (size_t i = low; i && k->sym[i - 1].address == k->sym[low - 1].address; i--)
		if (strchr(data ? "bBdD" : "tTwW", k->sym[i - 1].type))
			return &k->sym[i - 1];
	return NULL;
}

struct caller {
	uint64_t ip[KLOCK_CALLERS];
	uint32_t flags, pad;
};

static json_t *describe(const struct ksyms *syms, uint64_t lock, const struct caller *c)
{
	json_t *callers = json_array(), *one;
	const struct ksym *data = ksym_find(syms, lock, true);

	for (size_t i = 0; i < KLOCK_CALLERS && c->ip[i]; i++) {
		const struct ksym *fn = ksym_find(syms, c->ip[i] - 1, false);

		if (fn)
			json_array_append_new(callers, json_string(fn->name));
	}
	one = json_pack("{s:I,s:o}", "flags", (json_int_t)c->flags, "callers", callers);
	/* sizes are not told: further than this from its symbol, it is in memory that has none */
	if (one && data && lock - data->address < 4096)
		json_object_set_new(one, "name", json_string(data->name));
	return one;
}

static int klock_meta(void *state, json_t *into)
{
	_cleanup_(ksyms_done) struct ksyms syms = {};
	struct klock *k = state;
	json_t *all;
	uint64_t lock, *previous = NULL, next;
	unsigned int steps = 0;
	int fd;

	if (!k->skel)
		return 0;
	fd = bpf_map__fd(k->skel->maps.klock_callers);
	all = json_object();
	if (!all || json_object_set_new(into, "klocks", all))
		return -ENOMEM;
	if (bpf_map_get_next_key(fd, NULL, &next))
		return 0;
	if (read_kallsyms(&syms) == -ENOMEM)
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
		json_object_set_new(all, address, describe(&syms, lock, &c));
	}
	return 0;
}

const struct probe probe_klock = {
	.name = "klock",
	.gives = "which kernel locks the program's threads wait for, and who called for them",
	.without =
		"waits for kernel locks are blocked_other, or belong to the system call they are in",
	.cost = "0.1 us for each kernel lock found taken, nothing for the others",
	.check = klock_check,
	.open = klock_open,
	.meta = klock_meta,
	.close = klock_close,
};
