// SPDX-License-Identifier: GPL-2.0-only
/* The cgroup's CPU quota was used up. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_THROTTLED];
	double share = facts_share(f, ns);

	if (share < FINDING_MIN_SHARE)
		return 0;
	return finding_make(
		ret, f, "throttled", ns,
		json_pack("{s:I,s:f,s:f}", "throttled_ns", (json_int_t)ns, "share_of_workers_time",
			  share, "percent_of_workers_time", finding_percent(share)),
		"raise the cgroup's quota (cpu.max), or use fewer workers than it pays for",
		"%s: its workers stood still for %.1f %% of their time because their cgroup had used up its "
		"CPU quota.",
		f->name, finding_percent(share));
}

const struct cause cause_throttled = { .name = "throttled", .find = find };
