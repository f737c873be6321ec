// SPDX-License-Identifier: GPL-2.0-only
/* The workers wait for one another: futexes, joins, pipes between them are not told apart from locks here. */
#include "explain/finding.h"

/* t0..t1 with at least two workers on a CPU, as a share; -1 when it is not known. */
static double together(const struct facts *f)
{
	uint64_t at_once = 0;

	if (!f->run->oncpu_ns || f->stack->wall_ns <= 0)
		return -1;
	for (size_t k = 2; k <= f->run->nr; k++)
		at_once += f->run->oncpu_ns[k];
	return (double)at_once / (double)f->stack->wall_ns;
}

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_SYNC];
	double share = facts_share(f, ns), at_once = together(f);
	json_t *evidence;

	if (share < FINDING_MIN_SHARE || f->stack->workers < 2)
		return 0;
	evidence = json_pack("{s:I,s:f,s:f,s:b}", "sync_ns", (json_int_t)ns,
			     "share_of_workers_time", share, "two_or_more_on_cpu_share", at_once,
			     "interpreter_lock", f->interpreter_lock);
	return finding_make(
		ret, f, "sync", ns, evidence,
		f->interpreter_lock ?
			"count in processes instead of threads: each has an interpreter, and a lock, of its own" :
			"let each worker own its data, or hold what is shared for a shorter time",
		"%s: at least two of its %zu workers were on a CPU at the same time for %s%.2f %% of the run; "
		"they spent %.1f %% of their time blocked until another thread let them go on (a futex, a join, a "
		"child)%s.",
		f->name, f->stack->workers, at_once < 0.5 ? "only " : "", at_once * 100,
		share * 100,
		f->interpreter_lock ?
			": a Python thread may run only while it holds its interpreter's one lock" :
			"");
}

const struct cause cause_sync = { .name = "sync", .find = find };
