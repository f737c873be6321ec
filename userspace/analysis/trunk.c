// SPDX-License-Identifier: GPL-2.0-only
/*
 * Old history, given up: the paths of the threads that live, through what is given up, are summed up.
 *
 * Going back, a path is always either inside an interval that it has jumped into or at an interval's end, and from an end on there is
 * one way only. So the ways from all ends form trees; each is walked once, where two meet a trunk begins that they share, and the
 * time that all this takes is that of the intervals, not that times the threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/history_impl.h"

/* Trunks that several ways share, by the place where they begin. */
struct joints {
	struct keymap index;
	struct trunk **list;
	size_t nr, cap;
};

void trunk_release(struct trunk *k)
{
	while (k && !--k->refs) {
		struct trunk *parent = k->parent;

		sums_free(&k->sums);
		free(k);
		k = parent;
	}
}

static struct trunk *trunk_new(void)
{
	struct trunk *k = calloc(1, sizeof(*k));

	if (k)
		k->refs = 1;
	return k;
}

/* The marks of a place at an interval's end, or at a thread's start; false: what came before is in a base, or not known. */
static bool marks_of(const struct history *h, const struct path_place *place, bool **ret_visited,
		     bool **ret_joint, uint64_t *ret_key)
{
	struct past *p = history_past(h, place->p->t->serial);
	size_t i = 0;

	if (history_at(p, place->at_ns, &i)) {
		*ret_visited = &p->at[i].visited;
		*ret_joint = &p->at[i].joint;
	} else if (!p->base) {
		*ret_visited = &p->visited_start;
		*ret_joint = &p->joint_start;
		i = (size_t)-1;
	} else {
		return false;
	}
	*ret_key = (uint64_t)p->t->serial << 32 | (uint32_t)(i + 1);
	return true;
}

static struct path_place head_of(const struct past *p)
{
	return (struct path_place){ .p = p, .at_ns = history_from(p, p->drop) };
}

/* Finds where the ways meet. */
static void mark_way(const struct history *h, const struct past *p)
{
	struct path_place place = head_of(p);
	struct path_slice slice;
	bool *visited, *joint;
	uint64_t key;

	while (marks_of(h, &place, &visited, &joint, &key)) {
		if (*visited) {
			*joint = true;
			return;
		}
		*visited = true;
		if (path_step(h, &place, &slice) != STEP_SLICE)
			return;
	}
}

/* The shared trunk that begins here; *ret_new: its way is still to be walked. NULL when out of memory. */
static struct trunk *joint_at(struct joints *joints, uint64_t key, bool *ret_new)
{
	uint32_t i = keymap_get(&joints->index, key);
	struct trunk *k;

	*ret_new = !i;
	if (i) {
		joints->list[i - 1]->refs++;
		return joints->list[i - 1];
	}
	if (vec_room(&joints->list, &joints->cap, joints->nr + 1))
		return NULL;
	k = trunk_new();
	if (!k)
		return NULL;
	if (keymap_set(&joints->index, key, (uint32_t)joints->nr + 1)) {
		free(k);
		return NULL;
	}
	joints->list[joints->nr++] = k;
	return k;
}

/* Sums up one way into `k`, up to where it joins another, reaches an older base or ends. */
static int sum_way(const struct history *h, struct joints *joints, struct path_place place,
		   struct trunk *k)
{
	struct path_slice slice;
	bool *visited, *joint, fresh = false;
	uint64_t key;

	for (;;) {
		bool marked = marks_of(h, &place, &visited, &joint, &key);
		enum step step;

		if (marked && *joint && !fresh) {
			k->parent = joint_at(joints, key, &fresh);
			if (!k->parent)
				return -ENOMEM;
			if (!fresh)
				return 0;
			k = k->parent;
			continue;
		}
		fresh = false;
		step = path_step(h, &place, &slice);
		if (step == STEP_SLICE) {
			if (sums_add(&k->sums, path_key(&slice), slice.to_ns - slice.from_ns))
				return -ENOMEM;
			k->slices++;
			k->jumps += slice.jumped;
			continue;
		}
		k->end_ns = place.at_ns;
		if (step == STEP_BASE) {
			k->parent = place.p->base;
			k->parent->refs++;
		}
		return 0;
	}
}

/* Takes in the trunks behind that nobody else points at. */
static int absorb(struct trunk *k)
{
	while (k->parent && k->parent->refs == 1) {
		struct trunk *parent = k->parent;

		if (parent->sums.nr > k->sums.nr) {
			struct sums sums = k->sums;

			k->sums = parent->sums;
			parent->sums = sums;
		}
		if (sums_add_all(&k->sums, &parent->sums))
			return -ENOMEM;
		k->slices += parent->slices;
		k->jumps += parent->jumps;
		k->end_ns = parent->end_ns;
		k->parent = parent->parent;
		sums_free(&parent->sums);
		free(parent);
	}
	return 0;
}

/* How many intervals a thread gives up; and whether what it was doing then is still to be known. */
static bool plan(struct past *p, uint64_t until_ns)
{
	size_t i;

	p->drop = 0;
	p->visited_start = p->joint_start = false;
	if (!p->t || !p->t->started)
		return false;
	while (p->drop < p->nr && p->at[p->drop].to_ns <= until_ns) {
		i = p->drop++;
		p->at[i].visited = p->at[i].joint = false;
	}
	if (p->t->ended && p->drop == p->nr)
		return false;
	return history_from(p, p->drop) <= until_ns;
}

static int sum_all(struct history *h)
{
	struct joints joints = {};
	struct past *p;
	uint32_t serial = 0;
	int r = 0;

	while (!r && (p = serial_map_next(h->pasts, &serial))) {
		if (!p->t || !p->next_base)
			continue;
		r = sum_way(h, &joints, head_of(p), p->next_base);
	}
	keymap_free(&joints.index);
	free(joints.list);
	return r;
}

/* What was planned is done. */
static void drop_old(struct history *h, struct past *p)
{
	if (p->next_base || (p->t->ended && p->drop == p->nr)) {
		trunk_release(p->base);
		p->base = p->next_base;
		p->next_base = NULL;
	}
	p->from_ns = history_from(p, p->drop);
	p->begun |= p->drop || p->base;
	h->nr -= p->drop;
	p->nr -= p->drop;
	if (p->nr)
		memmove(p->at, p->at + p->drop, p->nr * sizeof(*p->at));
	if (!p->nr) {
		free(p->at);
		p->at = NULL;
		p->cap = 0;
	}
}

int trunk_prune(struct history *h, uint64_t until_ns)
{
	uint32_t serial = 0;
	struct past *p;
	int r = 0;

	/* Those that have not done anything yet are to be known too. */
	for (size_t i = 0; i < ledger_nr_threads(h->ledger); i++) {
		const struct thread *t = ledger_thread(h->ledger, i);

		if (!t->ended && !history_past(h, t->serial))
			return -ENOMEM;
	}
	while (!r && (p = serial_map_next(h->pasts, &serial))) {
		if (!plan(p, until_ns))
			continue;
		p->next_base = trunk_new();
		r = p->next_base ? 0 : -ENOMEM;
	}
	for (serial = 0; !r && (p = serial_map_next(h->pasts, &serial));)
		if (p->t && p->next_base)
			mark_way(h, p);
	if (!r)
		r = sum_all(h);
	for (serial = 0; !r && (p = serial_map_next(h->pasts, &serial));)
		if (p->t)
			drop_old(h, p);
	for (serial = 0; !r && (p = serial_map_next(h->pasts, &serial));)
		for (struct trunk *k = p->base; !r && k; k = k->parent)
			r = absorb(k);
	return r;
}
