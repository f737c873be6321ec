// SPDX-License-Identifier: GPL-2.0-only
/* Time that no class can be given: without privileges every blocked moment, with them only what follows lost events. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_UNTRACKED];
	double share = facts_share(f, ns);
	json_t *evidence;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:f,s:b,s:I}", "untracked_ns", (json_int_t)ns, "share_of_workers_time", share, "bpf",
			     f->run->bpf, "lost_events", (json_int_t)f->run->lost_events);
	if (!f->run->bpf)
		return finding_make(ret, f, "none", ns, evidence, "run it as root: then the wait is seen and named",
				    "%s: for %.1f %% of their time its workers neither ran nor waited for a CPU: they were "
				    "blocked, and on what cannot be seen without privileges.",
				    f->name, share * 100);
	return finding_make(ret, f, "none", ns, evidence, "record again, with larger buffers (record -m)",
			    "%s: %.1f %% of its workers' time is untracked: events were lost or missed there, and it is "
			    "not guessed what they were.",
			    f->name, share * 100);
}

const struct cause cause_unseen = { .name = "none", .find = find };
