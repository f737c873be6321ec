// SPDX-License-Identifier: GPL-2.0-only
/* Starting the workers, and collecting them, took part of the run. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t spawn = f->stack->part_ns[STACK_SPAWN],
		teardown = f->stack->part_ns[STACK_TEARDOWN];
	int64_t ns = spawn + teardown;
	double share = facts_share(f, ns), workers = (double)f->stack->workers;
	double spawn_ms = finding_tenths((double)spawn / workers / 1e6),
	       teardown_ms = finding_tenths((double)teardown / workers / 1e6);

	if (share < FINDING_MIN_SHARE)
		return 0;
	return finding_make(
		ret, f, "spawn", ns,
		json_pack("{s:I,s:I,s:f,s:f,s:f,s:f}", "spawn_ns", (json_int_t)spawn, "teardown_ns",
			  (json_int_t)teardown, "share_of_workers_time", share,
			  "percent_of_workers_time", finding_percent(share), "spawn_ms_each",
			  spawn_ms, "teardown_ms", teardown_ms),
		"give each worker more to do, or keep the workers and reuse them",
		"%s: %.1f %% of the workers' time passed before they began (%.1f ms each on average) and "
		"after the last one had ended (%.1f ms): starting and collecting them.",
		f->name, finding_percent(share), spawn_ms, teardown_ms);
}

const struct cause cause_spawn = { .name = "spawn", .find = find };
