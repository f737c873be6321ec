// SPDX-License-Identifier: GPL-2.0-only
/* The workers waited for CPython's global interpreter lock: only the thread that holds it runs Python. */
#include <inttypes.h>
#include <stdio.h>

#include "explain/lock_words.h"

/* Below this share of the run with two or more on a CPU it is said that at most one ran at a time: hand-overs overlap a little. */
#define AT_ONCE_MAX 0.05

/* t0..t1 with at least two workers on a CPU, as a share; -1: not known. */
static double together(const struct facts *f)
{
	uint64_t at_once = 0;

	if (!f->run->oncpu_ns || f->stack->wall_ns <= 0)
		return -1;
	for (size_t k = 2; k <= f->run->nr; k++)
		at_once += f->run->oncpu_ns[k];
	return finding_ratio(at_once, (uint64_t)f->stack->wall_ns);
}

/* From the first one's beginning to the last one's end, ns. */
static int64_t worked_ns(const struct experiment *run)
{
	int64_t begin = INT64_MAX, end = 0;

	for (size_t i = 0; run->worker && i < run->nr; i++) {
		begin = run->worker[i].begin_ns < begin ? run->worker[i].begin_ns : begin;
		end = run->worker[i].end_ns > end ? run->worker[i].end_ns : end;
	}
	return end > begin ? end - begin : 0;
}

/* ", handed over 211 times, every 5.0 ms": where there is one lock, and it changed hands. */
static const char *handed_over(char *buf, size_t size, const struct facts *f,
			       const struct worker_lock *lock, json_t *evidence)
{
	uint64_t times = lock ? lock->gil_handovers : 0;
	double every_ms = times ? finding_tenths((double)worked_ns(f->run) / (double)times / 1e6) :
				  0;

	*buf = '\0';
	if (!lock)
		return buf;
	json_object_set_new(evidence, "gil_handovers", json_integer((json_int_t)times));
	json_object_set_new(evidence, "gil_timeouts", json_integer((json_int_t)lock->gil_timeouts));
	evidence_number(evidence, "handover_every_ms", every_ms);
	if (times && f->run->waits.nr_locks[CLASS_GIL] == 1)
		snprintf(buf, size, ", handed over %" PRIu64 " time%s, every %.1f ms", times,
			 times == 1 ? "" : "s", every_ms);
	return buf;
}

static int find_with(const struct facts *f, int64_t ns, json_t *evidence, struct finding *ret)
{
	const struct worker_lock *lock = lock_longest(f, CLASS_GIL);
	double percent = finding_percent(facts_share(f, ns)), at_once = together(f);
	size_t workers = f->stack->workers, locks = f->run->waits.nr_locks[CLASS_GIL];
	char story[LOCK_STORY_SIZE] = "", handed[80], meanwhile[80] = "";
	const char *remedy = "let processes do the work instead of threads: each has an "
			     "interpreter, and a lock, of its own";

	handed_over(handed, sizeof(handed), f, lock, evidence);
	if (lock)
		lock_story(story, lock, evidence);
	if (at_once >= 0)
		evidence_number(evidence, "two_or_more_on_cpu_percent", finding_percent(at_once));
	if (workers > 1 && locks < 2 && at_once >= 0 && at_once < AT_ONCE_MAX)
		return finding_make(
			ret, f, "gil", ns, evidence, remedy,
			"%s: at most one of %zu threads runs at a time: %.1f %% of their time is spent waiting for "
			"CPython's GIL%s%s.",
			f->name, workers, percent, handed, story);
	if (at_once >= 0 && workers > 1)
		snprintf(meanwhile, sizeof(meanwhile),
			 "; two or more of them ran at once for %.1f %% of the run",
			 finding_percent(at_once));
	return finding_make(
		ret, f, "gil", ns, evidence, remedy,
		"%s: %.1f %% of the time of its %zu worker%s is spent waiting for CPython's GIL%s%s%s.",
		f->name, percent, workers, workers == 1 ? "" : "s", handed, meanwhile, story);
}

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_GIL];
	double share = facts_share(f, ns), elsewhere = finding_hundredths(f->peer_speedup);
	json_t *evidence;
	int r;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:f,s:f,s:i}", "gil_ns", (json_int_t)ns, "share_of_workers_time",
			     share, "percent_of_workers_time", finding_percent(share), "workers",
			     (int)f->stack->workers);
	if (evidence && f->peer)
		json_object_set_new(evidence, "peer", json_string(f->peer));
	if (evidence && f->peer)
		evidence_number(evidence, "peer_speedup", elsewhere);
	r = find_with(f, ns, evidence, ret);
	if (r <= 0 || !f->peer)
		return r;
	/* a peer beyond the bound is no contradiction, but must not look like one */
	return finding_add(
		ret, "; %s measured %.2fx%s", f->peer, elsewhere,
		f->peer_speedup > ret->bound ? ", having lost less in other ways as well" : "");
}

const struct cause cause_gil = { .name = "gil", .find = find };
