// SPDX-License-Identifier: GPL-2.0-only
/* What each thread did, and who ended its waits: see history.h. */
#include "analysis/history.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/history_impl.h"
#include "analysis/wakeups.h"

struct past *history_past(const struct history *h, uint32_t serial)
{
	struct past *p = serial_map_find(h->pasts, serial);
	const struct thread *t;

	if (p && p->t)
		return p;
	t = ledger_find(h->ledger, serial);
	p = t ? serial_map_make(h->pasts, serial) : NULL;
	if (p)
		p->t = t;
	return p;
}

static bool is_wait(enum ledger_class class)
{
	return class >= CLASS_LOCK && class < CLASS_UNTRACKED;
}

/* Who ended the wait: the wake-up at its very end. */
static void set_waker(const struct past *p, struct interval *i)
{
	if (!is_wait(i->class) || p->wake.time_ns != i->to_ns)
		return;
	i->ended_by = p->wake.ended_by;
	i->waker = p->wake.who;
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct history *h = arg;
	struct past *p = history_past(h, t->serial);

	if (!p || vec_room(&p->at, &p->cap, p->nr + 1)) {
		h->failed = -ENOMEM;
		return;
	}
	if (to_ns == from_ns)
		return;
	if (!p->begun)
		p->from_ns = from_ns;
	p->begun = true;
	p->at[p->nr] = (struct interval){ .to_ns = to_ns, .class = (uint8_t) class };
	set_waker(p, &p->at[p->nr]);
	p->nr++;
	h->nr++;
}

uint64_t history_from(const struct past *p, size_t i)
{
	return i ? p->at[i - 1].to_ns : history_begin(p);
}

enum ledger_class history_class(const struct past *p, size_t i)
{
	if (i < p->nr)
		return p->at[i].class;
	switch (p->t->state) {
	case ST_NEW:
		return CLASS_RUNQ_WAKEUP;
	case ST_ONCPU:
		return CLASS_ONCPU;
	case ST_RUNQ:
	case ST_BLOCKED:
		return p->t->class;
	default:
		return CLASS_UNTRACKED;
	}
}

/* Walks go back: the next answer is mostly a little before the last one. */
static bool near_hint(const struct past *p, uint64_t at_ns, size_t *ret_i)
{
	size_t i = p->hint < p->nr ? p->hint : p->nr;

	if (i < p->nr && p->at[i].to_ns < at_ns)
		return false;
	for (unsigned int tries = 0; tries < 8; tries++) {
		if (history_from(p, i) < at_ns) {
			*ret_i = i;
			return true;
		}
		if (!i--)
			return false;
	}
	return false;
}

static size_t bisect(const struct past *p, uint64_t at_ns)
{
	size_t low = 0, high = p->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->at[middle].to_ns < at_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool history_at(const struct past *p, uint64_t at_ns, size_t *ret_i)
{
	if (!p->t->started || at_ns <= history_begin(p) || (p->t->ended && at_ns > p->t->end_ns))
		return false;
	if (!near_hint(p, at_ns, ret_i))
		*ret_i = bisect(p, at_ns);
	((struct past *)p)->hint = *ret_i; /* no part of what it says */
	return true;
}

/*
 * The end of what may be given up: a wake-up that came before its thread's switch-out ends a wait that is not closed yet, and what its
 * waker did before belongs to it.
 */
static uint64_t not_pending(const struct history *h, uint64_t until_ns)
{
	const struct past *p;
	uint32_t serial = 0;

	while ((p = serial_map_next(h->pasts, &serial)))
		if (p->t && p->t->woken_early && !p->t->ended && p->wake.time_ns <= until_ns)
			until_ns = p->wake.time_ns ? p->wake.time_ns - 1 : 0;
	return until_ns;
}

/*
 * Half of the limit was reached at half_ns: what ended before that goes when the other half is full too. Where something is pending
 * it may become twice the limit, then that must not hold everything any longer.
 */
static int bound(struct history *h)
{
	size_t before = h->nr;
	int r;

	if (!h->has_half) {
		h->has_half = true;
		h->half_ns = h->now_ns;
		h->next = h->limit;
		return 0;
	}
	r = trunk_prune(h, before < 2 * h->limit ? not_pending(h, h->half_ns) : h->half_ns);
	if (before - h->nr >= h->limit / 4)
		h->half_ns = h->now_ns;
	h->next = h->nr + h->limit / 4;
	if (h->next < h->limit)
		h->next = h->limit;
	return r;
}

static int on_wake(struct history *h, const struct ev_wake *rec)
{
	const struct thread *t = ledger_find(h->ledger, rec->wakee);
	enum wake_context context;
	struct past *p;
	uint32_t who;

	if (!t || t->ended)
		return 0;
	p = history_past(h, t->serial);
	if (!p)
		return -ENOMEM;
	context = wake_context_of(rec, &who);
	p->wake.time_ns = h->now_ns;
	p->wake.who = who;
	p->wake.ended_by = ENDED_UNKNOWN;
	if (context == WAKE_HARDIRQ || context == WAKE_SOFTIRQ || context == WAKE_INTERRUPT)
		p->wake.ended_by = ENDED_BY_INTERRUPT;
	if (context != WAKE_TASK)
		return 0;
	if (who & WHO_UNTRACKED) {
		p->wake.ended_by = ENDED_OUTSIDE;
		return 0;
	}
	t = ledger_find(h->ledger, who);
	if (!t || who == rec->wakee || !t->started || t->ended || t->start_ns >= h->now_ns)
		return 0;
	p->wake.ended_by = ENDED_BY_TASK;
	return 0;
}

int history_event(struct history *h, const struct trace_event *ev, uint64_t now_ns)
{
	unsigned int kind = EV_KIND(ev->rec[0]);
	int r = 0;

	h->now_ns = now_ns;
	if (h->failed)
		return h->failed;
	if (h->nr >= h->next)
		r = bound(h);
	if (!r && (kind == EV_WAKE || (kind == EV_WAKEUP && EV_FLAGS(ev->rec[0]) & WU_NO_WAKE)))
		r = on_wake(h, (const struct ev_wake *)ev->rec);
	return r;
}

int history_new(struct ledger *l, size_t limit, struct history **ret_history)
{
	struct history *h = calloc(1, sizeof(*h));

	if (h)
		h->pasts = calloc(1, sizeof(*h->pasts));
	if (!h || !h->pasts) {
		free(h);
		return -ENOMEM;
	}
	h->ledger = l;
	h->limit = limit;
	h->next = limit / 2;
	h->pasts->bytes = sizeof(struct past);
	ledger_watch(l, on_interval, h);
	*ret_history = h;
	return 0;
}

void history_free(struct history *h)
{
	struct past *p;
	uint32_t serial = 0;

	if (!h)
		return;
	while ((p = serial_map_next(h->pasts, &serial))) {
		free(p->at);
		trunk_release(p->base);
	}
	serial_map_free(h->pasts);
	free(h->pasts);
	free(h);
}
