// SPDX-License-Identifier: GPL-2.0-only
/* What this kernel looks like, by its BTF: see sched_kernel.h. */
#include "probes/sched_kernel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probes/refusal.h"

#define BTF_FILE "/sys/kernel/btf/vmlinux"

struct btf *sched_kernel_btf(struct err *err)
{
	struct btf *btf;

	refusal_listen(); /* or libbpf would print */
	btf = btf__load_vmlinux_btf();
	if (btf)
		return btf;
	if (access(BTF_FILE, F_OK))
		err_set(err, -ENOTSUP,
			"this kernel has no type information (there is no " BTF_FILE
			"): use one built with CONFIG_DEBUG_INFO_BTF, and see that /sys is mounted");
	else if (access(BTF_FILE, R_OK))
		err_set(err, -ENOTSUP,
			"the kernel's type information, " BTF_FILE
			", may not be read: run it with sudo");
	else
		err_set(err, -ENOTSUP,
			"the kernel's type information, " BTF_FILE
			", is damaged or empty: use a kernel "
			"built with CONFIG_DEBUG_INFO_BTF");
	return NULL;
}

int sched_switch_args(const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	t = t ? btf__type_by_id(btf, t->type) : NULL;
	t = t && btf_is_ptr(t) ? btf__type_by_id(btf, t->type) : NULL;
	return t && btf_is_func_proto(t) ? btf_vlen(t) - 1 : -1;
}

bool sched_sent_wakes_known(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "btf_trace_csd_queue_cpu", BTF_KIND_TYPEDEF) > 0 &&
	       btf__find_by_name_kind(btf, "bpf_task_from_pid", BTF_KIND_FUNC) > 0 &&
	       btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
}

#if !defined(__aarch64__)
/* Offset of a variable among the per-CPU ones, or -1. */
static long percpu_offset(const struct btf *btf, const char *name)
{
	int sec = btf__find_by_name_kind(btf, ".data..percpu", BTF_KIND_DATASEC);
	const struct btf_type *t = sec > 0 ? btf__type_by_id(btf, sec) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *var = btf_var_secinfos(t) + i;
		const struct btf_type *v = btf__type_by_id(btf, var->type);

		if (v && !strcmp(btf__name_by_offset(btf, v->name_off), name))
			return var->offset;
	}
	return -1;
}

static long member_offset(const struct btf *btf, const char *type, const char *member)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *name = btf__name_by_offset(btf, m->name_off);
		const struct btf_type *inner;

		if (!strcmp(name, member))
			return btf_member_bit_offset(t, i) / 8;
		/* pcpu_hot wraps its members in anonymous unions and structs, at offset 0 of each other */
		inner = *name ? NULL : btf__type_by_id(btf, m->type);
		for (int j = 0; inner && btf_is_composite(inner) && j < btf_vlen(inner); j++) {
			const struct btf_member *n = btf_members(inner) + j;
			const struct btf_type *leaf = btf__type_by_id(btf, n->type);

			if (!strcmp(btf__name_by_offset(btf, n->name_off), member))
				return (btf_member_bit_offset(t, i) +
					btf_member_bit_offset(inner, j)) /
				       8;
			for (int k = 0;
			     btf_is_composite(leaf) && !n->name_off && k < btf_vlen(leaf); k++)
				if (!strcmp(btf__name_by_offset(btf, btf_members(leaf)[k].name_off),
					    member))
					return (btf_member_bit_offset(t, i) +
						btf_member_bit_offset(inner, j) +
						btf_member_bit_offset(leaf, k)) /
					       8;
		}
	}
	return -1;
}

#endif

bool sched_preempt_count(const struct btf *btf, int64_t *ret_delta)
{
	*ret_delta = 0;
#if defined(__aarch64__)
	(void)btf;
	return true;
#else
	long rq = percpu_offset(btf, "runqueues"), count = percpu_offset(btf, "__preempt_count");

	if (count < 0) {
		long hot = percpu_offset(btf, "pcpu_hot");
		long inside = member_offset(btf, "pcpu_hot", "preempt_count");

		count = hot >= 0 && inside >= 0 ? hot + inside : -1;
	}
	if (rq < 0 || count < 0)
		return false;
	*ret_delta = count - rq;
	return true;
#endif
}
