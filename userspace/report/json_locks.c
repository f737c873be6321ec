// SPDX-License-Identifier: GPL-2.0-only
/* The account of each lock, for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/locks.h"
#include "report/escape.h"
#include "report/passes.h"

static const char *const ended_names[LOCK_ENDED_NR] = { "woken", "timed_out", "signal", "unknown" };
static const char *const doing_names[LOCK_DOING_NR] = { "running", "preempted", "blocked",
							"asleep",  "free",      "unknown" };

static json_t *numbers(const char *const *names, const uint64_t *value, size_t nr)
{
	json_t *o = json_object();

	for (size_t i = 0; i < nr; i++)
		json_object_set_new(o, names[i], json_integer((json_int_t)value[i]));
	return o;
}

static json_t *thread_of(const struct loaded *l, uint32_t serial)
{
	const struct thread *t = locks_thread(l->locks, serial);

	return json_pack("{s:I,s:I,s:o}", "tid", (json_int_t)(t ? t->tid : 0), "pid",
			 (json_int_t)(t ? t->tgid : 0), "comm",
			 t ? escape_json(t->comm, EV_COMM_LEN) : json_null());
}

static uint64_t sum_of(const struct sums *s, uint64_t key)
{
	uint32_t i = keymap_get(&s->index, key);

	return i ? s->list[i - 1].ns : 0;
}

typedef void (*fill_fn)(const struct lock *lock, const struct sum *s, json_t *one);

static void fill_waiting(const struct lock *lock, const struct sum *s, json_t *one)
{
	json_object_set_new(one, "waits",
			    json_integer((json_int_t)sum_of(&lock->waiter_nr, s->key)));
}

static void fill_holder(const struct lock *lock, const struct sum *s, json_t *one)
{
	(void)lock;
	json_object_set_new(one, "how",
			    json_string((s->key & 1) == LOCK_OWNER ? "owner" : "waker"));
}

static void fill_cause(const struct lock *lock, const struct sum *s, json_t *one)
{
	(void)lock;
	json_object_set_new(one, "class", json_string(class_name(s->key & 0xff)));
}

/* One object for each sum; its key begins `shift` bits below the thread's serial. */
static json_t *people(const struct loaded *l, const struct lock *lock, const struct sums *s,
		      unsigned int shift, fill_fn fill)
{
	struct sum *list = sums_sorted(s);
	json_t *all = json_array();

	for (size_t i = 0; list && i < s->nr; i++) {
		json_t *one = thread_of(l, (uint32_t)(list[i].key >> shift));

		json_object_set_new(one, "wait_ns", json_integer((json_int_t)list[i].ns));
		fill(lock, &list[i], one);
		json_array_append_new(all, one);
	}
	free(list);
	return all;
}

static json_t *string_or_null(const char *s)
{
	return s && *s ? escape_json(s, SIZE_MAX) : json_null();
}

static void add_kind(const struct lock *lock, json_t *o)
{
	if (lock->kind == LOCK_GIL)
		json_object_set_new(
			o, "gil",
			json_pack("{s:I,s:I,s:I,s:b}", "handovers", (json_int_t)lock->gil_handovers,
				  "timeouts", (json_int_t)lock->gil_timeouts, "mutex_waits",
				  (json_int_t)lock->gil_mutex_waits, "main", (int)lock->main_gil));
}

static json_t *lock_json(const struct loaded *l, const struct lock *lock)
{
	char address[24];
	json_t *o;

	snprintf(address, sizeof(address), "0x%" PRIx64, locks_address(l->locks, lock));
	o = json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:s,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I}", "kind",
		      lock_kind_name(lock->kind), "class", class_name(lock_kind_class(lock->kind)),
		      "name", escape_json(lock->name, SIZE_MAX), "object",
		      string_or_null(lock->place.path), "symbol", string_or_null(lock->place.name),
		      "offset", (json_int_t)lock->place.offset, "address", address, "pid",
		      (json_int_t)lock->tgid, "shared", (int)lock->place.shared, "wait_ns",
		      (json_int_t)lock->wait_ns, "waits", (json_int_t)lock->waits, "longest_ns",
		      (json_int_t)lock->longest_ns, "waiters", (json_int_t)lock->waiter_nr.nr,
		      "convoys", (json_int_t)lock->convoys, "handed_ns",
		      (json_int_t)lock->handed_ns);
	if (!o)
		return NULL;
	json_object_set_new(o, "ended", numbers(ended_names, lock->ended, LOCK_ENDED_NR));
	json_object_set_new(o, "holder_doing_ns",
			    numbers(doing_names, lock->doing_ns, LOCK_DOING_NR));
	json_object_set_new(o, "waiting", people(l, lock, &lock->waiter_ns, 0, fill_waiting));
	json_object_set_new(o, "holders", people(l, lock, &lock->holder_ns, 1, fill_holder));
	json_object_set_new(o, "causes", people(l, lock, &lock->cause_ns, 8, fill_cause));
	add_kind(lock, o);
	return o;
}

json_t *json_locks(const struct loaded *l)
{
	json_t *all = json_array();
	const struct lock *const *list;
	size_t nr = 0;

	if (l->locks)
		list = locks_list(l->locks, &nr);
	for (size_t i = 0; i < nr; i++)
		if (list[i]->waits && json_array_append_new(all, lock_json(l, list[i]))) {
			json_decref(all);
			return NULL;
		}
	return all;
}

json_t *json_spins(const struct loaded *l)
{
	json_t *all = json_array();
	const struct lock *const *list;
	size_t nr = 0;

	if (l->locks)
		list = locks_list(l->locks, &nr);
	for (size_t i = 0; i < nr; i++) {
		char address[24];

		if (!list[i]->spins)
			continue;
		snprintf(address, sizeof(address), "0x%" PRIx64, locks_address(l->locks, list[i]));
		json_array_append_new(all,
				      json_pack("{s:o,s:s,s:I,s:I}", "name",
						escape_json(list[i]->name, SIZE_MAX), "address",
						address, "count", (json_int_t)list[i]->spins,
						"oncpu_ns", (json_int_t)list[i]->spin_ns));
	}
	return all;
}
