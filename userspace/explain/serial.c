// SPDX-License-Identifier: GPL-2.0-only
/*
 * Only one worker could run: the others waited for what it did. What they waited for as a lock is told by `lock` and `gil`; what they
 * waited for otherwise while another one ran too is told by `sync`.
 */
#include <stdio.h>

#include "explain/lock_words.h"

static unsigned int mostly(const struct worker_waits *w)
{
	unsigned int most = 0;

	for (unsigned int kind = 1; kind < WAIT_KINDS; kind++)
		if (w->alone_kind_ns[kind] > w->alone_kind_ns[most])
			most = kind;
	return most;
}

/* " (prog/1234 for 98.0 % of that)", when it is mostly the same one. */
static void name_it(char *buf, size_t size, const struct worker_waits *w, json_t *evidence)
{
	double share = finding_ratio(w->alone_most_ns, w->alone_ns);
	char who[LOCK_WHO_SIZE];

	*buf = '\0';
	if (!w->alone_most_tid)
		return;
	json_object_set_new(evidence, "alone_most",
			    json_string(lock_who(who, w->alone_most_comm, w->alone_most_tid)));
	json_object_set_new(evidence, "alone_most_tid", json_integer(w->alone_most_tid));
	evidence_number(evidence, "alone_most_percent", finding_percent(share));
	if (share >= LOCK_TELL_HOLDER)
		snprintf(buf, size, " (%s for %.1f %% of that)", who, finding_percent(share));
}

/* Most of it is what the coordinators do while none of the workers lives. */
static int find_coordinator(const struct facts *f, int64_t ns, struct finding *ret)
{
	double alone = finding_percent(
		finding_ratio(f->coordinator_alone_wall_ns, (uint64_t)f->stack->wall_ns));
	double share = facts_share(f, ns);

	return finding_make(
		ret, f, "serial", ns,
		json_pack("{s:I,s:f,s:f,s:i,s:I,s:f,s:I}", "serial_ns", (json_int_t)ns,
			  "share_of_workers_time", share, "percent_of_workers_time",
			  finding_percent(share), "workers", (int)f->stack->workers,
			  "coordinator_alone_ns", (json_int_t)f->coordinator_alone_wall_ns,
			  "coordinator_alone_percent_of_run", alone, "one_alone_ns",
			  (json_int_t)f->run->waits.alone_ns),
		"divide that among the workers too, or do it while they work",
		"%s: for %.1f %% of the run only what starts the workers runs, before they have begun, "
		"between two groups of them or after they have ended: %.1f %% of the time of %zu workers.",
		f->name, alone, finding_percent(share), f->stack->workers);
}

static int find(const struct facts *f, struct finding *ret)
{
	const struct worker_waits *w = &f->run->waits;
	int64_t ns = serial_ns(f);
	double share = facts_share(f, ns), alone;
	char who[LOCK_WHO_SIZE + 40], words[WAIT_WORDS_SIZE];
	unsigned int kind = mostly(w);
	json_t *evidence;

	if (!ns)
		return 0;
	if (2 * (int64_t)f->coordinator_alone_ns > ns)
		return find_coordinator(f, ns, ret);
	alone = finding_percent(finding_ratio(w->alone_ns, (uint64_t)f->stack->wall_ns));
	evidence = json_pack("{s:I,s:f,s:f,s:i,s:I,s:f,s:s}", "serial_ns", (json_int_t)ns,
			     "share_of_workers_time", share, "percent_of_workers_time",
			     finding_percent(share), "workers", (int)f->stack->workers,
			     "one_alone_ns", (json_int_t)w->alone_ns, "one_alone_percent_of_run",
			     alone, "kind", wait_name(kind));
	name_it(who, sizeof(who), w, evidence);
	return finding_make(
		ret, f, "serial", ns, evidence,
		"divide what that one does alone, or let the others do something else meanwhile",
		"%s: for %.1f %% of the run exactly one of its %zu workers runs%s while others wait for it: "
		"%.1f %% of the workers' time, most of it %s.",
		f->name, alone, f->stack->workers, who, finding_percent(share),
		wait_words(words, f, kind, evidence, "object"));
}

const struct cause cause_serial = { .name = "serial", .find = find };
