// SPDX-License-Identifier: GPL-2.0-only
/* An account of locks as text: see lock_show.h. */
#include "lock_show.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const class_words[CLASS_NR] = {
	[CLASS_ONCPU] = "oncpu",         [CLASS_RUNQ_PREEMPTED] = "preempted",
	[CLASS_RUNQ_WAKEUP] = "wakeup",  [CLASS_IO] = "io",
	[CLASS_SLEEP] = "sleep",         [CLASS_STOPPED] = "stopped",
	[CLASS_SYNC] = "sync",           [CLASS_LOCK] = "lock",
	[CLASS_UNTRACKED] = "untracked",
};

static char letter(uint64_t serial)
{
	return serial ? (char)('A' + serial - 1) : '?';
}

static void show_some(FILE *f, const char *name, uint64_t value)
{
	if (value)
		fprintf(f, "%s %" PRIu64, name, value);
}

char *lock_show(const struct locks *k, bool because)
{
	static const char *const ended[] = { ", woken", ", timed out", ", signal", ", unknown" };
	static const char *const doing[] = { "running", "preempted", "blocked",
					     "asleep",  "free",      "unknown" };
	size_t nr, len;
	const struct lock *const *list = locks_list(k, &nr);
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < nr; i++) {
		const struct lock *l = list[i];
		const char *comma = ", ";

		fprintf(f, "%s%s %" PRIu64 " %" PRIu64 " in %" PRIu64 ", longest %" PRIu64,
			i ? "\n" : "", lock_kind_name(l->kind), l->address, l->wait_ns, l->waits,
			l->longest_ns);
		for (int e = 0; e < LOCK_ENDED_NR; e++)
			show_some(f, ended[e], l->ended[e]);
		for (int d = 0; d < LOCK_DOING_NR; d++) {
			if (!l->doing_ns[d])
				continue;
			fprintf(f, "%s%s %" PRIu64, comma, doing[d], l->doing_ns[d]);
			comma = " ";
		}
		if (l->handed_ns)
			fprintf(f, " (handed %" PRIu64 ")", l->handed_ns);
		show_some(f, ", convoys", l->convoys);
		if (l->spins)
			fprintf(f, ", spins %" PRIu64 " in %" PRIu64, l->spins, l->spin_ns);
		fprintf(f, ";");
		for (size_t s = 0; s < l->waiter_ns.nr; s++)
			fprintf(f, "%s %c %" PRIu64 "/%" PRIu64, s ? "," : "",
				letter(l->waiter_ns.list[s].key), l->waiter_ns.list[s].ns,
				l->waiter_nr.list[s].ns);
		fprintf(f, l->waiter_ns.nr ? ";" : " ;");
		for (size_t s = 0; s < l->holder_ns.nr; s++)
			fprintf(f, "%s %s %c %" PRIu64, s ? "," : "",
				l->holder_ns.list[s].key & 1 ? "waker" : "owner",
				letter(l->holder_ns.list[s].key >> 1), l->holder_ns.list[s].ns);
		if (!l->holder_ns.nr)
			fprintf(f, " ");
		if (because)
			fprintf(f, "; because");
		for (size_t s = 0; because && s < l->cause_ns.nr; s++)
			fprintf(f, "%s %c %s %" PRIu64, s ? "," : "",
				letter(l->cause_ns.list[s].key >> 8),
				class_words[l->cause_ns.list[s].key & 0xff] ?: "?",
				l->cause_ns.list[s].ns);
	}
	fclose(f);
	return text;
}
