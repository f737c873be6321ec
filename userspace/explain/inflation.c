// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same work took more CPU time than in the reference. No scheduler event shows why: CPUs that share a core, a cache or a host are
 * worth less together than alone. How much, a pinned loop tells that ran just before or after.
 */
#include "explain/finding.h"

/* Do the CPUs, worth less together, explain at least half of it? */
static bool shared_enough(const struct facts *f, double times)
{
	return f->capacity_cpus / f->capacity - 1 > (times - 1) / 2;
}

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_INFLATION];
	double share = facts_share(f, ns), times;
	json_t *evidence;

	if (!f->reference_ns || share < FINDING_MIN_SHARE)
		return 0;
	times = 1 + (double)ns / (double)f->reference_ns;
	evidence = json_pack("{s:I,s:f,s:I,s:i,s:f,s:f,s:f}", "inflation_ns", (json_int_t)ns,
			     "times", finding_hundredths(times), "reference_oncpu_ns",
			     (json_int_t)f->reference_ns, "measured_on_cpus", (int)f->capacity_cpus,
			     "capacity_cpus", finding_hundredths(f->capacity), "capacity_min",
			     finding_hundredths(f->capacity_min), "capacity_max",
			     finding_hundredths(f->capacity_max));
	if (f->capacity > 0)
		return finding_make(
			ret, f, "inflation", ns, evidence,
			shared_enough(f, times) ?
				"nothing in the program: more, or less shared, physical cores" :
				"repeat it in a quieter hour (--repeat), or for longer: the "
				"CPUs themselves were worth what they should be",
			"%s: the same work took %.2f times the CPU time that it took %s alone; close to that "
			"run, a bare counting loop pinned to each of %u CPUs at once did the work of %.2f CPUs "
			"(%.2f to %.2f).",
			f->name, finding_hundredths(times), f->baseline_name, f->capacity_cpus,
			finding_hundredths(f->capacity), finding_hundredths(f->capacity_min),
			finding_hundredths(f->capacity_max));
	return finding_make(
		ret, f, "inflation", ns, evidence, "compare in a quiet hour, and with --repeat",
		"%s: the same work took %.2f times the CPU time that it took %s alone; the scheduler did "
		"not cause that.",
		f->name, finding_hundredths(times), f->baseline_name);
}

const struct cause cause_inflation = { .name = "inflation", .find = find };
