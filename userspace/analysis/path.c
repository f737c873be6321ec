// SPDX-License-Identifier: GPL-2.0-only
/* The walk back in time, and the critical path: see path.h. */
#include "analysis/path.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/history_impl.h"

/* Goes over to another thread, where it is known what that did just before. */
static bool jump(const struct history *h, struct path_place *place, uint32_t serial)
{
	const struct past *p = history_past(h, serial);
	size_t i;

	if (!p || !history_at(p, place->at_ns, &i))
		return false;
	place->p = p;
	place->jumped = true;
	return true;
}

enum step path_step(const struct history *h, struct path_place *place, struct path_slice *ret_slice)
{
	const struct past *p = place->p;
	const struct interval *ended;
	size_t i;

	if (!history_at(p, place->at_ns, &i)) {
		if (p->base)
			return STEP_BASE;
		if (place->at_ns != p->t->start_ns || !jump(h, place, p->t->parent))
			return STEP_END;
	} else if (!place->jumped && i < p->nr && p->at[i].to_ns == place->at_ns &&
		   p->at[i].ended_by == ENDED_BY_TASK) {
		/* Not twice at one moment: nobody is woken and wakes at once. */
		jump(h, place, p->at[i].waker);
	}
	p = place->p;
	history_at(p, place->at_ns, &i);
	ended = i < p->nr && p->at[i].to_ns == place->at_ns ? &p->at[i] : NULL;
	*ret_slice = (struct path_slice){
		.thread = p->t,
		.class = history_class(p, i),
		.from_ns = history_from(p, i),
		.to_ns = place->at_ns,
		.outside = ended && ended->ended_by == ENDED_OUTSIDE ? ended->waker : 0,
		.jumped = place->jumped,
	};
	place->at_ns = ret_slice->from_ns;
	place->jumped = false;
	return STEP_SLICE;
}

static void tell_unknown(uint64_t from_ns, uint64_t to_ns, path_fn fn, void *arg)
{
	struct path_slice slice = { .class = CLASS_UNTRACKED, .from_ns = from_ns, .to_ns = to_ns };

	if (to_ns > from_ns)
		fn(arg, &slice);
}

void path_walk(const struct history *h, const struct thread *t, uint64_t end_ns, uint64_t begin_ns,
	       path_fn fn, void *arg)
{
	path_walk_some(h, t, end_ns, begin_ns, SIZE_MAX, fn, arg);
}

void path_walk_some(const struct history *h, const struct thread *t, uint64_t end_ns,
		    uint64_t begin_ns, size_t max, path_fn fn, void *arg)
{
	struct path_place place = { .p = history_past(h, t->serial), .at_ns = end_ns };
	struct path_slice slice;

	if (t->ended && end_ns > t->end_ns) {
		place.at_ns = t->end_ns > begin_ns ? t->end_ns : begin_ns;
		tell_unknown(place.at_ns, end_ns, fn, arg);
	}
	while (place.p && place.at_ns > begin_ns && max-- > 0 &&
	       path_step(h, &place, &slice) == STEP_SLICE) {
		if (slice.from_ns < begin_ns)
			slice.from_ns = place.at_ns = begin_ns;
		fn(arg, &slice);
	}
	tell_unknown(begin_ns, place.at_ns, fn, arg);
}

/* 26 bits of a serial, 4 of a class, 32 of a who. */
uint64_t path_key(const struct path_slice *slice)
{
	uint64_t serial = slice->thread ? slice->thread->serial : 0;

	return serial << 36 | (uint64_t)slice->class << 32 | slice->outside;
}

/* ---- the critical path ---- */

static const struct thread *last_of(const struct history *h, uint64_t end_ns)
{
	const struct thread *last = NULL;
	uint64_t latest_ns = 0;

	for (size_t i = 0; i < ledger_nr_threads(h->ledger); i++) {
		const struct thread *t = ledger_thread(h->ledger, i);
		const struct past *p = history_past(h, t->serial);
		uint64_t from_ns;

		if (!p || !p->nr || t->end_ns != end_ns)
			continue;
		from_ns = history_from(p, p->nr - 1);
		if (last && from_ns <= latest_ns)
			continue;
		last = t;
		latest_ns = from_ns;
	}
	return last;
}

struct making {
	struct critical_path *path;
	struct sums sums;
	int r;
};

static void add_slice(struct making *m, const struct path_slice *slice)
{
	m->r = m->r ?: sums_add(&m->sums, path_key(slice), slice->to_ns - slice->from_ns);
	m->path->slices++;
	m->path->jumps += slice->jumped;
}

/* What was given up; returns when it ends. */
static uint64_t add_trunk(struct making *m, const struct trunk *k)
{
	for (;; k = k->parent) {
		m->r = m->r ?: sums_add_all(&m->sums, &k->sums);
		m->path->slices += k->slices;
		m->path->jumps += k->jumps;
		if (!k->parent)
			return k->end_ns;
	}
}

static uint64_t add_path(struct making *m, const struct history *h, const struct thread *last,
			 uint64_t end_ns)
{
	struct path_place place = { .p = history_past(h, last->serial), .at_ns = end_ns };
	struct path_slice slice;
	enum step step;

	while ((step = path_step(h, &place, &slice)) == STEP_SLICE && !m->r)
		add_slice(m, &slice);
	return step == STEP_BASE ? add_trunk(m, place.p->base) : place.at_ns;
}

static int by_key(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int take_parts(struct making *m, const struct history *h)
{
	struct critical_path *path = m->path;

	path->part = calloc(m->sums.nr + 1, sizeof(*path->part));
	if (!path->part)
		return -ENOMEM;
	if (m->sums.nr)
		qsort(m->sums.list, m->sums.nr, sizeof(*m->sums.list), by_key);
	for (size_t i = 0; i < m->sums.nr; i++) {
		uint64_t key = m->sums.list[i].key;

		path->part[path->nr++] = (struct path_part){
			.thread = ledger_find(h->ledger, (uint32_t)(key >> 36)),
			.class = (enum ledger_class)(key >> 32 & 15),
			.outside = (uint32_t)key,
			.ns = m->sums.list[i].ns,
		};
	}
	return 0;
}

int critical_path_make(const struct history *h, uint64_t begin_ns, uint64_t end_ns,
		       struct critical_path *ret_path)
{
	struct making m = { .path = ret_path };
	struct path_slice unknown = { .class = CLASS_UNTRACKED };
	uint64_t at_ns = end_ns;

	*ret_path = (struct critical_path){ .begin_ns = begin_ns, .end_ns = end_ns };
	ret_path->last = last_of(h, end_ns);
	if (ret_path->last)
		at_ns = add_path(&m, h, ret_path->last, end_ns);
	if (!m.r && at_ns > begin_ns)
		m.r = sums_add(&m.sums, path_key(&unknown), at_ns - begin_ns);
	if (!m.r)
		m.r = take_parts(&m, h);
	sums_free(&m.sums);
	if (m.r)
		critical_path_free(ret_path);
	return m.r;
}

void critical_path_free(struct critical_path *path)
{
	free(path->part);
	*path = (struct critical_path){};
}
