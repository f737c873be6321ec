// SPDX-License-Identifier: GPL-2.0-only
/* The workers were ready to run and had no CPU. */
#include <stdio.h>

#include "explain/lock_words.h"

#define OTHERS_TO_TELL 5.0 /* percent */

/* Where only /proc was read, how a wait began is not known. */
static int find_unsplit(const struct facts *f, int64_t ns, double share, json_t *evidence,
			const char *remedy, struct finding *ret)
{
	return finding_make(
		ret, f, "runqueue", ns, evidence, remedy,
		"%s: %s ready to run and had no CPU for %.1f %% of %s time: %zu on %u CPU%s.",
		f->name, f->stack->workers > 1 ? "its workers were" : "its worker was",
		finding_percent(share), f->stack->workers > 1 ? "their" : "its", f->stack->workers,
		f->cpus, f->cpus == 1 ? "" : "s");
}

/* What a single CPU more would bring, where that was replayed. */
static int add_one_more(const struct facts *f, struct finding *ret)
{
	double bound = f->replay ? finding_bound_replayed(f, &f->replay->without[REPLAY_ONE_MORE]) :
				   0;

	if (bound <= 0)
		return 1;
	bound = finding_hundredths(bound);
	evidence_number(ret->evidence, "one_cpu_more", bound);
	json_object_set_new(
		ret->evidence, "one_cpu_more_expected",
		json_real(facts_speedup(f) * (double)f->stack->wall_ns /
			  (double)replay_of_run(f->replay, (uint64_t)f->stack->wall_ns,
						f->replay->without[REPLAY_ONE_MORE].expected_ns)));
	return finding_add(ret,
			   " (with a CPU whenever one is wanted); with one CPU more at most %.2fx",
			   bound);
}

/* Of that time, in percent, programs that are not part of the run had the CPU; as words where it is worth them. */
static double by_others(char *words, size_t size, const struct facts *f, json_t *evidence)
{
	double percent;

	*words = '\0';
	if (!f->run->runq_wait_ns)
		return 0;
	percent = finding_percent(finding_ratio(f->run->runq_foreign_ns, f->run->runq_wait_ns));
	evidence_number(evidence, "other_programs_percent", percent);
	if (percent >= OTHERS_TO_TELL)
		snprintf(
			words, size,
			"; programs that are no part of the run had the CPU for %.1f %% of that time",
			percent);
	return percent;
}

static int find(const struct facts *f, struct finding *ret)
{
	int64_t preempted = f->stack->part_ns[STACK_RUNQ_PREEMPTED],
		wakeup = f->stack->part_ns[STACK_RUNQ_WAKEUP];
	int64_t ns = preempted + wakeup;
	double share = facts_share(f, ns);
	bool crowded = f->stack->workers > f->cpus, many = f->stack->workers > 1;
	double after_other = finding_percent(facts_share(f, preempted)),
	       after_wakeup = finding_percent(facts_share(f, wakeup));
	char others[100];
	const char *remedy;
	json_t *evidence;
	int r;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:I,s:f,s:f,s:f,s:f,s:i,s:i}", "runq_preempted_ns",
			     (json_int_t)preempted, "runq_wakeup_ns", (json_int_t)wakeup,
			     "share_of_workers_time", share, "percent_of_workers_time",
			     finding_percent(share), "preempted_percent", after_other,
			     "wakeup_percent", after_wakeup, "workers", (int)f->stack->workers,
			     "cpus", (int)f->cpus);
	remedy = by_others(others, sizeof(others), f, evidence) < 50 && crowded ?
			 "use no more workers than CPUs: more of them only take turns" :
			 "see who had the CPU meanwhile: stop or move the other programs, or raise "
			 "the priority";
	if (!f->run->bpf)
		return find_unsplit(f, ns, share, evidence, remedy, ret);
	r = finding_make(
		ret, f, "runqueue", ns, evidence, remedy,
		"%s: %s ready to run and waited for a CPU for %.1f %% of %s time (%.1f %% after another "
		"thread was given it, %.1f %% after a wake-up): %zu on %u CPU%s%s%s.",
		f->name, many ? "its workers were" : "its worker was", finding_percent(share),
		many ? "their" : "its", after_other, after_wakeup, f->stack->workers, f->cpus,
		f->cpus == 1 ? "" : "s",
		crowded || *others ?
			"" :
			"; so others had a CPU meanwhile, or workers stood in one queue while a CPU was free",
		others);
	return r > 0 ? add_one_more(f, ret) : r;
}

const struct cause cause_runqueue = { .name = "runqueue", .find = find };
