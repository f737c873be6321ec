// SPDX-License-Identifier: GPL-2.0-only
/* The rows of a graph into the tree: each one's frames, outermost first, as calls.h draws them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/calls_impl.h"
#include "base/vec.h"

/* A stack while it is put together, and what is to be counted of it. */
struct making {
	struct calls *calls;
	struct flame_tree *tree;
	struct calls_summary *summary;
	struct flame_frame *frame;
	size_t nr, cap;
	bool missing, cut, in_part;
	int failed;
};

/* ---- frames ---- */

static void put(struct making *m, uint32_t name, uint32_t kind)
{
	if (vec_room(&m->frame, &m->cap, m->nr + 1))
		m->failed = -ENOMEM;
	else
		m->frame[m->nr++] = (struct flame_frame){ name, kind };
}

static void put_text(struct making *m, enum flame_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put_text(struct making *m, enum flame_kind kind, const char *fmt, ...)
{
	char text[FLAME_NAME_MAX];
	uint32_t name;
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r = flame_tree_name(m->tree, text, n < 0 ? 0 : strnlen(text, sizeof(text)), &name);
	if (r)
		m->failed = r;
	else
		put(m, name, kind);
}

/* A who as "comm/tid", behind `before`. */
static void put_who(struct making *m, enum flame_kind kind, const char *before, uint32_t who)
{
	const struct foreign *f;
	const struct thread *t = NULL;

	if (who & WHO_UNTRACKED) {
		f = foreign_find(&m->calls->foreign, who);
		if (foreign_id(who))
			put_text(m, kind, "%s%.15s/%" PRIu32, before, f ? f->comm : "?",
				 foreign_id(who));
		else
			put_text(m, kind, "%s%.15s/outside", before, f ? f->comm : "?");
		return;
	}
	if (!m->calls->loaded->from_books)
		t = ledger_find(m->calls->loaded->ledger, who);
	else if (who - 1 < m->calls->loaded->nr_threads)
		t = m->calls->loaded->threads[who - 1];
	if (t)
		put_text(m, kind, "%s%.15s/%" PRIu32, before, t->comm, t->tid);
	else
		put_text(m, kind, "%s?/#%" PRIu32, before, who);
}

/* The frames of a stack; `reversed`, as the waker's: the innermost first, and their kind is another. */
static void put_stack(struct making *m, uint32_t stack, bool reversed)
{
	struct stack_frames frames;
	int r;

	if (stack == STACK_NEW) {
		put_text(m, FLAME_NOTE, CALLS_NEW);
		return;
	}
	if (stack == STACK_NONE) {
		m->missing |= !reversed;
		put_text(m, FLAME_NOTE, CALLS_NOT_CAPTURED);
		return;
	}
	r = stack_store_frames(m->calls->store, &m->calls->stack[stack - 1], &frames);
	if (r) {
		m->failed = r;
		return;
	}
	for (size_t i = 0; i < frames.nr; i++) {
		const struct flame_frame *f = &frames.frame[reversed ? frames.nr - 1 - i : i];

		put(m, f->name, reversed && f->kind != FLAME_NOTE ? FLAME_WAITING : f->kind);
	}
	if (!frames.nr)
		put_text(m, FLAME_NOTE, CALLS_NOT_CAPTURED);
	m->missing |= !reversed && (frames.missing || !frames.nr);
	m->cut |= !reversed && frames.cut;
	m->in_part |= !reversed && frames.in_part;
}

static void put_waker(struct making *m, const struct row_key *key)
{
	static const char *const notes[] = {
		[WOKEN_BY_INTERRUPT] = CALLS_INTERRUPT,
		[WOKEN_UNKNOWN] = CALLS_NO_WAKER,
		[WOKEN_NEVER] = CALLS_NOT_WOKEN,
	};

	if (key->woken == WOKEN_NOT_ASKED)
		return;
	put_text(m, FLAME_NOTE, CALLS_WAKER_BELOW);
	if (key->woken == WOKEN_BY_THREAD) {
		put_stack(m, key->waker_stack, true);
		put_who(m, FLAME_WAITING, "", key->waker);
	} else {
		put_text(m, FLAME_NOTE, "%s", notes[key->woken]);
	}
}

static void put_lock(struct making *m, const struct row_key *key)
{
	const struct calls *c = m->calls;
	const struct lock *lock = key->lock && key->lock <= c->nr_locks ? c->lock[key->lock - 1] :
									  NULL;

	if (lock && !strncmp(lock->name, "0x", 2))
		put_text(m, FLAME_WAITING, "%s %s", lock_kind_name(lock->kind), lock->name);
	else if (lock)
		put_text(m, FLAME_WAITING, "%.1000s", lock->name);
	else
		put_text(m, FLAME_NOTE, CALLS_NO_LOCK);
	if (key->holder)
		put_who(m, FLAME_WAITING, "held by ", key->holder);
	else
		put_text(m, FLAME_NOTE, CALLS_NO_HOLDER);
}

static void count_row(struct making *m, const struct row *row)
{
	struct calls_summary *s = m->summary;

	s->total_ns += row->ns;
	s->count += row->count;
	s->missing_ns += m->missing ? row->ns : 0;
	s->missing += m->missing ? row->count : 0;
	s->cut_ns += m->cut ? row->ns : 0;
	s->cut += m->cut ? row->count : 0;
	s->in_part_ns += m->in_part ? row->ns : 0;
	s->in_part += m->in_part ? row->count : 0;
	if (m->calls->o->python && row->key.stack - 1 < m->calls->nr_stacks &&
	    m->calls->stack[row->key.stack - 1].no & CL_NO_PYTHON)
		s->no_python += row->count;
}

static int add_row(struct making *m, const struct row *row)
{
	const struct calls_options *o = m->calls->o;

	m->nr = 0;
	m->missing = m->cut = m->in_part = false;
	if (o->mode == CALLS_LOCK)
		put_lock(m, &row->key);
	if (o->per_thread)
		put_who(m, FLAME_THREAD, "", row->key.serial);
	put_stack(m, row->key.stack, false);
	if (row->key.class)
		put_text(m, FLAME_WAITING, "%s", class_name(row->key.class));
	if (o->mode == CALLS_WAKE)
		put_waker(m, &row->key);
	if (m->failed)
		return m->failed;
	count_row(m, row);
	return row->ns || row->count ?
		       flame_tree_add(m->tree, m->frame, m->nr, row->ns, row->count) :
		       0;
}

int calls_make_tree(struct calls *c, struct flame_tree *tree, struct calls_summary *summary)
{
	struct making m = { .calls = c, .tree = tree, .summary = summary };
	int r = 0;

	for (size_t i = 0; i < c->nr_rows && !r; i++)
		r = add_row(&m, &c->row[i]);
	free(m.frame);
	if (!r)
		flame_tree_finish(tree, false);
	return r;
}
