// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same work took more CPU time than in the reference. No scheduler event shows why: CPUs that share a core, a cache or a host are
 * worth less together than alone. How much, a pinned loop tells that ran just before and after, by the CPU time of its turns: what other
 * programs take of the CPUs meanwhile makes no turn dearer.
 */
#include "explain/lock_words.h"

/* Do the CPUs, worth less together, explain at least half of it? */
static bool shared_enough(const struct facts *f, double times)
{
	return f->shared.times - 1 > (times - 1) / 2;
}

static int find_measured(const struct facts *f, int64_t ns, double times, json_t *evidence,
			 struct finding *ret)
{
	double together = finding_hundredths(f->shared.times),
	       low = finding_hundredths(f->shared.times_min),
	       high = finding_hundredths(f->shared.times_max);

	evidence_number(evidence, "loop_times_together", together);
	evidence_number(evidence, "loop_times_min", low);
	evidence_number(evidence, "loop_times_max", high);
	return finding_make(
		ret, f, "inflation", ns, evidence,
		shared_enough(f, times) ?
			"nothing in the program: more, or less shared, physical cores" :
			"look at what the threads share in memory (variables of several threads in one "
			"cache line, counters that all write), and repeat it in a quieter hour (--repeat): "
			"the CPUs themselves were worth what they should be",
		"%s: the same work took %.2f times the CPU time that it took %s alone; around that run, "
		"a turn of a bare counting loop took %.2f times its CPU time (%.2f to %.2f) while one ran on "
		"each of %u CPUs at once.",
		f->name, finding_hundredths(times), f->baseline_name, together, low, high,
		f->shared.cpus);
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
	if (f->shared.cpus > 1 && f->shared.times > 0)
		return find_measured(f, ns, times, evidence, ret);
	return finding_make(
		ret, f, "inflation", ns, evidence, "compare in a quiet hour, and with --repeat",
		"%s: the same work took %.2f times the CPU time that it took %s alone; the scheduler did "
		"not cause that.",
		f->name, finding_hundredths(times), f->baseline_name);
}

const struct cause cause_inflation = { .name = "inflation", .find = find };
