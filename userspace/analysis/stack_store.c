// SPDX-License-Identifier: GPL-2.0-only
/* The call stacks of a trace: their records put together, and unwound. See stack_store.h. */
#include "analysis/stack_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/calls.h"
#include "analysis/stack_store_impl.h"
#include "base/vec.h"
#include "trace/kinds.h"

/* ---- what is kept ---- */

bool stack_store_room(struct stack_store *s, size_t bytes)
{
	if (s->counts.bytes + bytes > s->o.max_bytes) {
		s->counts.refused++;
		return false;
	}
	s->counts.bytes += bytes;
	return true;
}

static struct stored *stored_get(const struct stack_store *s, enum shelf shelf, uint64_t id)
{
	const struct shelf_of *h = &s->shelf[shelf];
	uint32_t i = keymap_get(&h->by_id, id);

	return i ? &h->at[i - 1] : NULL;
}

/* NULL: no room, or no memory. */
static struct stored *stored_make(struct stack_store *s, enum shelf shelf, uint64_t id)
{
	struct shelf_of *h = &s->shelf[shelf];
	struct stored *st = stored_get(s, shelf, id);

	if (st)
		return st;
	if (h->nr >= UINT32_MAX - 1 || !stack_store_room(s, sizeof(*st)))
		return NULL;
	if (vec_room(&h->at, &h->cap, h->nr + 1) ||
	    keymap_set(&h->by_id, id, (uint32_t)h->nr + 1)) {
		s->failed = -ENOMEM;
		return NULL;
	}
	st = &h->at[h->nr++];
	*st = (struct stored){ .id = id };
	return st;
}

static bool append(struct stack_store *s, struct stored *st, const void *from, size_t bytes)
{
	char *more;

	if (!stack_store_room(s, bytes))
		return false;
	more = realloc(st->data, st->bytes + bytes);
	if (!more) {
		s->failed = -ENOMEM;
		return false;
	}
	memcpy(more + st->bytes, from, bytes);
	st->data = more;
	st->bytes += (uint32_t)bytes;
	return true;
}

/* ---- asked by id ---- */

struct stored *stored_find(struct stack_store *s, enum shelf shelf, uint64_t id)
{
	struct stored *st = stored_get(s, shelf, id);

	if (!st)
		st = stored_make(s, shelf, id); /* so that it counts once */
	if (st && !st->kind && !st->settled) {
		s->counts.absent++;
		st->settled = true;
	}
	if (!st || !st->kind)
		return NULL;
	if (!st->settled)
		stored_settle(s, st);
	return st;
}

/* ---- records ---- */

/* What the kinds have in common. */
struct part {
	enum shelf shelf;
	uint64_t id;
	uint8_t part, parts, version;
	bool cut;
	uint32_t tgid, claimed, first_line;
	const void *payload;
	size_t bytes;
};

static bool read_part(const uint64_t *rec, struct part *ret)
{
	const struct ev_frames *frames = (const void *)rec;
	const struct ev_ustack *user = (const void *)rec;
	const struct ev_pystack *python = (const void *)rec;
	const struct ev_pycode *code = (const void *)rec;

	/* id, part and parts are at the same place in all of them, and so is the process */
	*ret = (struct part){
		.id = frames->id, .part = frames->part, .parts = frames->parts, .tgid = frames->tgid
	};
	switch (EV_KIND(rec[0])) {
	case EV_KSTACK:
	case EV_UFRAMES:
		ret->shelf = EV_KIND(rec[0]) == EV_KSTACK ? SHELF_KERNEL : SHELF_USER;
		ret->cut = frames->cut;
		ret->payload = frames->address;
		ret->bytes = sizeof(frames->address);
		return true;
	case EV_USTACK:
		ret->shelf = SHELF_USER;
		ret->claimed = user->bytes;
		ret->payload = user->words;
		ret->bytes = sizeof(user->words);
		return true;
	case EV_PYSTACK:
		ret->shelf = SHELF_PYTHON;
		ret->cut = python->cut;
		ret->version = python->version;
		ret->payload = python->frame;
		ret->bytes = sizeof(python->frame);
		return true;
	case EV_PYCODE:
		ret->shelf = SHELF_CODE;
		ret->cut = code->cut;
		ret->version = code->version;
		ret->tgid = code->tgid;
		ret->claimed = code->bytes;
		ret->first_line = code->first_line;
		ret->payload = code->byte;
		ret->bytes = sizeof(code->byte);
		return true;
	default:
		return false;
	}
}

static void take_part(struct stack_store *s, const struct trace_event *ev, const struct part *p)
{
	struct stored *st = stored_make(s, p->shelf, p->id);

	if (!st || st->settled)
		return;
	if (!st->kind && !p->part) {
		st->kind = (uint8_t)EV_KIND(ev->rec[0]);
		st->time_ns = ev->time_ns;
		st->tgid = p->tgid;
		st->parts = p->parts;
		st->claimed = p->claimed;
		st->version = p->version;
		st->first_line = p->first_line;
		s->counts.stacks += p->shelf != SHELF_CODE;
	}
	/* one that came already, or behind one that is missing, or of another record with this id */
	if (!st->kind || st->kind != EV_KIND(ev->rec[0]) || p->part != st->next)
		return;
	if (!append(s, st, p->payload, p->bytes))
		return;
	st->cut |= p->cut;
	if (++st->next == st->parts)
		stored_settle(s, st);
}

int stack_store_event(struct stack_store *s, const struct trace_event *ev)
{
	unsigned int kind = EV_KIND(ev->rec[0]);
	struct part p;

	if (kind < EV_KSTACK || kind >= EV_KIND_NR)
		return 0;
	if (EV_WORDS(ev->rec[0]) < trace_kind_words[kind] || !read_part(ev->rec, &p))
		return 0;
	if (!p.id || p.part >= p.parts)
		s->counts.malformed++;
	else
		take_part(s, ev, &p);
	return s->failed;
}

/* When a process's mappings change, its addresses mean something else. */
static int note_mapping(struct stack_store *s, const struct mapping *m)
{
	uint32_t i = keymap_get(&s->mapped_of, m->tgid);
	struct mapped *list;

	if (!i) {
		if (vec_room(&s->mapped, &s->cap_mapped, s->nr_mapped + 1))
			return -ENOMEM;
		s->mapped[s->nr_mapped++] = (struct mapped){};
		i = (uint32_t)s->nr_mapped;
		if (keymap_set(&s->mapped_of, m->tgid, i))
			return -ENOMEM;
	}
	list = &s->mapped[i - 1];
	if (list->nr && list->time_ns[list->nr - 1] == m->time_ns)
		return 0;
	if (vec_room(&list->time_ns, &list->cap, list->nr + 1))
		return -ENOMEM;
	list->time_ns[list->nr++] = m->time_ns;
	return 0;
}

int stack_store_mapping(struct stack_store *s, const struct mapping *m)
{
	int r = space_add(s->space, m);

	if (r)
		return r == -ENOMEM ? r : 0;
	return note_mapping(s, m);
}

/* ---- made, asked, freed ---- */

int stack_store_new(const struct stack_store_options *o, struct flame_tree *names,
		    struct stack_store **ret_store)
{
	const struct elf_where where = { .root = o->root, .debug = o->debug, .kernel = o->kernel };
	const struct frames_options how = { .inlined = o->inlined,
					    .lines = o->lines,
					    .no_jit = o->no_jit,
					    .realtime_ns = o->realtime_ns };
	struct stack_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->o = *o;
	if (!s->o.max_bytes)
		s->o.max_bytes = STACK_STORE_MAX;
	s->names = names;
	if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
		s->seed = (uintptr_t)s;
	if (space_new(&s->space) || resolve_new(s->space, &where, &s->resolve) ||
	    unwind_new(s->resolve, &s->unwind) || frames_new(s->resolve, &how, &s->frames)) {
		stack_store_free(s);
		return -ENOMEM;
	}
	*ret_store = s;
	return 0;
}

static int put_part(struct stack_store *s, enum shelf shelf, uint64_t id,
		    struct stack_frames *frames)
{
	struct stored *st = stored_find(s, shelf, id);
	const struct flame_frame *frame;
	int r = st ? stored_name(s, st) : 0;

	if (r)
		return r;
	if (!st || !st->nr) {
		frames->missing = true;
		return stack_store_put_text(s, CALLS_NOT_CAPTURED, FLAME_NOTE);
	}
	frame = st->data;
	for (uint32_t i = 0; i < st->nr && !r; i++)
		r = stack_store_put(s, frame[i].name, frame[i].kind);
	return r;
}

/* The program that called execve() is gone, or never was in the recording: the recorder's own child. */
static bool is_replaced(const struct stack_ids *ids, const struct stored *user)
{
	return ids->no & STACK_IDS_EXEC &&
	       (!user || (user->nr <= 1 && (!user->claimed || user->in_part)));
}

/* The user's part, and that of Python within it. */
static int put_user(struct stack_store *s, const struct stack_ids *ids, struct stack_frames *frames)
{
	struct stored *python =
		ids->python && s->o.python ? stored_find(s, SHELF_PYTHON, ids->python) : NULL;
	struct stored *user = ids->user ? stored_find(s, SHELF_USER, ids->user) : NULL;
	int r = user ? stored_name(s, user) : 0;

	if (r)
		return r;
	if (is_replaced(ids, user))
		return stack_store_put_text(s, CALLS_EXEC, FLAME_NOTE);
	frames->cut = (user && user->nr && user->cut) || (python && python->nr && python->cut);
	frames->in_part = user && user->nr && user->in_part && !frames->cut;
	if (frames->cut || frames->in_part)
		r = stack_store_put_text(s, frames->cut ? CALLS_CUT : CALLS_IN_PART, FLAME_NOTE);
	if (!r && (!python || !python->nr))
		return ids->user || ids->no & CL_NO_USER ?
			       put_part(s, SHELF_USER, ids->user, frames) :
			       0;
	if (!r && (!user || !user->nr) && (ids->user || ids->no & CL_NO_USER)) {
		frames->missing = true; /* the native part of it */
		r = stack_store_put_text(s, CALLS_NOT_CAPTURED, FLAME_NOTE);
	}
	return r ?: stack_store_merge(s, user, python);
}

int stack_store_frames(struct stack_store *s, const struct stack_ids *ids,
		       struct stack_frames *ret_frames)
{
	const struct stored *kernel = NULL;
	int r;

	*ret_frames = (struct stack_frames){};
	s->nr_out = 0;
	if (ids->kernel && !s->o.no_kernel)
		kernel = stored_find(s, SHELF_KERNEL, ids->kernel);
	r = put_user(s, ids, ret_frames);
	if (!r && kernel && kernel->cut) {
		ret_frames->cut = true;
		r = stack_store_put_text(s, CALLS_CUT, FLAME_NOTE);
	}
	if (!r && !s->o.no_kernel && (ids->kernel || ids->no & CL_NO_KERNEL))
		r = put_part(s, SHELF_KERNEL, ids->kernel, ret_frames);
	ret_frames->frame = s->out;
	ret_frames->nr = s->nr_out;
	return r ?: s->failed;
}

const struct stack_store_counts *stack_store_counts(const struct stack_store *s)
{
	return &s->counts;
}

void stack_store_problems(const struct stack_store *s, resolve_problem_fn fn, void *arg)
{
	resolve_problems(s->resolve, fn, arg);
	frames_problems(s->frames, fn, arg);
}

void stack_store_free(struct stack_store *s)
{
	if (!s)
		return;
	for (int h = 0; h < SHELF_NR; h++) {
		for (size_t i = 0; i < s->shelf[h].nr; i++)
			free(s->shelf[h].at[i].data);
		free(s->shelf[h].at);
		keymap_free(&s->shelf[h].by_id);
	}
	for (size_t i = 0; i < s->nr_mapped; i++)
		free(s->mapped[i].time_ns);
	free(s->mapped);
	keymap_free(&s->mapped_of);
	keymap_free(&s->address_of);
	keymap_free(&s->kernel_name);
	keymap_free(&s->python_name);
	free(s->address);
	free(s->pool);
	free(s->role);
	free(s->out);
	frames_free(s->frames);
	unwind_free(s->unwind);
	resolve_free(s->resolve);
	space_free(s->space);
	free(s);
}
