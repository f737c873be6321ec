// SPDX-License-Identifier: GPL-2.0-only
/* What must hold for every account of locks: see lock_check.h. */
#include "lock_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "analysis/history.h"
#include "symbol_help.h"

void lock_run_begin(struct lock_run *run, unsigned int nr_cpus, size_t history)
{
	struct err err;

	*run = (struct lock_run){ .meta = json_object() };
	assert_int_equal(ledger_new(ARCH_X86_64, nr_cpus, &run->ledger, &err), 0);
	assert_int_equal(passes_new(run->ledger, nr_cpus, 0, &run->passes, &err), 0);
	assert_int_equal(history_new(run->ledger, history, &run->passes->history), 0);
	assert_int_equal(locks_new(run->ledger, ARCH_X86_64, run->meta, run->passes->history,
				   &run->locks),
			 0);
}

void lock_run_event(struct lock_run *run, const struct trace_event *ev)
{
	assert_int_equal(locks_before(run->locks, ev), 0);
	assert_int_equal(passes_event(run->passes, ev), 0);
	assert_int_equal(ledger_event(run->ledger, ev), 0);
	assert_int_equal(locks_after(run->locks, ev), 0);
}

void lock_run_end(struct lock_run *run, uint64_t end_ns)
{
	assert_int_equal(passes_end(run->passes, end_ns), 0);
	ledger_finish(run->ledger, end_ns);
	assert_int_equal(passes_finish(run->passes), 0);
	assert_int_equal(locks_finish(run->locks), 0);
}

void lock_run_free(struct lock_run *run)
{
	passes_free(run->passes);
	locks_free(run->locks);
	ledger_free(run->ledger);
	json_decref(run->meta);
}

static uint64_t total(const uint64_t *of, size_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += of[i];
	return sum;
}

static uint64_t total_sums(const struct sums *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->nr; i++)
		sum += s->list[i].ns;
	return sum;
}

static uint64_t of_thread(const struct sums *s, uint32_t serial)
{
	uint32_t i = keymap_get(&s->index, serial);

	return i ? s->list[i - 1].ns : 0;
}

#define must(what)                                                                             \
	do {                                                                                   \
		if (!(what))                                                                   \
			fail_msg("%s: %s at 0x%" PRIx64 ": %s", name, lock_kind_name(l->kind), \
				 l->address, #what);                                           \
	} while (0)

static void check_lock(const struct lock *l, const char *name)
{
	must(total(l->ended, LOCK_ENDED_NR) == l->waits);
	must(total(l->doing_ns, LOCK_DOING_NR) == l->wait_ns);
	must(total_sums(&l->cause_ns) == l->wait_ns);
	must(total_sums(&l->waiter_ns) == l->wait_ns);
	must(total_sums(&l->waiter_nr) == l->waits);
	must(total_sums(&l->holder_ns) <= l->wait_ns);
	must(total_sums(&l->holder_ns) + l->doing_ns[LOCK_DOING_UNKNOWN] + l->doing_ns[LOCK_FREE] >=
	     l->wait_ns);
	must(total_sums(&l->holder_ns) + l->doing_ns[LOCK_FREE] <= l->wait_ns);
	must(l->handed_ns <= l->doing_ns[LOCK_PREEMPTED]);
	must(l->longest_ns <= l->wait_ns && l->waits * l->longest_ns >= l->wait_ns);
	must(l->name);
}

static void check_thread(const struct lock_run *run, const struct thread *t, const char *name)
{
	uint64_t ns[CLASS_NR] = { 0 }, waits[CLASS_NR] = { 0 };
	size_t nr;
	const struct lock *const *list = locks_list(run->locks, &nr);

	for (size_t i = 0; i < nr; i++) {
		enum ledger_class class = lock_kind_class(list[i]->kind);

		ns[class] += of_thread(&list[i]->waiter_ns, t->serial);
		waits[class] += of_thread(&list[i]->waiter_nr, t->serial);
	}
	for (int c = 0; c < CLASS_NR; c++) {
		bool exactly = c == CLASS_LOCK || c == CLASS_GIL || c == CLASS_KLOCK;

		if (ns[c] > t->ledger_ns[c] || (exactly && ns[c] < t->ledger_ns[c]))
			fail_msg("%s: thread %u: %s is %" PRIu64 " ns, its locks sum to %" PRIu64,
				 name, t->serial, class_name(c), t->ledger_ns[c], ns[c]);
		if (waits[c] > t->waits[c] || (exactly && waits[c] < t->waits[c]))
			fail_msg("%s: thread %u: %" PRIu64
				 " waits of %s, its locks sum to %" PRIu64,
				 name, t->serial, t->waits[c], class_name(c), waits[c]);
	}
}

void lock_run_check(const struct lock_run *run, const char *name)
{
	size_t nr;
	const struct lock *const *list = locks_list(run->locks, &nr);

	for (size_t i = 0; i < nr; i++) {
		check_lock(list[i], name);
		if (i && list[i - 1]->wait_ns < list[i]->wait_ns)
			fail_msg("%s: the longest wait is not the first", name);
	}
	for (size_t i = 0; i < ledger_nr_threads(run->ledger); i++)
		check_thread(run, ledger_thread(run->ledger, i), name);
}

static int add_mapping(void *arg, const struct mapping *m)
{
	struct mapping own = *m;

	own.tgid = 1;
	return locks_mapping(arg, &own);
}

void lock_run_map_self(const struct lock_run *run)
{
	help_each_mapping(getpid(), 0, add_mapping, run->locks);
}
