// SPDX-License-Identifier: GPL-2.0-only
/* Some workers had ended while others still worked. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_IMBALANCE];
	double share = facts_share(f, ns);

	if (share < FINDING_MIN_SHARE)
		return 0;
	return finding_make(
		ret, f, "imbalance", ns,
		json_pack("{s:I,s:f,s:f}", "imbalance_ns", (json_int_t)ns, "share_of_workers_time",
			  share, "percent_of_workers_time", finding_percent(share)),
		"split the work into more, smaller parts that free workers can take",
		"%s: workers that had finished stood idle for %.1f %% of the workers' time while the last "
		"one still worked.",
		f->name, finding_percent(share));
}

const struct cause cause_imbalance = { .name = "imbalance", .find = find };
