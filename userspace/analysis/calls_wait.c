// SPDX-License-Identifier: GPL-2.0-only
/* Waits: the stack with which each began, who ended it, and who held the lock. See calls.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/calls_impl.h"
#include "base/vec.h"

/* The stack of the switch-out that this interval of the thread's follows. */
static uint32_t stack_of_wait(const struct called *d, const struct thread *t, uint64_t from_ns,
			      enum ledger_class class)
{
	unsigned int slot = t->seq & 1;

	if (d->off[slot].known && d->off[slot].seq == t->seq)
		return d->off[slot].stack;
	if (from_ns == t->start_ns && !t->voluntary && !t->involuntary &&
	    (class == CLASS_RUNQ_WAKEUP || class == CLASS_THROTTLED))
		return STACK_NEW;
	return STACK_NONE;
}

/* ---- wake-ups ---- */

/* The stack that the waker showed just before, on the same CPU. */
static uint32_t stack_of_waker(struct calls *c, uint32_t who, unsigned int cpu)
{
	struct calls_cpu *w = cpu < c->nr_cpus ? &c->cpu[cpu] : NULL;

	for (unsigned int i = w ? w->nr : 0; i-- > 0;) {
		if (w->at[i].who != who)
			continue;
		w->nr = i;
		return w->at[i].stack;
	}
	return STACK_NONE;
}

void calls_wake(struct calls *c, const struct ev_wake *rec, unsigned int cpu)
{
	struct called *d;
	uint32_t who;
	enum wake_context context;

	if (EV_KIND(rec->w0) == EV_WAKEUP && !(EV_FLAGS(rec->w0) & WU_NO_WAKE))
		return;
	context = wake_context_of(rec, &who);
	d = ledger_find(c->loaded->ledger, rec->wakee) ? calls_of(c, rec->wakee) : NULL;
	if (!d)
		return;
	d->wake_ns = c->now_ns;
	d->wake = (struct waker){ .who = who, .woken = WOKEN_BY_INTERRUPT };
	if (who && (context == WAKE_TASK || context == WAKE_UNKNOWN)) {
		d->wake.woken = WOKEN_BY_THREAD;
		d->wake.stack = stack_of_waker(c, rec->waker, cpu);
	}
}

/* Who ended a wait: the wake-up at its end, or one that came before it began and made it end at once. */
static struct waker waker_of(const struct calls *c, const struct called *d, const struct thread *t,
			     uint64_t from_ns, uint64_t to_ns)
{
	bool early = from_ns == to_ns && d->wake_ns < to_ns && d->wake_ns == t->wake_ns;

	if (d->wake.woken && (d->wake_ns == to_ns || early))
		return d->wake;
	/* the ledger closes what is still open when all events were read */
	return (struct waker){ .woken = to_ns >= c->now_ns ? WOKEN_NEVER : WOKEN_UNKNOWN };
}

static void name_waker(const struct calls *c, struct called *d, const struct thread *t,
		       uint64_t from_ns, uint64_t to_ns, struct row_key *key)
{
	struct waker w = {};

	switch (key->class) {
	case CLASS_RUNQ_PREEMPTED:
		break;
	case CLASS_RUNQ_WAKEUP:
	case CLASS_THROTTLED:
		w = d->woken;
		break;
	default:
		w = waker_of(c, d, t, from_ns, to_ns);
	}
	/* it holds for the run queue behind the wait, until the thread has run */
	d->woken = w;
	key->waker = w.who;
	key->waker_stack = w.stack;
	key->woken = w.woken;
}

/* ---- locks ---- */

/* A part of a wait, or the rest of it, with its holder. */
static void add_part(struct calls *c, struct called *d, uint32_t serial, const struct lock_wait *w,
		     uint32_t holder, uint64_t ns, uint64_t count)
{
	const struct row_key key = { .serial = c->o->per_thread ? serial : 0,
				     .stack = w->stack,
				     .lock = w->lock,
				     .holder = holder };

	calls_add(c, &key, ns, count);
	d->given_ns += ns;
}

void calls_lock_part(void *arg, const struct lock *lock, uint32_t waiter, uint32_t holder,
		     uint64_t from_ns, uint64_t to_ns)
{
	struct calls *c = arg;
	struct called *d = serial_map_find(&c->called, waiter);
	uint64_t ns = to_ns - from_ns;

	for (size_t i = d ? d->nr_waits : 0; i-- > 0;) {
		struct lock_wait *w = &d->wait[i];

		if (w->lock != lock->index + 1 || from_ns < w->from_ns || to_ns > w->to_ns ||
		    ns > w->left_ns)
			continue;
		add_part(c, d, waiter, w, holder, ns, w->left_ns == w->to_ns - w->from_ns);
		w->left_ns -= ns;
		if (!w->left_ns)
			memmove(w, w + 1, (--d->nr_waits - i) * sizeof(*w));
		return;
	}
}

/*
 * Keeps a wait until its parts are told. Those of waits that the holder is not known of yet may come much later; so that no trace makes
 * the list long, the oldest ones are given up.
 */
#define WAITS_MAX 256

static void keep_wait(struct calls *c, struct called *d, const struct thread *t,
		      const struct lock_wait *w)
{
	if (d->nr_waits == WAITS_MAX) {
		for (size_t i = 0; i < WAITS_MAX / 2; i++)
			add_part(c, d, t->serial, &d->wait[i], 0, d->wait[i].left_ns,
				 d->wait[i].left_ns == d->wait[i].to_ns - d->wait[i].from_ns);
		d->nr_waits -= WAITS_MAX / 2;
		memmove(d->wait, d->wait + WAITS_MAX / 2, d->nr_waits * sizeof(*d->wait));
	}
	if (vec_room(&d->wait, &d->cap_waits, d->nr_waits + 1))
		c->failed = -ENOMEM;
	else
		d->wait[d->nr_waits++] = *w;
}

void calls_lock_settle(struct calls *c, struct called *d, uint32_t serial)
{
	for (size_t i = 0; i < d->nr_waits; i++)
		add_part(c, d, serial, &d->wait[i], 0, d->wait[i].left_ns,
			 d->wait[i].left_ns == d->wait[i].to_ns - d->wait[i].from_ns);
	d->nr_waits = 0;
}

/* ---- both ---- */

void calls_waited(struct calls *c, struct called *d, const struct thread *t, uint64_t from_ns,
		  uint64_t to_ns, enum ledger_class class)
{
	const struct lock *lock = t->waits_on;
	struct row_key key = { .serial = c->o->per_thread ? t->serial : 0,
			       .stack = stack_of_wait(d, t, from_ns, class),
			       .class = (uint8_t) class };

	if (c->o->mode == CALLS_LOCK) {
		const struct lock_wait w = { .from_ns = from_ns,
					     .to_ns = to_ns,
					     .left_ns = to_ns - from_ns,
					     .stack = key.stack,
					     .lock = lock ? lock->index + 1 : 0 };

		if (w.left_ns && !lock)
			add_part(c, d, t->serial, &w, 0, w.left_ns, 1);
		else if (w.left_ns)
			keep_wait(c, d, t, &w);
		return;
	}
	if (c->o->mode == CALLS_WAKE)
		name_waker(c, d, t, from_ns, to_ns, &key);
	calls_add(c, &key, to_ns - from_ns, 1);
	d->given_ns += to_ns - from_ns;
}
