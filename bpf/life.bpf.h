/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread's birth, programs, names and end, and what is kept of it: made here and in the snapshot, never in a scheduler hook. */
#ifndef WHYSCALE_LIFE_BPF_H
#define WHYSCALE_LIFE_BPF_H

#include "counter.bpf.h"
#include "python.bpf.h"
#include "thread.bpf.h"

enum { MODE_TARGETS, MODE_ALL };
__u32 last_serial;

static __always_inline struct local *track(struct buf *b, struct task_struct *p)
{
	struct local *l = local_make(p);

	counters_track(p);
	if (!l) {
		__sync_fetch_and_add(&dropped_no_storage, 1);
		drop(b, DROP_STORAGE);
		return NULL;
	}
	l->serial = __sync_fetch_and_add(&last_serial, 1) + 1;
	l->kthread = p->flags & PF_KTHREAD;
	l->tid = tid_of(p);
	l->tgid = tgid_of(p);
	return l;
}

/* The innermost of the thread's numbers: what its own process, and the futex words of that, know it by. */
static __always_inline void fill_namespace(struct ev_thread *rec, struct task_struct *p)
{
	struct pid *pid = BPF_CORE_READ(p, thread_pid);
	struct upid *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			  BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);

	rec->ns_tid = BPF_CORE_READ(at, nr);
	rec->pid_ns = BPF_CORE_READ(at, ns, ns.inum);
}

static __always_inline void fill_thread(struct ev_thread *rec, struct task_struct *p,
					struct local *l)
{
	rec->who = l->serial;
	rec->tid = l->tid;
	rec->tgid = l->tgid;
	bpf_probe_read_kernel(rec->comm, sizeof(rec->comm), p->comm);
	rec->more = 0;
	rec->seq = 0;
	fill_namespace(rec, p);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(newtask, struct task_struct *p, u64 clone_flags)
{
	struct task_struct *cur = bpf_get_current_task_btf();
	struct local *parent = local_of(cur), *l;
	bool known = local_known(p); /* the snapshot may have met it already */
	struct ev_thread *rec;
	struct buf *b;

	if (config.mode == MODE_ALL ? (u32)cur->tgid == config.self_tgid || !tid_of(p) :
				      !parent || parent->no_inherit)
		return 0;
	b = buf_here();
	if (!b || known)
		return 0;
	l = track(b, p);
	if (!l)
		return 0;
	l->state = LOCAL_BLOCKED; /* until wakeup_new */
	l->parent = parent ? parent->serial : 0;
	python_fork(cur, p, clone_flags);
	rec = RESERVE(b, ev_thread);
	if (!rec)
		return 0;
	fill_thread(rec, p, l);
	rec->parent = l->parent;
	rec->clone_flags = clone_flags;
	rec->how = 0;
	rec->state = 0;
	COMMIT(rec, record_time(b), EV_FORK, 0);
	write_task(b, p, l, record_time(b));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *p, int old_pid, struct linux_binprm *bprm)
{
	struct local *l = local_of(p);
	struct ev_exec *rec;
	struct buf *b;
	u32 old_tid;

	if (!l)
		return 0;
	python_forget(l);
	old_tid = l->tid;
	l->tid = tid_of(p);
	b = buf_here();
	if (!b)
		return 0;
	rec = RESERVE(b, ev_exec);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->old_tid = old_tid;
	rec->tid = l->tid;
	rec->tgid = l->tgid;
	bpf_probe_read_kernel(rec->comm, sizeof(rec->comm), p->comm);
	__builtin_memset(rec->file, 0, sizeof(rec->file));
	bpf_probe_read_kernel_str(rec->file, sizeof(rec->file), bprm->filename);
	COMMIT(rec, record_time(b), EV_EXEC, 0);
	counters_exec(b, p, l);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *p)
{
	struct local *l = local_of(p);
	struct ev_exit *rec;
	struct buf *b;

	if (!l)
		return 0;
	if (!p->signal->live.counter)
		python_forget(l);
	b = buf_here();
	if (!b)
		return 0;
	rec = RESERVE(b, ev_exit);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->code = p->exit_code;
	COMMIT(rec, record_time(b), EV_EXIT, 0);
	return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(rename, struct task_struct *p, const char *comm)
{
	struct local *l = local_of(p);
	struct ev_name *rec;
	struct buf *b;

	if (!l)
		return 0;
	b = buf_here();
	if (!b)
		return 0;
	rec = RESERVE(b, ev_name);
	if (!rec)
		return 0;
	rec->who = l->serial;
	rec->tgid = l->tgid;
	__builtin_memset(rec->comm, 0, sizeof(rec->comm));
	bpf_probe_read_kernel_str(rec->comm, sizeof(rec->comm), comm);
	COMMIT(rec, record_time(b), EV_NAME, 0);
	return 0;
}

#endif
