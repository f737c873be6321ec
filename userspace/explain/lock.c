// SPDX-License-Identifier: GPL-2.0-only
/* The workers waited for locks of the program: mutexes and read-write locks. */
#include <stdio.h>

#include "explain/lock_words.h"

static const char *kind_words(enum lock_kind kind)
{
	switch (kind) {
	case LOCK_RWLOCK:
		return "read-write lock";
	case LOCK_PI_MUTEX:
		return "priority-inheriting mutex";
	default:
		return "mutex";
	}
}

/* What the holder does while others wait tells what would help. */
static const char *remedy_for(const struct worker_lock *lock)
{
	double out, waits;

	if (!lock)
		return "hold locks for a shorter time, or let each worker own its data";
	out = finding_ratio(lock->doing_ns[LOCK_PREEMPTED], lock->all_wait_ns);
	waits = finding_ratio(lock->doing_ns[LOCK_BLOCKED] + lock->doing_ns[LOCK_ASLEEP],
			      lock->all_wait_ns);
	if (waits > 0.5)
		return "do not sleep, read, write or wait for others while it is held";
	if (out > 0.5)
		return "use no more threads than CPUs, so that who holds it can run and let go of it";
	return "hold it for a shorter time, divide what it protects, or let each worker own its data";
}

/* "the mutex counter_lock in prog, which they had to wait for 9 times, 11.3 ms each", or the first among several. */
static void name_it(char *buf, size_t size, const struct facts *f, const struct worker_lock *lock,
		    json_t *evidence)
{
	size_t locks = f->run->waits.nr_locks[CLASS_LOCK];
	char among[64] = "", waits[LOCK_WAITS_SIZE];
	double of_it;

	of_it = finding_percent(
		finding_ratio(lock->wait_ns, (uint64_t)f->stack->part_ns[STACK_LOCK]));
	json_object_set_new(evidence, "locks", json_integer((json_int_t)locks));
	evidence_number(evidence, "percent_of_lock_time", of_it);
	if (locks > 1)
		snprintf(among, sizeof(among), "%zu locks, for %.1f %% of that for ", locks, of_it);
	snprintf(buf, size, "%sthe %s %s, which they had to wait for %s", among,
		 kind_words(lock->kind), lock->name, lock_waits(waits, lock, evidence));
}

/* What each of the longest waited for would bring by itself, where that was replayed. */
static void tell_each(const struct facts *f, json_t *evidence)
{
	json_t *list = json_array();

	for (size_t i = 0; f->replay && f->replay->good && i < f->replay->nr_locks; i++) {
		const struct replay_lock *lock = &f->replay->lock[i];

		if (lock_kind_class(lock->kind) == CLASS_LOCK)
			json_array_append_new(
				list, json_pack("{s:s,s:s,s:I,s:f}", "lock", lock->name, "kind",
						lock_kind_name(lock->kind), "wait_ns",
						(json_int_t)lock->wait_ns, "bound",
						finding_bound_replayed(f, &lock->without)));
	}
	if (json_array_size(list))
		json_object_set(evidence, "without_this_lock_alone", list);
	json_decref(list);
}

static int find(const struct facts *f, struct finding *ret)
{
	const struct worker_lock *lock = lock_longest(f, CLASS_LOCK);
	int64_t ns = f->stack->part_ns[STACK_LOCK];
	double share = facts_share(f, ns);
	char story[LOCK_STORY_SIZE] = "", which[WORKER_LOCK_NAME + 200] = "locks";
	json_t *evidence;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:f,s:f,s:i}", "lock_ns", (json_int_t)ns,
			     "share_of_workers_time", share, "percent_of_workers_time",
			     finding_percent(share), "workers", (int)f->stack->workers);
	if (evidence)
		tell_each(f, evidence);
	if (lock) {
		name_it(which, sizeof(which), f, lock, evidence);
		lock_story(story, lock, evidence);
	}
	return finding_make(
		ret, f, "lock", ns, evidence, remedy_for(lock),
		"%s: %.1f %% of the time of its %zu worker%s is spent waiting for %s%s.", f->name,
		finding_percent(share), f->stack->workers, f->stack->workers == 1 ? "" : "s", which,
		story);
}

const struct cause cause_lock = { .name = "lock", .find = find };
