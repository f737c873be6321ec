// SPDX-License-Identifier: GPL-2.0-only
/* Which locks threads waited for, the longest first: a row for each, then a few sentences about those that matter most. */
#include "analysis/locks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

#define NAME_SIZE 160
#define MAX_TOLD 5        /* locks with sentences of their own; all with --all */
#define PART_TO_TELL 0.05 /* a share of a lock's waits that is worth words */
#define MAX_PEOPLE 3

static const char *kind_text(const struct lock *lock)
{
	return lock->kind == LOCK_FUTEX    ? "unclassified" :
	       lock->kind == LOCK_PI_MUTEX ? "PI mutex" :
	       lock->kind == LOCK_COND     ? "condition" :
					     lock_kind_name(lock->kind);
}

static const char *name_of(const struct lock *lock, char buf[NAME_SIZE])
{
	return escape_terminal(buf, NAME_SIZE, lock->name, SIZE_MAX, false);
}

static const char *person(const struct loaded *l, uint32_t serial, char buf[NAME_SIZE])
{
	const struct thread *t = locks_thread(l->locks, serial);
	char comm[ESCAPE_SIZE(EV_COMM_LEN)];

	if (!t)
		return "?";
	escape_terminal(comm, sizeof(comm), t->comm, EV_COMM_LEN, false);
	snprintf(buf, NAME_SIZE, "%s/%" PRIu32, comm, t->tid);
	return buf;
}

/* ---- the table ---- */

static struct grid *columns(void)
{
	struct grid *g = grid_new();

	grid_column(g, "lock", GRID_KEY | GRID_CUT);
	grid_column(g, "kind", GRID_KEY);
	grid_column(g, "class", 0);
	grid_column(g, "pid", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "waits", GRID_RIGHT);
	grid_column(g, "total", GRID_RIGHT);
	grid_column(g, "longest", GRID_RIGHT);
	grid_column(g, "threads", GRID_RIGHT);
	grid_column(g, "timed out", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "signal", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "running", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "preempted", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "blocked", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "asleep", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "free", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "unknown", GRID_RIGHT | GRID_OPTIONAL);
	return g;
}

static void count_or_dash(struct grid *g, uint64_t value)
{
	if (value)
		grid_cell(g, "%" PRIu64, value);
	else
		grid_cell(g, "-");
}

static void lock_row(struct grid *g, const struct lock *lock, bool several)
{
	char text[UNITS_SIZE], name[NAME_SIZE];

	grid_row(g, false);
	grid_cell(g, "%s", name_of(lock, name));
	grid_cell(g, "%s", kind_text(lock));
	grid_cell(g, "%s", class_name(lock_kind_class(lock->kind)));
	count_or_dash(g, several ? lock->tgid : 0);
	grid_cell(g, "%" PRIu64, lock->waits);
	grid_cell(g, "%s", units_time(text, lock->wait_ns));
	grid_cell(g, "%s", units_time(text, lock->longest_ns));
	grid_cell(g, "%zu", lock->waiter_nr.nr);
	count_or_dash(g, lock->ended[LOCK_TIMED_OUT]);
	count_or_dash(g, lock->ended[LOCK_SIGNAL]);
	for (int d = 0; d < LOCK_DOING_NR; d++)
		grid_cell(g, "%s",
			  lock->doing_ns[d] ?
				  units_percent(text, lock->doing_ns[d], lock->wait_ns) :
				  "-");
}

static bool several_processes(const struct lock *const *list, size_t nr)
{
	uint32_t first = 0;

	for (size_t i = 0; i < nr; i++) {
		if (first && list[i]->tgid && list[i]->tgid != first)
			return true;
		if (list[i]->tgid)
			first = list[i]->tgid;
	}
	return false;
}

static void legend(FILE *out, const struct report_options *o)
{
	fputc('\n', out);
	text_item(
		out, o->width, "class",
		"lock: one thread at a time may have it; gil: the lock of a Python interpreter; klock: a lock of the "
		"kernel; sync: waiting for another thread's work. An unclassified word is counted as sync, never "
		"as a lock");
	text_item(
		out, o->width, "waits",
		"how often a thread blocked there; total: their time, until it was woken, its time limit ran out "
		"(timed out) or a signal came (signal). A call that finds another value in the word returns at once "
		"(EAGAIN), before its sleep or after one of these has ended that: it ends no wait");
	text_item(
		out, o->width, "running ...",
		"what the thread that held the lock (for sync: that ended the wait) did meanwhile: it ran; was "
		"ready to run and had no CPU (preempted); waited for something else (blocked); slept on purpose; "
		"or nobody held it (free)");
}

/* ---- sentences ---- */

static bool worth_telling(const struct lock *lock, uint64_t ns)
{
	return ns && (double)ns >= PART_TO_TELL * (double)lock->wait_ns;
}

/* Each thread's time as the holder, however it was known; and how much of all was known from the owner in the lock. */
static int by_thread(const struct lock *lock, struct sums *ret_sums, uint64_t *ret_owner_ns)
{
	*ret_owner_ns = 0;
	for (size_t i = 0; i < lock->holder_ns.nr; i++) {
		const struct sum *s = &lock->holder_ns.list[i];

		if ((s->key & 1) == LOCK_OWNER)
			*ret_owner_ns += s->ns;
		if (sums_add(ret_sums, s->key >> 1, s->ns))
			return -ENOMEM;
	}
	return 0;
}

static void tell_waiters(const struct loaded *l, const struct lock *lock, FILE *out, int width)
{
	struct sum *list = sums_sorted(&lock->waiter_ns);
	char who[NAME_SIZE], share[UNITS_SIZE], line[4 * NAME_SIZE] = "";
	size_t at = 0, told = 0;

	for (; list && told < lock->waiter_ns.nr && told < MAX_PEOPLE; told++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s (%s of the time)",
				       at ? ", " : "", person(l, (uint32_t)list[told].key, who),
				       units_percent(share, list[told].ns, lock->wait_ns));
	if (at && told < lock->waiter_ns.nr)
		snprintf(line + at, sizeof(line) - at, " and %zu more", lock->waiter_ns.nr - told);
	if (at)
		text_item(out, width, "waited", "%s", line);
	free(list);
}

static void tell_holders(const struct loaded *l, const struct lock *lock, FILE *out, int width)
{
	char who[NAME_SIZE], share[UNITS_SIZE], line[4 * NAME_SIZE] = "";
	bool sync = lock_kind_class(lock->kind) == CLASS_SYNC;
	struct sums people = {};
	struct sum *list = NULL;
	uint64_t owner_ns;
	size_t at = 0;

	if (!by_thread(lock, &people, &owner_ns))
		list = sums_sorted(&people);
	for (size_t i = 0; list && i < people.nr && i < MAX_PEOPLE; i++) {
		if (!worth_telling(lock, list[i].ns))
			break;
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s (%s of the time)",
				       at ? ", " : "", person(l, (uint32_t)list[i].key, who),
				       units_percent(share, list[i].ns, lock->wait_ns));
	}
	if (at && sync)
		text_item(out, width, "ended by", "%s", line);
	else if (at)
		text_item(
			out, width, "held by",
			"%s; known from the owner written in the lock for %s, else from who gave it away%s",
			line, units_percent(share, owner_ns, lock->wait_ns),
			lock->kind == LOCK_RWLOCK ?
				": of several readers that have it at once, the one that leaves last" :
				"");
	free(list);
	sums_free(&people);
}

static const char *const cause_texts[CLASS_NR] = {
	[CLASS_ONCPU] = "running",
	[CLASS_RUNQ_PREEMPTED] = "ready to run, without a CPU",
	[CLASS_RUNQ_WAKEUP] = "ready to run, without a CPU yet",
	[CLASS_THROTTLED] = "held back by its CPU quota",
	[CLASS_LOCK] = "waiting for a lock",
	[CLASS_GIL] = "waiting for the GIL",
	[CLASS_KLOCK] = "waiting for a lock of the kernel",
	[CLASS_SYNC] = "waiting for somebody who is not recorded",
	[CLASS_IO] = "doing I/O",
	[CLASS_SLEEP] = "sleeping",
	[CLASS_STOPPED] = "stopped",
	[CLASS_BLOCKED_OTHER] = "blocked",
};

static void tell_causes(const struct loaded *l, const struct lock *lock, FILE *out, int width)
{
	struct sum *list = sums_sorted(&lock->cause_ns);
	char who[NAME_SIZE], share[UNITS_SIZE], line[4 * NAME_SIZE] = "";
	size_t at = 0, told = 0;

	for (size_t i = 0; list && i < lock->cause_ns.nr && told < MAX_PEOPLE; i++) {
		const char *what = cause_texts[list[i].key & 0xff];

		if (!worth_telling(lock, list[i].ns))
			break;
		if (!(list[i].key >> 8) || !what)
			continue;
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s %s (%s)", at ? "; " : "",
				       person(l, (uint32_t)(list[i].key >> 8), who), what,
				       units_percent(share, list[i].ns, lock->wait_ns));
		told++;
	}
	if (at)
		text_item(out, width, "in the end", "%s", line);
	free(list);
}

static void tell_kind(const struct lock *lock, FILE *out, int width)
{
	char mean[UNITS_SIZE], nr[2][UNITS_SIZE], inside[UNITS_SIZE + 8];
	uint64_t given = lock->gil_handovers, mutex = lock->gil_mutex_waits;

	snprintf(inside, sizeof(inside), "%" PRIu64 " wait%s", mutex,
		 mutex == 1 ? " was" : "s were");
	if (lock->kind == LOCK_GIL)
		text_item(
			out, width, "GIL",
			"%s a waiter was given it, after %s of waiting on average; "
			"%s a waiter's time limit (the switch interval, 5 ms by default) ran out first, and it "
			"asked for the lock; %s for the mutex inside",
			units_count(nr[0], sizeof(nr[0]), given, "time"),
			given ? units_time(mean, lock->wait_ns / given) : "-",
			units_count(nr[1], sizeof(nr[1]), lock->gil_timeouts, "time"), inside);
}

static void tell_pathologies(const struct lock *lock, FILE *out, int width)
{
	char text[UNITS_SIZE], share[UNITS_SIZE], nr[UNITS_SIZE];
	uint64_t preempted = lock->doing_ns[LOCK_PREEMPTED] - lock->handed_ns;

	if (lock->convoys && worth_telling(lock, lock->handed_ns))
		text_item(
			out, width, "convoy",
			"%s the lock was given to a waiter while others waited on; that waiter had to get a "
			"CPU first, and all stood still: %s of waiting (%s)",
			units_count(nr, sizeof(nr), lock->convoys, "time"),
			units_time(text, lock->handed_ns),
			units_percent(share, lock->handed_ns, lock->wait_ns));
	if (worth_telling(lock, preempted) && lock_kind_class(lock->kind) != CLASS_SYNC)
		text_item(out, width, "preempted",
			  "for %s (%s) the holder was ready to run and something else had its CPU",
			  units_time(text, preempted),
			  units_percent(share, preempted, lock->wait_ns));
}

static void tell(const struct loaded *l, const struct lock *lock, FILE *out, int width)
{
	char name[NAME_SIZE];

	fputc('\n', out);
	text_line(out, width, "%s (%s):", name_of(lock, name), kind_text(lock));
	tell_kind(lock, out, width);
	tell_waiters(l, lock, out, width);
	tell_holders(l, lock, out, width);
	tell_causes(l, lock, out, width);
	tell_pathologies(lock, out, width);
}

/* Spinning is on-CPU time, not waiting: one line for all of it. */
static void tell_spins(const struct lock *const *list, size_t nr, FILE *out, int width)
{
	char text[UNITS_SIZE], times[UNITS_SIZE];
	uint64_t spins = 0, ns = 0;
	size_t locks = 0;

	for (size_t i = 0; i < nr; i++) {
		locks += list[i]->spins > 0;
		spins += list[i]->spins;
		ns += list[i]->spin_ns;
	}
	if (!spins)
		return;
	fputc('\n', out);
	text_line(
		out, width,
		"Locks of the kernel that were spun for: %zu, %s, %s in all. That is on-CPU time.",
		locks, units_count(times, sizeof(times), spins, "time"), units_time(text, ns));
}

static int print_locks(const struct loaded *l, const struct report_options *o, FILE *out,
		       struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = columns();
	size_t nr = 0, shown;
	const struct lock *const *list = l->locks ? locks_list(l->locks, &nr) : NULL;
	char text[UNITS_SIZE];
	uint64_t rest_ns = 0;
	int r;

	tell_spins(list, nr, out, o->width);
	while (nr && !list[nr - 1]->waits)
		nr--;
	if (!nr) {
		fprintf(out, "\nNo thread blocked on a lock.\n");
		return 0;
	}
	shown = nr < o->max_threads ? nr : o->max_threads;
	for (size_t i = 0; i < nr; i++) {
		if (i < shown)
			lock_row(g, list[i], several_processes(list, nr));
		else
			rest_ns += list[i]->wait_ns;
	}
	fprintf(out, "\nWhich locks threads waited for:\n");
	r = grid_print(g, o->width, o->colour, out, err);
	if (r)
		return r;
	if (shown < nr)
		text_line(out, o->width, "(%zu more, %s of waiting in all; --all shows them)",
			  nr - shown, units_time(text, rest_ns));
	if (!o->no_legend)
		legend(out, o);
	for (size_t i = 0;
	     i < shown && list[i]->waits && (i < MAX_TOLD || o->max_threads == SIZE_MAX); i++)
		tell(l, list[i], out, o->width);
	return 0;
}

const struct report_form form_locks = {
	.name = "locks",
	.help = "which locks, how long, who waited, who held them and what the holder did meanwhile",
	.passes = PASS_LOCKS,
	.print = print_locks,
};
