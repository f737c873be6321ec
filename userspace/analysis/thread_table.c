// SPDX-License-Identifier: GPL-2.0-only
/* Threads by serial, their names, and the windows that ask for them by tid. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/ledger_impl.h"
#include "base/vec.h"

struct thread *thread_peek(const struct ledger *l, uint32_t serial)
{
	struct thread **page;

	if (serial >= SERIAL_MAX)
		return NULL;
	page = l->table.page[serial >> SERIAL_PAGE_BITS];
	return page ? page[serial & (SERIAL_PAGE - 1)] : NULL;
}

/* Serials follow each other: one is at most as far ahead as announcements can have been lost. */
static bool serial_possible(const struct ledger *l, uint32_t serial)
{
	return serial && serial < SERIAL_MAX &&
	       serial < l->cut_serials + 2 * l->table.nr + l->lost_records + SERIAL_SLACK;
}

static int thread_new(struct ledger *l, uint32_t serial, struct thread **ret_thread)
{
	struct thread_table *table = &l->table;
	struct thread ***page = &table->page[serial >> SERIAL_PAGE_BITS];
	struct thread *t;

	if (!*page)
		*page = calloc(SERIAL_PAGE, sizeof(**page));
	if (serial / SERIAL_PAGE >= table->nr_pages)
		table->nr_pages = serial / SERIAL_PAGE + 1;
	if (!*page || vec_room(&table->list, &table->cap, table->nr + 1))
		return -ENOMEM;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->serial = serial;
	t->unannounced = true;
	t->state = ST_UNKNOWN;
	t->class = CLASS_UNTRACKED;
	(*page)[serial & (SERIAL_PAGE - 1)] = t;
	table->list[table->nr++] = t;
	*ret_thread = t;
	return 0;
}

int thread_find(struct ledger *l, uint32_t serial, struct thread **ret_thread)
{
	*ret_thread = thread_peek(l, serial);
	if (*ret_thread)
		return 0;
	if (serial_possible(l, serial))
		return thread_new(l, serial, ret_thread);
	l->malformed++;
	return 0;
}

int thread_set_name(struct thread *t, uint64_t time_ns, const char comm[EV_COMM_LEN])
{
	char name[EV_COMM_LEN];
	size_t room = t->nr_names;

	memcpy(name, comm, sizeof(name));
	name[sizeof(name) - 1] = 0;
	if (t->nr_names && !strcmp(name, t->comm))
		return 0;
	/* Room grows at the powers of two. */
	if (!(room & (room - 1))) {
		struct thread_name *more = realloc(t->name, (room ? 2 * room : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->name = more;
	}
	memcpy(t->comm, name, sizeof(name));
	t->name[t->nr_names].time_ns = time_ns;
	memcpy(t->name[t->nr_names++].comm, name, sizeof(name));
	return 0;
}

void ledger_add_window(struct ledger *l, struct ledger_window *w)
{
	struct ledger_window **bucket = &l->table.window[w->tid % WINDOW_BUCKETS];

	memset(w->ledger_ns, 0, sizeof(w->ledger_ns));
	w->owner = NULL;
	w->next = NULL;
	w->chain = *bucket;
	*bucket = w;
}

/* Takes a window from an owner that was gone before it began. */
static bool window_release(struct ledger *l, struct ledger_window *w)
{
	struct thread *owner = w->owner ? thread_peek(l, w->owner->serial) : NULL;
	struct ledger_window **at;

	if (!owner)
		return true;
	if (!owner->ended || owner->end_ns > w->begin_ns)
		return false;
	for (at = &owner->windows; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			break;
		}
	}
	return true;
}

void thread_set_tid(struct ledger *l, struct thread *t, uint32_t tid, uint32_t tgid)
{
	struct ledger_window *w = l->table.window[tid % WINDOW_BUCKETS];

	t->tid = tid;
	t->tgid = tgid;
	for (; w; w = w->chain) {
		if (w->tid != tid || w->owner == t || w->end_ns <= l->now_ns)
			continue;
		if (!window_release(l, w))
			continue;
		w->owner = t;
		w->next = t->windows;
		t->windows = w;
	}
}

static int by_serial(const void *a, const void *b)
{
	uint32_t x = (*(struct thread *const *)a)->serial, y = (*(struct thread *const *)b)->serial;

	return x < y ? -1 : x > y;
}

void thread_table_sort(struct ledger *l)
{
	if (l->table.nr)
		qsort(l->table.list, l->table.nr, sizeof(*l->table.list), by_serial);
}

void thread_table_free(struct ledger *l)
{
	for (size_t i = 0; i < l->table.nr; i++) {
		free(l->table.list[i]->name);
		free(l->table.list[i]);
	}
	free(l->table.list);
	for (size_t i = 0; i < l->table.nr_pages; i++)
		free(l->table.page[i]);
}
