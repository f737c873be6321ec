// SPDX-License-Identifier: GPL-2.0-only
/* Locks and waits in words: see lock_words.h. */
#include "explain/lock_words.h"

#include <stdio.h>
#include <string.h>

const struct worker_lock *lock_longest(const struct facts *f, enum ledger_class class)
{
	const struct worker_waits *w = &f->run->waits;

	for (size_t i = 0; i < w->nr; i++)
		if (w->lock[i].class == class)
			return &w->lock[i];
	return NULL;
}

const struct worker_lock *lock_of_kind(const struct facts *f, unsigned int kind)
{
	const struct worker_waits *w = &f->run->waits;

	for (size_t i = 0; i < w->nr; i++)
		if (w->lock[i].kind == kind)
			return w->lock[i].wait_ns >= w->kind_ns[kind] / 2 ? &w->lock[i] : NULL;
	return NULL;
}

void evidence_number(json_t *evidence, const char *key, double value)
{
	json_object_set_new(evidence, key, json_real(value));
}

static void put_count(json_t *evidence, const char *key, uint64_t value)
{
	json_object_set_new(evidence, key, json_integer((json_int_t)value));
}

/* The next half sentence: "; for 12.3 % of that waiting ..." */
static void say(char *buf, double share, const char *what, const char *who)
{
	size_t len = strlen(buf);

	snprintf(buf + len, LOCK_STORY_SIZE - len, "; for %.1f %% of %s %s%s",
		 finding_percent(share), len ? "it" : "that waiting", what, who);
}

const char *lock_who(char buf[LOCK_WHO_SIZE], const char *comm, uint32_t tid)
{
	snprintf(buf, LOCK_WHO_SIZE, "%.*s/%u", EV_COMM_LEN, comm, tid);
	return buf;
}

static void tell_holder(char *buf, const struct worker_lock *lock, json_t *evidence)
{
	double share = finding_ratio(lock->holder_ns, lock->all_wait_ns);
	char who[LOCK_WHO_SIZE];

	if (!lock->holder_tid)
		return;
	lock_who(who, lock->holder_comm, lock->holder_tid);
	json_object_set_new(evidence, "holder", json_string(who));
	put_count(evidence, "holder_tid", lock->holder_tid);
	evidence_number(evidence, "holder_percent", finding_percent(share));
	if (share >= LOCK_TELL_HOLDER)
		say(buf, share, "the lock was held by ", who);
}

/* Of the time that the holder could have run and had no CPU, what came right after it was given the lock is the convoy's. */
static void tell_doing(char *buf, const struct worker_lock *lock, json_t *evidence)
{
	uint64_t handed = lock->handed_ns, out = lock->doing_ns[LOCK_PREEMPTED];
	const struct {
		const char *key, *words;
		uint64_t ns;
	} doing[] = {
		{ "holder_running_percent", NULL, lock->doing_ns[LOCK_RUNNING] },
		{ "holder_preempted_percent",
		  "its holder was ready to run but had no CPU (a preempted lock-holder)",
		  out > handed ? out - handed : 0 },
		{ "holder_handed_percent",
		  "the lock had been handed to a waiter that first had to get a CPU (a lock convoy)",
		  handed },
		{ "holder_blocked_percent", "its holder was itself blocked",
		  lock->doing_ns[LOCK_BLOCKED] },
		{ "holder_asleep_percent", "its holder slept", lock->doing_ns[LOCK_ASLEEP] },
	};

	for (size_t i = 0; i < sizeof(doing) / sizeof(doing[0]); i++) {
		double share = finding_ratio(doing[i].ns, lock->all_wait_ns);

		evidence_number(evidence, doing[i].key, finding_percent(share));
		if (doing[i].words && share >= LOCK_TELL_DOING)
			say(buf, share, doing[i].words, "");
	}
}

const char *lock_story(char buf[LOCK_STORY_SIZE], const struct worker_lock *lock, json_t *evidence)
{
	*buf = '\0';
	json_object_set_new(evidence, "lock", json_string(lock->name));
	json_object_set_new(evidence, "kind", json_string(lock_kind_name(lock->kind)));
	put_count(evidence, "waits", lock->waits);
	put_count(evidence, "wait_ns", lock->wait_ns);
	put_count(evidence, "all_threads_waits", lock->all_waits);
	put_count(evidence, "all_threads_wait_ns", lock->all_wait_ns);
	put_count(evidence, "convoys", lock->convoys);
	tell_holder(buf, lock, evidence);
	tell_doing(buf, lock, evidence);
	return buf;
}

const char *lock_waits(char buf[LOCK_WAITS_SIZE], const struct worker_lock *lock, json_t *evidence)
{
	double each_ns = finding_ratio(lock->wait_ns, lock->waits);
	bool short_ones = each_ns < 1e6;
	double each = finding_tenths(each_ns / (short_ones ? 1e3 : 1e6));
	const char *unit = short_ones ? "us" : "ms";

	evidence_number(evidence, short_ones ? "wait_us_each" : "wait_ms_each", each);
	if (lock->waits == 1)
		snprintf(buf, LOCK_WAITS_SIZE, "once, for %.1f %s", each, unit);
	else
		snprintf(buf, LOCK_WAITS_SIZE, "%llu times, %.1f %s each",
			 (unsigned long long)lock->waits, each, unit);
	return buf;
}

const char *wait_words(char buf[WAIT_WORDS_SIZE], const struct facts *f, unsigned int kind,
		       json_t *evidence, const char *key)
{
	const struct worker_lock *object = lock_of_kind(f, kind);
	const char *what;
	static const char *const words[WAIT_KINDS] = {
		[LOCK_FUTEX] = "on a futex whose purpose is not known",
		[LOCK_COND] = "on a condition variable",
		[LOCK_JOIN] = "for another thread's end",
		[LOCK_SEMAPHORE] = "on a semaphore",
		[LOCK_BARRIER] = "at a barrier",
		[LOCK_ONCE] = "for something that is initialised once",
		[LOCK_FUTURE] = "for a result (a future)",
		[LOCK_PARK] = "parked, until another thread wakes them",
		[LOCK_RUNTIME] = "inside their language's runtime",
		[WAIT_OTHER] = "for something that no event names (such as a child's end)",
		[WAIT_ABSENT] = "because there was no thread for them",
	};

	what = kind < WAIT_KINDS && words[kind] ? words[kind] : "for another thread";
	if (object)
		json_object_set_new(evidence, key, json_string(object->name));
	if (object && kind == LOCK_JOIN) /* its name says it: "end of thread prog/123" */
		snprintf(buf, WAIT_WORDS_SIZE, "for the %s", object->name);
	else if (object)
		snprintf(buf, WAIT_WORDS_SIZE, "%s (%s)", what, object->name);
	else
		snprintf(buf, WAIT_WORDS_SIZE, "%s", what);
	return buf;
}

const char *wait_name(unsigned int kind)
{
	if (kind == WAIT_ABSENT)
		return "no_thread";
	return kind < LOCK_KIND_NR ? lock_kind_name((enum lock_kind)kind) : "other";
}

int64_t serial_ns(const struct facts *f)
{
	int64_t sync = f->stack->part_ns[STACK_SYNC];
	uint64_t sum = f->coordinator_alone_ns;

	for (int kind = 0; kind < WAIT_KINDS; kind++)
		sum += f->run->waits.alone_kind_ns[kind];
	if (sync <= 0 || f->stack->workers < 2)
		return 0;
	sync = sum < (uint64_t)sync ? (int64_t)sum : sync;
	return facts_share(f, sync) < FINDING_MIN_SHARE ? 0 : sync;
}
