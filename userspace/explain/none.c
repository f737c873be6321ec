// SPDX-License-Identifier: GPL-2.0-only
/* Nothing was lost that is worth a sentence: what the run then shows. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	double speedup = finding_hundredths(facts_speedup(f));
	double oncpu = facts_share(f, f->stack->part_ns[STACK_USEFUL] +
					      f->stack->part_ns[STACK_INFLATION]);
	json_t *evidence = json_pack("{s:f,s:f,s:f,s:i,s:f}", "oncpu_share", oncpu, "oncpu_percent",
				     finding_percent(oncpu), "speedup", speedup, "workers",
				     (int)f->stack->workers, "limit_percent",
				     FINDING_MIN_SHARE * 100);

	if (f->single)
		return finding_make(
			ret, f, "none", 0, evidence, "nothing: the others are measured against it",
			"%s: one worker, on a CPU for %.1f %% of the run: the baseline of its language.",
			f->name, finding_percent(oncpu));
	return finding_make(
		ret, f, "none", 0, evidence, "nothing to gain here but more CPUs",
		"%s: its %zu worker%s on a CPU for %.1f %% of the time, nothing else took more than "
		"%.0f %%: %.2f times as fast as %s.",
		f->name, f->stack->workers, f->stack->workers == 1 ? " was" : "s were",
		finding_percent(oncpu), FINDING_MIN_SHARE * 100, speedup,
		f->baseline_name ? f->baseline_name : "one worker");
}

const struct cause cause_none = { .name = "none", .find = find };
