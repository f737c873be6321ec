// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who the recorder is to the kernel: how deep its pid namespace lies, which is told to nobody in it. The program is run by the recorder's
 * own reading of its iterator, so it is the current task.
 */
#include "compat.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL v2";

__u32 tgid, pid_level, pid_ns;

SEC("iter/task")
int self(struct bpf_iter__task *ctx)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct pid *pid;
	struct upid *at;

	if (tgid)
		return 0;
	pid = BPF_CORE_READ(p, thread_pid);
	pid_level = BPF_CORE_READ(pid, level);
	at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	     pid_level * bpf_core_type_size(struct upid);
	pid_ns = BPF_CORE_READ(at, ns, ns.inum);
	tgid = p->tgid;
	return 0;
}
