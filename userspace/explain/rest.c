// SPDX-License-Identifier: GPL-2.0-only
/* The largest part that no other cause speaks of, so that nothing above a hundredth goes without a sentence. */
#include "explain/finding.h"

static const struct {
	enum stack_part part;
	const char *what, *remedy;
} parts[] = {
	{ STACK_SLEEP, "asleep until a time that they chose themselves",
	  "sleep less, or wait for what is awaited instead" },
	{ STACK_STOPPED, "stopped, by a signal, a debugger or the freezer", "let them go on" },
	{ STACK_BLOCKED_OTHER, "blocked in the kernel, on something that cannot be named",
	  "see with `whyscale script` in which system call" },
};

static int find_untracked(const struct facts *f, int64_t ns, struct finding *ret)
{
	double share = facts_share(f, ns);
	json_t *evidence = json_pack("{s:I,s:f,s:f,s:b,s:I}", "untracked_ns", (json_int_t)ns,
				     "share_of_workers_time", share, "percent_of_workers_time",
				     finding_percent(share), "bpf", f->run->bpf, "lost_events",
				     (json_int_t)f->run->lost_events);

	if (!f->run->bpf)
		return finding_make(
			ret, f, "none", ns, evidence,
			"run it as root: then the wait is seen and named",
			"%s: for %.1f %% of their time its workers neither ran nor waited for a CPU: they were "
			"blocked, and on what cannot be seen without privileges%s.",
			f->name, finding_percent(share),
			f->interpreter_lock ?
				"; a Python thread runs only while it holds its interpreter's one lock, so it may be that" :
				"");
	return finding_make(
		ret, f, "none", ns, evidence, "record again, with larger buffers (record -m)",
		"%s: %.1f %% of its workers' time is untracked: events were lost or missed there, and it is "
		"not guessed what they were.",
		f->name, finding_percent(share));
}

static int find(const struct facts *f, struct finding *ret)
{
	size_t largest = 0;
	int64_t ns, untracked = f->stack->part_ns[STACK_UNTRACKED];

	for (size_t i = 1; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (f->stack->part_ns[parts[i].part] > f->stack->part_ns[parts[largest].part])
			largest = i;
	ns = f->stack->part_ns[parts[largest].part];
	if (facts_share(f, ns > untracked ? ns : untracked) < FINDING_MIN_SHARE)
		return 0;
	if (untracked >= ns)
		return find_untracked(f, untracked, ret);
	return finding_make(
		ret, f, "none", ns,
		json_pack("{s:s,s:I,s:f,s:f}", "part", stack_part_name(parts[largest].part), "ns",
			  (json_int_t)ns, "share_of_workers_time", facts_share(f, ns),
			  "percent_of_workers_time", finding_percent(facts_share(f, ns))),
		parts[largest].remedy, "%s: for %.1f %% of their time its workers were %s.",
		f->name, finding_percent(facts_share(f, ns)), parts[largest].what);
}

const struct cause cause_rest = { .name = "none", .find = find };
