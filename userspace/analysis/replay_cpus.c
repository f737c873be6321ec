// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which threads share which CPUs, and which part of a wait for a CPU another recorded thread explains: see replay.h.
 *
 *   CPUs taken   2 of 2 |==========|  1 of 2  |==========| 2 of 2
 *   a wait            |----- 4 ----|--- 3 ----|- 2 -|              the replay finds 4 and 2 itself, by the CPUs being taken
 *                                   <- taken along: 3 ->
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/replay_impl.h"
#include "base/vec.h"

/* ---- groups ---- */

static unsigned int count_cpus(const struct replay_group *g, unsigned int nr_cpus)
{
	unsigned int nr = 0;

	for (int i = 0; i < EV_CPUS_WORDS; i++)
		nr += (unsigned int)__builtin_popcountll(g->allowed[i]);
	if (g->any || nr > nr_cpus)
		nr = nr_cpus;
	return nr ? nr : 1;
}

static bool overlap(const struct replay_group *a, const struct replay_group *b)
{
	uint64_t both = 0;

	for (int i = 0; i < EV_CPUS_WORDS; i++)
		both |= a->allowed[i] & b->allowed[i];
	return a->any || b->any || both;
}

static void merge(struct replay_group *into, struct replay_group *from)
{
	into->any |= from->any;
	for (int i = 0; i < EV_CPUS_WORDS; i++)
		into->allowed[i] |= from->allowed[i];
	from->merged = true;
}

static uint32_t group_of(struct replay_model *m, const struct thread *t, unsigned int nr_cpus)
{
	struct replay_group one = { .any = !t->has_task || !t->nr_allowed ||
					   t->nr_allowed >= nr_cpus };

	memcpy(one.allowed, t->allowed, sizeof(one.allowed));
	for (uint32_t i = 0; i < m->nr_groups; i++)
		if (m->group[i].any == one.any &&
		    (one.any || !memcmp(m->group[i].allowed, one.allowed, sizeof(one.allowed))))
			return i;
	if (m->nr_groups == REPLAY_GROUPS) {
		merge(&m->group[REPLAY_GROUPS - 1], &one);
		return REPLAY_GROUPS - 1;
	}
	m->group[m->nr_groups] = one;
	return (uint32_t)m->nr_groups++;
}

/* Until none overlap: each thread's group becomes the one that its own went into. */
static void merge_all(struct replay_model *m)
{
	uint32_t into[REPLAY_GROUPS];
	bool again = true;

	for (uint32_t i = 0; i < m->nr_groups; i++)
		into[i] = i;
	while (again) {
		again = false;
		for (uint32_t i = 0; i < m->nr_groups; i++)
			for (uint32_t k = i + 1; k < m->nr_groups; k++) {
				if (m->group[i].merged || m->group[k].merged ||
				    !overlap(&m->group[i], &m->group[k]))
					continue;
				merge(&m->group[i], &m->group[k]);
				into[k] = i;
				again = true;
			}
	}
	for (size_t n = 0; n < m->nr_threads; n++)
		while (into[m->thread[n].group] != m->thread[n].group)
			m->thread[n].group = into[m->thread[n].group];
}

/* A group's threads go on its CPUs in turns. */
static void pin_all(struct replay_model *m)
{
	uint32_t first[REPLAY_GROUPS] = { 0 }, next[REPLAY_GROUPS] = { 0 };

	for (size_t i = 0; i < m->nr_groups; i++) {
		first[i] = m->nr_pins;
		m->nr_pins += m->group[i].merged ? 0 : m->group[i].cpus;
	}
	for (size_t n = 0; n < m->nr_threads; n++) {
		struct replay_thread *t = &m->thread[n];

		t->pin = first[t->group] + next[t->group]++ % m->group[t->group].cpus;
	}
}

void groups_make(struct replay_model *m, const struct ledger *l, unsigned int nr_cpus)
{
	if (!nr_cpus)
		nr_cpus = 1;
	for (size_t n = 0; n < m->nr_threads; n++)
		m->thread[n].group = group_of(m, ledger_find(l, m->thread[n].serial), nr_cpus);
	merge_all(m);
	for (size_t i = 0; i < m->nr_groups; i++)
		m->group[i].cpus = count_cpus(&m->group[i], nr_cpus);
	pin_all(m);
}

/* ---- when a CPU was free ---- */

struct turn {
	uint64_t time_ns;
	uint32_t group;
	int by; /* so many more are on a CPU from here on */
};

static int by_time(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

static int collect_turns(struct replay_model *m, struct turn **ret_turns, size_t *ret_nr)
{
	size_t cap = 0;

	for (size_t n = 0; n < m->nr_threads; n++) {
		const struct replay_thread *t = &m->thread[n];
		uint64_t at_ns = 0;

		for (size_t i = t->first; i < t->end; i++) {
			const struct op *op = &m->op[i];

			if (op->kind == OP_QUEUE)
				at_ns = op->at_ns;
			if (op->kind != OP_RUN)
				continue;
			if (vec_room(ret_turns, &cap, *ret_nr + 2))
				return -ENOMEM;
			(*ret_turns)[(*ret_nr)++] = (struct turn){ at_ns, t->group, 1 };
			at_ns += op->ns;
			(*ret_turns)[(*ret_nr)++] = (struct turn){ at_ns, t->group, -1 };
		}
	}
	if (*ret_nr)
		qsort(*ret_turns, *ret_nr, sizeof(**ret_turns), by_time);
	return 0;
}

/* From time_ns on its CPUs are all taken, or not. */
static int note(struct replay_group *g, uint64_t time_ns, bool free)
{
	struct replay_free *last = g->nr_free ? &g->free[g->nr_free - 1] : NULL;
	uint64_t free_ns;

	if (last && last->free == free)
		return 0;
	if (last && last->time_ns == time_ns) {
		last->free = free;
		return 0;
	}
	if (vec_room(&g->free, &g->cap_free, g->nr_free + 1))
		return -ENOMEM;
	last = g->nr_free ? &g->free[g->nr_free - 1] : NULL;
	free_ns = last ? last->free_ns + (last->free ? time_ns - last->time_ns : 0) : 0;
	g->free[g->nr_free++] =
		(struct replay_free){ .time_ns = time_ns, .free_ns = free_ns, .free = free };
	return 0;
}

/* How much of the time up to time_ns one was free. */
static uint64_t free_until(const struct replay_group *g, uint64_t time_ns)
{
	size_t low = 0, high = g->nr_free;
	const struct replay_free *at;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (g->free[middle].time_ns <= time_ns)
			low = middle;
		else
			high = middle;
	}
	at = &g->free[low];
	return at->free_ns + (at->free && time_ns > at->time_ns ? time_ns - at->time_ns : 0);
}

static int note_all(struct replay_model *m)
{
	int on[REPLAY_GROUPS] = { 0 }, r = 0;
	struct turn *turn = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < m->nr_groups && !r; i++)
		r = note(&m->group[i], m->begin_ns, true);
	r = r ?: collect_turns(m, &turn, &nr);
	for (size_t i = 0; i < nr && !r; i++) {
		struct replay_group *g = &m->group[turn[i].group];

		on[turn[i].group] += turn[i].by;
		/* all of one moment at once: a thread that follows another on its CPU leaves none free */
		if (i + 1 < nr && turn[i + 1].time_ns == turn[i].time_ns &&
		    turn[i + 1].group == turn[i].group)
			continue;
		r = note(g, turn[i].time_ns, on[turn[i].group] < (int)g->cpus);
	}
	free(turn);
	return r;
}

int groups_take_out(struct replay_model *m)
{
	int r = note_all(m);

	for (size_t n = 0; n < m->nr_threads && !r; n++) {
		const struct replay_group *g = &m->group[m->thread[n].group];

		for (size_t i = m->thread[n].first; i < m->thread[n].end; i++) {
			struct op *op = &m->op[i];

			if (op->kind == OP_QUEUE && op->ns)
				op->ns = free_until(g, op->at_ns) -
					 free_until(g, op->at_ns - op->ns);
		}
	}
	return r;
}
