// SPDX-License-Identifier: GPL-2.0-only
/* Ranges of addresses that have been told: see maps_told.h. */
#include "probes/maps_told.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

struct words *words_new(const struct mapping *m)
{
	size_t len = strlen(m->path) + 1;
	struct words *w = malloc(sizeof(*w) + len);

	if (!w)
		return NULL;
	w->refs = 1;
	w->m = *m;
	memcpy(w->path, m->path, len);
	w->m.path = w->path;
	return w;
}

static struct words *words_get(struct words *w)
{
	if (w)
		w->refs++;
	return w;
}

static void words_put(struct words *w)
{
	if (w && !--w->refs)
		free(w);
}

void told_put(struct told **t)
{
	if (*t && !--(*t)->refs) {
		for (size_t i = 0; i < (*t)->nr; i++)
			words_put((*t)->ranges[i].words);
		free((*t)->ranges);
		free(*t);
	}
	*t = NULL;
}

struct told *told_own(struct told **t)
{
	struct told *own = *t;

	if (!own || own->refs > 1) {
		own = calloc(1, sizeof(*own));
		if (!own)
			return NULL;
		own->refs = 1;
		if (*t && (*t)->nr) {
			if (vec_room(&own->ranges, &own->cap, (*t)->nr)) {
				free(own);
				return NULL;
			}
			memcpy(own->ranges, (*t)->ranges, (*t)->nr * sizeof(*own->ranges));
			own->nr = (*t)->nr;
			for (size_t i = 0; i < own->nr; i++)
				words_get(own->ranges[i].words);
		}
		told_put(t);
		*t = own;
	}
	return vec_room(&own->ranges, &own->cap, own->nr + 2) ? NULL : own;
}

size_t told_find(const struct told *t, uint64_t addr)
{
	size_t low = 0, high = t ? t->nr : 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->ranges[mid].end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

void told_set(struct told *t, uint64_t start, uint64_t end, uint64_t what, struct words *words)
{
	struct range put[3];
	size_t from = told_find(t, start), to = from, nr = 0;

	while (to < t->nr && t->ranges[to].start < end)
		to++;
	if (to > from && t->ranges[from].start < start)
		put[nr++] = (struct range){ t->ranges[from].start, start, t->ranges[from].what,
					    words_get(t->ranges[from].words) };
	if (what)
		put[nr++] = (struct range){ start, end, what, words };
	if (to > from && t->ranges[to - 1].end > end)
		put[nr++] = (struct range){ end, t->ranges[to - 1].end, t->ranges[to - 1].what,
					    words_get(t->ranges[to - 1].words) };
	for (size_t i = from; i < to; i++)
		words_put(t->ranges[i].words);
	memmove(t->ranges + from + nr, t->ranges + to, (t->nr - to) * sizeof(*t->ranges));
	memcpy(t->ranges + from, put, nr * sizeof(*put));
	t->nr = t->nr - (to - from) + nr;
}

/* Code that was told as data only is not the same. */
struct overlap told_overlap(const struct told *t, uint64_t start, uint64_t end, uint64_t what)
{
	struct overlap sum = {};

	for (size_t i = told_find(t, start); t && i < t->nr && t->ranges[i].start < end; i++) {
		const struct range *r = &t->ranges[i];
		uint64_t bytes =
			(r->end < end ? r->end : end) - (r->start > start ? r->start : start);

		if ((r->what | WHAT_FLAGS) == (what | WHAT_FLAGS))
			sum.same += what & ~r->what & WHAT_CODE ? 0 : bytes;
		else if ((r->what | WHAT_FLAGS) != (ANONYMOUS | WHAT_FLAGS))
			sum.other += bytes;
	}
	return sum;
}

/* A piece of what was told as a whole: what a file has there begins further in. */
static int tell_range(const struct range *r, uint32_t tgid,
		      int (*fn)(void *arg, const struct mapping *m), void *arg)
{
	struct mapping m = r->words->m;

	m.tgid = tgid;
	m.time_ns = 0;
	if (m.path[0] == '/')
		m.offset += r->start - m.start;
	m.start = r->start;
	m.end = r->end;
	return fn(arg, &m);
}

int told_each(const struct told *t, uint32_t tgid, int (*fn)(void *arg, const struct mapping *m),
	      void *arg)
{
	int r = 0;

	for (size_t i = 0; i < t->nr && !r; i++)
		if (t->ranges[i].words)
			r = tell_range(&t->ranges[i], tgid, fn, arg);
	return r;
}
