// SPDX-License-Identifier: GPL-2.0-only
/* The workers were blocked inside the kernel, on one of its own locks. */
#include <stdio.h>

#include "explain/lock_words.h"

/* ": kernel lock X, 12 times, 3.1 us each", and what was spent spinning for it. */
static void name_it(char *buf, size_t size, const struct facts *f, const struct worker_lock *lock,
		    json_t *evidence)
{
	double spin_ms = finding_tenths((double)lock->spin_ns / 1e6);
	size_t locks = f->run->waits.nr_locks[CLASS_KLOCK];
	char waits[LOCK_WAITS_SIZE], spun[80] = "";

	json_object_set_new(evidence, "locks", json_integer((json_int_t)locks));
	evidence_number(evidence, "spin_ms", spin_ms);
	if (facts_share(f, (int64_t)lock->spin_ns) >= FINDING_MIN_SHARE)
		snprintf(spun, sizeof(spun),
			 "; %.1f ms more were spent on a CPU, spinning until it was free", spin_ms);
	snprintf(buf, size, "%s: %s, %s%s", locks > 1 ? ", most of it on one" : "", lock->name,
		 lock_waits(waits, lock, evidence), spun);
}

static int find(const struct facts *f, struct finding *ret)
{
	const struct worker_lock *lock = lock_longest(f, CLASS_KLOCK);
	int64_t ns = f->stack->part_ns[STACK_KLOCK];
	double share = facts_share(f, ns);
	char story[LOCK_STORY_SIZE] = "", which[WORKER_LOCK_NAME + 200] = "";
	json_t *evidence;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:f,s:f,s:i}", "klock_ns", (json_int_t)ns,
			     "share_of_workers_time", share, "percent_of_workers_time",
			     finding_percent(share), "workers", (int)f->stack->workers);
	if (lock) {
		name_it(which, sizeof(which), f, lock, evidence);
		lock_story(story, lock, evidence);
	}
	return finding_make(
		ret, f, "klock", ns, evidence,
		"make fewer of the system calls and page faults that take it, or use processes: what "
		"threads share in the kernel (memory, open files) they lock for one another",
		"%s: for %.1f %% of the time of its %zu worker%s they were blocked inside the kernel, on "
		"a lock of its own%s%s.",
		f->name, finding_percent(share), f->stack->workers,
		f->stack->workers == 1 ? "" : "s", which, story);
}

const struct cause cause_klock = { .name = "klock", .find = find };
