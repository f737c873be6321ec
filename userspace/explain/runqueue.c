// SPDX-License-Identifier: GPL-2.0-only
/* The workers were ready to run and had no CPU. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t preempted = f->stack->part_ns[STACK_RUNQ_PREEMPTED], wakeup = f->stack->part_ns[STACK_RUNQ_WAKEUP];
	int64_t ns = preempted + wakeup;
	double share = facts_share(f, ns);
	bool crowded = f->stack->workers > f->cpus;
	json_t *evidence;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:I,s:f,s:i,s:i}", "runq_preempted_ns", (json_int_t)preempted, "runq_wakeup_ns",
			     (json_int_t)wakeup, "share_of_workers_time", share, "workers",
			     (int)f->stack->workers, "cpus", (int)f->cpus);
	return finding_make(ret, f, "runqueue", ns, evidence,
			    crowded ? "use no more workers than CPUs: more of them only take turns" :
				      "see who had the CPU meanwhile: stop or move the other programs, or raise the priority",
			    "%s: its workers were ready to run and waited for a CPU for %.1f %% of their time (%.1f %% "
			    "after losing it, %.1f %% after a wake-up): %zu workers on %u CPUs%s.",
			    f->name, share * 100, facts_share(f, preempted) * 100, facts_share(f, wakeup) * 100,
			    f->stack->workers, f->cpus,
			    crowded ? "" : ", so other threads had the CPU");
}

const struct cause cause_runqueue = { .name = "runqueue", .find = find };
