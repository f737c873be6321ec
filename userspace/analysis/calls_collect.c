// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events to times by stack: what EV_CALLS name is kept for each thread until the ledger tells how long it lasted.
 *
 *   EV_CALLS sample   ->  the thread's samples, weighed when the ledger closes the interval that they lie in
 *   EV_CALLS off      ->  the stack of the thread's next switch-out, by its seq; the ledger's intervals while t->seq is that
 *   EV_CALLS wake     ->  the EV_WAKE that follows on this CPU (calls_wait.c)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "analysis/calls_impl.h"
#include "base/vec.h"
#include "trace/kinds.h"

/* ---- rows ---- */

void calls_add(struct calls *c, const struct row_key *key, uint64_t ns, uint64_t count)
{
	uint64_t hash = XXH64(key, sizeof(*key), c->seed);
	uint32_t i;

	for (; (i = keymap_get(&c->row_of, hash)); hash++) {
		struct row *row = &c->row[i - 1];

		if (memcmp(&row->key, key, sizeof(*key)))
			continue;
		row->ns += ns;
		row->count += count;
		return;
	}
	if (vec_room(&c->row, &c->cap_rows, c->nr_rows + 1) ||
	    keymap_set(&c->row_of, hash, (uint32_t)c->nr_rows + 1)) {
		c->failed = -ENOMEM;
		return;
	}
	c->row[c->nr_rows++] = (struct row){ *key, ns, count };
}

/* The number of what an EV_CALLS names. */
static uint32_t stack_number(struct calls *c, const struct ev_calls *rec)
{
	const struct stack_ids ids = {
		.kernel = rec->kernel,
		.user = rec->user,
		.python = c->o->python ? rec->python : 0,
		.no = (EV_FLAGS(rec->w0) & (CL_NO_KERNEL | CL_NO_USER | CL_NO_PYTHON)) |
		      (rec->more & CL2_EXEC ? STACK_IDS_EXEC : 0),
	};
	uint64_t hash = XXH64(&ids, sizeof(ids), c->seed);
	uint32_t i;

	if (!ids.kernel && !ids.user && !ids.python)
		return STACK_NONE;
	for (; (i = keymap_get(&c->stack_of, hash)); hash++)
		if (!memcmp(&c->stack[i - 1], &ids, sizeof(ids)))
			return i;
	if (vec_room(&c->stack, &c->cap_stacks, c->nr_stacks + 1) ||
	    keymap_set(&c->stack_of, hash, (uint32_t)c->nr_stacks + 1)) {
		c->failed = -ENOMEM;
		return STACK_NONE;
	}
	c->stack[c->nr_stacks++] = ids;
	return (uint32_t)c->nr_stacks;
}

bool calls_is_wait(enum ledger_class class)
{
	return class != CLASS_ONCPU && class != CLASS_UNTRACKED;
}

bool calls_wanted(const struct calls *c, enum ledger_class class)
{
	switch (c->o->mode) {
	case CALLS_ON:
		return class == CLASS_ONCPU;
	case CALLS_LOCK:
		return class == CLASS_LOCK || class == CLASS_GIL || class == CLASS_KLOCK;
	default:
		return calls_is_wait(class);
	}
}

/* ---- what the trace tells ---- */

struct called *calls_of(struct calls *c, uint32_t serial)
{
	struct called *d = serial_map_make(&c->called, serial);

	if (!d)
		c->failed = -ENOMEM;
	return d;
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct calls *c = arg;
	struct called *d = calls_of(c, t->serial);

	if (!d)
		return;
	if (!calls_is_wait(class))
		d->woken = (struct waker){};
	if (c->o->mode == CALLS_ON)
		calls_ran(c, d, t, from_ns, to_ns, class);
	else if (calls_wanted(c, class))
		calls_waited(c, d, t, from_ns, to_ns, class);
}

/* Another one is current on this CPU from here on, or what is current was lost: no waker there waits for its EV_WAKE any more. */
static void on_cpu(struct calls *c, const struct trace_event *ev)
{
	const struct ev_switch *sw = (const void *)ev->rec;
	struct calls_cpu *cpu = ev->cpu < c->nr_cpus ? &c->cpu[ev->cpu] : NULL;

	if (!cpu)
		return;
	cpu->nr = 0;
	if (EV_KIND(ev->rec[0]) == EV_LOST && c->o->mode == CALLS_ON)
		calls_lost(c, (const void *)ev->rec, ev->cpu);
	if (EV_KIND(ev->rec[0]) == EV_SWITCH)
		cpu->current = sw->next & WHO_UNTRACKED ? 0 : sw->next;
}

static void remember_waker(struct calls *c, const struct ev_calls *rec, unsigned int cpu)
{
	struct calls_cpu *w = cpu < c->nr_cpus ? &c->cpu[cpu] : NULL;

	if (!w)
		return;
	if (w->nr == WAKERS_NEST)
		memmove(w->at, w->at + 1, --w->nr * sizeof(w->at[0]));
	w->at[w->nr].who = rec->who;
	w->at[w->nr++].stack = stack_number(c, rec);
}

static void on_calls(struct calls *c, const struct ev_calls *rec, unsigned int cpu)
{
	unsigned int about = EV_FLAGS(rec->w0) & CL_ABOUT;
	struct called *d;

	if (about == CL_WAKE) {
		c->has_stacks |= c->o->mode == CALLS_WAKE;
		if (c->o->mode == CALLS_WAKE)
			remember_waker(c, rec, cpu);
		return;
	}
	if ((about == CL_SAMPLE) != (c->o->mode == CALLS_ON) || about > CL_OFF)
		return;
	c->has_stacks |= c->o->mode != CALLS_WAKE;
	d = ledger_find(c->loaded->ledger, rec->who) ? calls_of(c, rec->who) : NULL;
	if (!d)
		return;
	if (about == CL_SAMPLE) {
		calls_sample(c, d, stack_number(c, rec));
		return;
	}
	d->off[rec->seq & 1].known = true;
	d->off[rec->seq & 1].seq = rec->seq;
	d->off[rec->seq & 1].stack = stack_number(c, rec);
}

static int take(struct calls *c, const struct trace_event *ev)
{
	const void *rec = ev->rec;

	switch (EV_KIND(ev->rec[0])) {
	case EV_CALLS:
		on_calls(c, rec, ev->cpu);
		return 0;
	case EV_WAKE:
	case EV_WAKEUP:
		if (c->o->mode == CALLS_WAKE)
			calls_wake(c, rec, ev->cpu);
		return 0;
	case EV_NAME:
		return foreign_name(&c->foreign, rec);
	case EV_SWITCH:
	case EV_LOST:
		on_cpu(c, ev);
		return 0;
	default:
		return stack_store_event(c->store, ev);
	}
}

/* Each event, before the ledger takes it. */
static int before(void *arg, const struct trace_event *ev)
{
	struct calls *c = arg;
	unsigned int kind = EV_KIND(ev->rec[0]);
	int r;

	if (ev->time_ns > c->now_ns)
		c->now_ns = ev->time_ns;
	if (!c->listening && c->o->mode == CALLS_LOCK)
		locks_on_part(c->loaded->locks, calls_lock_part, c);
	c->listening = true;
	if (!trace_kind_words[kind] || EV_WORDS(ev->rec[0]) < trace_kind_words[kind])
		return 0;
	r = take(c, ev);
	return r ?: c->failed;
}

int calls_listen(struct calls *c)
{
	c->called.bytes = sizeof(struct called);
	if (getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) < 0)
		c->seed = (uintptr_t)c;
	c->nr_cpus = c->loaded->meta.nr_cpus;
	c->cpu = calloc(c->nr_cpus + 1, sizeof(*c->cpu));
	if (!c->cpu)
		return -ENOMEM;
	ledger_watch(c->loaded->ledger, on_interval, c);
	load_before(c->loaded, before, c);
	return 0;
}

/* ---- the end ---- */

/* What of a thread's time no stack was found for. */
static void settle_thread(struct calls *c, const struct thread *t)
{
	struct called *d = c->loaded->from_books ? NULL : serial_map_find(&c->called, t->serial);
	uint64_t wanted = 0, given;
	struct row_key key = { .serial = c->o->per_thread ? t->serial : 0 };

	if (d) {
		calls_ran_settle(c, d, t);
		calls_lock_settle(c, d, t->serial);
	}
	given = d ? d->given_ns : 0;
	for (int class = 0; class < CLASS_NR; class ++)
		wanted += calls_wanted(c, class) ? t->ledger_ns[class] : 0;
	if (wanted > given)
		calls_add(c, &key, wanted - given, 0);
}

/* Waits of threads that the ledger has no interval of (a recording without events): by their class, without a stack. */
static void settle_book(struct calls *c, const struct thread *t)
{
	struct row_key key = { .serial = c->o->per_thread ? t->serial : 0 };

	for (int class = 0; class < CLASS_NR; class ++) {
		key.class = c->o->mode == CALLS_OFF || c->o->mode == CALLS_WAKE ? class : 0;
		if (calls_wanted(c, class) && t->ledger_ns[class])
			calls_add(c, &key, t->ledger_ns[class], 0);
	}
}

int calls_settle(struct calls *c)
{
	const struct loaded *l = c->loaded;

	for (size_t i = 0; i < l->nr_threads; i++) {
		if (l->from_books)
			settle_book(c, l->threads[i]);
		else
			settle_thread(c, l->threads[i]);
	}
	return c->failed;
}
