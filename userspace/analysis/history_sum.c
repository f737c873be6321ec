// SPDX-License-Identifier: GPL-2.0-only
/* What one thread did in a span of time: see locks_impl.h. */
#include <string.h>

#include "analysis/history_impl.h"
#include "analysis/locks_impl.h"

size_t history_sum(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
		   size_t max, uint64_t ret_ns[CLASS_NR])
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	uint64_t at = to_ns;
	size_t i, nr = 0;

	memset(ret_ns, 0, CLASS_NR * sizeof(*ret_ns));
	if (p && p->t->ended && at > p->t->end_ns) {
		at = p->t->end_ns > from_ns ? p->t->end_ns : from_ns;
		ret_ns[CLASS_UNTRACKED] += to_ns - at;
	}
	while (p && at > from_ns && nr < max && history_at(p, at, &i)) {
		uint64_t begin = history_from(p, i);

		if (begin < from_ns)
			begin = from_ns;
		if (begin >= at)
			break;
		ret_ns[history_class(p, i)] += at - begin;
		at = begin;
		nr++;
	}
	ret_ns[CLASS_UNTRACKED] += at - from_ns;
	return nr;
}

uint64_t history_queued(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns)
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	uint64_t until_ns;
	size_t i;

	if (!p || to_ns <= from_ns || !history_at(p, from_ns + 1, &i) ||
	    history_class(p, i) != CLASS_RUNQ_WAKEUP)
		return from_ns;
	until_ns = i < p->nr ? p->at[i].to_ns : to_ns;
	return until_ns < to_ns ? until_ns : to_ns;
}

static bool is_off(enum ledger_class class)
{
	return class != CLASS_ONCPU && class != CLASS_UNTRACKED;
}

size_t history_first_run(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
			 size_t max, uint64_t *ret_ns)
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	size_t i, nr = 0;

	*ret_ns = from_ns;
	if (!p || p->t->ended || to_ns <= from_ns || !history_at(p, from_ns + 1, &i))
		return 0;
	for (; nr < max && *ret_ns < to_ns && is_off(history_class(p, i)); i++, nr++)
		*ret_ns = i < p->nr && p->at[i].to_ns < to_ns ? p->at[i].to_ns : to_ns;
	return nr;
}

size_t history_off_since(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
			 size_t max, uint64_t *ret_ns)
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	size_t i, nr = 0;

	*ret_ns = to_ns;
	if (!p || p->t->ended)
		return 0;
	while (nr<max && * ret_ns> from_ns && history_at(p, *ret_ns, &i) &&
	       is_off(history_class(p, i))) {
		*ret_ns = history_from(p, i) > from_ns ? history_from(p, i) : from_ns;
		nr++;
	}
	return nr;
}

static bool is_awake(enum ledger_class class)
{
	return class == CLASS_ONCPU || class == CLASS_RUNQ_PREEMPTED || class == CLASS_THROTTLED;
}

size_t history_awake_since(const struct history *h, uint32_t serial, uint64_t from_ns,
			   uint64_t to_ns, size_t max, uint64_t *ret_ns)
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	size_t i, nr = 0;

	*ret_ns = to_ns;
	while (p && nr<max && * ret_ns> from_ns && history_at(p, *ret_ns, &i) &&
	       is_awake(history_class(p, i))) {
		*ret_ns = history_from(p, i) > from_ns ? history_from(p, i) : from_ns;
		nr++;
	}
	return nr;
}
