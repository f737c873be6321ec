// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workers waited for one another's work, other than for a lock: what `serial` does not tell. Only workers are asked: a thread that
 * just waits for those that it started is a coordinator, not one of them.
 */
#include <stdio.h>
#include <string.h>

#include "explain/lock_words.h"

#define MAX_NAMED 3

/* The workers' waits by kind, without those that `serial` tells. */
static void what_is_left(const struct facts *f, bool serial, int64_t left[WAIT_KINDS])
{
	const struct worker_waits *w = &f->run->waits;

	for (unsigned int kind = 0; kind < WAIT_KINDS; kind++) {
		uint64_t told = serial ? w->alone_kind_ns[kind] : 0;
		bool sync = kind >= WAIT_OTHER ||
			    lock_kind_class((enum lock_kind)kind) == CLASS_SYNC;

		left[kind] = sync && w->kind_ns[kind] > told ? (int64_t)(w->kind_ns[kind] - told) :
							       0;
	}
}

static unsigned int largest(const int64_t left[WAIT_KINDS])
{
	unsigned int most = 0;

	for (unsigned int kind = 1; kind < WAIT_KINDS; kind++)
		if (left[kind] > left[most])
			most = kind;
	return most;
}

static void name_kind(char *buf, size_t size, const struct facts *f, unsigned int kind, int64_t ns,
		      json_t *evidence)
{
	double percent = finding_percent(facts_share(f, ns));
	char key[40], words[WAIT_WORDS_SIZE];
	size_t len = strlen(buf);

	snprintf(key, sizeof(key), "%s_percent", wait_name(kind));
	evidence_number(evidence, key, percent);
	snprintf(buf + len, size - len, "%s %.1f %% %s", len ? "," : ":", percent,
		 wait_words(words, f, kind, evidence, wait_name(kind)));
}

/* ": 12.3 % at a barrier (b in prog), 4.5 % on a semaphore": the largest first. Returns the first, WAIT_OTHER when none is named. */
static unsigned int name_kinds(char *buf, size_t size, const struct facts *f, bool serial,
			       json_t *evidence)
{
	unsigned int first = WAIT_OTHER;
	int64_t left[WAIT_KINDS];

	*buf = '\0';
	what_is_left(f, serial, left);
	for (int i = 0; i < MAX_NAMED; i++) {
		unsigned int kind = largest(left);

		if (facts_share(f, left[kind]) < FINDING_MIN_SHARE)
			break;
		name_kind(buf, size, f, kind, left[kind], evidence);
		left[kind] = 0;
		first = i ? first : kind;
	}
	return first;
}

static int find(const struct facts *f, struct finding *ret)
{
	int64_t serial = serial_ns(f), ns = f->stack->part_ns[STACK_SYNC] - serial;
	double share = facts_share(f, ns);
	char kinds[MAX_NAMED * (WAIT_WORDS_SIZE + 20)];
	unsigned int first;
	json_t *evidence;

	if (share < FINDING_MIN_SHARE)
		return 0;
	evidence = json_pack("{s:I,s:f,s:f,s:i}", "sync_ns", (json_int_t)ns,
			     "share_of_workers_time", share, "percent_of_workers_time",
			     finding_percent(share), "workers", (int)f->stack->workers);
	first = name_kinds(kinds, sizeof(kinds), f, serial > 0, evidence);
	return finding_make(
		ret, f, "sync", ns, evidence,
		first == LOCK_BARRIER ?
			"give each the same amount of work between two barriers, or use fewer barriers" :
			"let each worker depend less on the others: hand over larger pieces, more rarely",
		"%s: %.1f %% of the time of its %zu worker%s is spent waiting for another thread's or "
		"process's work%s%s.",
		f->name, finding_percent(share), f->stack->workers,
		f->stack->workers == 1 ? "" : "s", kinds,
		f->interpreter_lock && first == WAIT_OTHER ?
			"; a Python thread may run only while it holds its interpreter's lock, and this may be that" :
			"");
}

const struct cause cause_sync = { .name = "sync", .find = find };
