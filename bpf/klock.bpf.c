// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel locks that a tracked thread finds taken (5.19, 16edd9b511a1). While one that sleeps is open, sched_switch says that the thread
 * waits for it (EV_KLOCK); when it is got, EV_KLOCK_END tells for how long it was taken, spinning included. Who called for the lock
 * is kept in a table, once for each lock: the recorder turns that into names.
 *
 * Uses the buffers and the thread storage of sched.bpf.c.
 */
#include "common.bpf.h"

char LICENSE[] SEC("license") = "GPL v2";

struct klock_caller {
	u64 ip[KLOCK_CALLERS];
	u32 flags;
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct klock_caller);
} klock_callers SEC(".maps");

static __always_inline void keep_caller(void *ctx, u64 lock, u32 flags)
{
	struct klock_caller caller = { .flags = flags };

	if (bpf_map_lookup_elem(&klock_callers, &lock))
		return;
	bpf_get_stack(ctx, caller.ip, sizeof(caller.ip), 0);
	bpf_map_update_elem(&klock_callers, &lock, &caller, BPF_ANY);
}

static __always_inline bool in_interrupt(struct buf *b)
{
	return waker_context(b, bpf_get_current_task_btf()) & (WK_HARDIRQ | WK_SOFTIRQ);
}

SEC("tp_btf/contention_begin")
int BPF_PROG(contention_begin, void *lock, unsigned int flags)
{
	struct local *l = local_of(bpf_get_current_task_btf());
	struct buf *b;

	if (!l)
		return 0;
	b = buf_here();
	if (!b || in_interrupt(b))
		return 0;
	keep_caller(ctx, (u64)lock, flags);
	/* An optimistic spinner of a sleeping lock announces it twice, the second time before it sleeps. */
	if (flags & KL_SPIN && !(flags & KL_MUTEX)) {
		l->spin = (u64)lock;
		l->spin_ns = now_ns();
	} else {
		if (l->klock != (u64)lock)
			l->klock_ns = now_ns();
		l->klock = (u64)lock;
		l->klock_flags = flags;
	}
	return 0;
}

SEC("tp_btf/contention_end")
int BPF_PROG(contention_end, void *lock, int ret)
{
	struct local *l = local_of(bpf_get_current_task_btf());
	struct ev_klock *rec;
	u64 since, now;
	struct buf *b;
	u32 flags;

	if (!l || (l->klock != (u64)lock && l->spin != (u64)lock))
		return 0;
	b = buf_here();
	if (!b || in_interrupt(b))
		return 0;
	if (l->spin == (u64)lock) {
		since = l->spin_ns;
		flags = KL_SPIN;
		l->spin = 0;
	} else {
		since = l->klock_ns;
		flags = l->klock_flags & ~KL_SPIN;
		l->klock = 0;
	}
	rec = RESERVE(b, ev_klock);
	if (!rec)
		return 0;
	now = record_time(b);
	rec->who = l->serial;
	rec->seq = l->seq;
	rec->pad = 0;
	rec->lock = (u64)lock;
	rec->for_ns = now - since;
	COMMIT(rec, now, EV_KLOCK_END, flags);
	return 0;
}
