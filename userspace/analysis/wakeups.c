// SPDX-License-Identifier: GPL-2.0-only
/* Who wakes whom: see wakeups.h. */
#include "analysis/wakeups.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/keymap.h"
#include "analysis/serial_map.h"
#include "base/vec.h"

/* Whose delay is awaited: the counts of the last wake-up of a thread, 1 + the index of the pair. */
#define OTHERS UINT32_MAX
struct woken {
	uint32_t pair; /* 0: none */
};

struct counting {
	struct wakeups result; /* what the caller sees */
	struct ledger *ledger;
	struct keymap pairs;
	struct serial_map woken;
	size_t cap;
};

const char *wake_context_name(enum wake_context context)
{
	static const char *const names[WAKE_CONTEXT_NR] = {
		[WAKE_TASK] = "task",       [WAKE_HARDIRQ] = "hardirq",
		[WAKE_SOFTIRQ] = "softirq", [WAKE_INTERRUPT] = "interrupt",
		[WAKE_UNKNOWN] = "unknown", [WAKE_NEW] = "new",
	};

	return (unsigned int)context < WAKE_CONTEXT_NR ? names[context] : "?";
}

enum wake_context wake_context_of(const struct ev_wake *rec, uint32_t *ret_waker)
{
	unsigned int flags = EV_KIND(rec->w0) == EV_WAKE ? EV_FLAGS(rec->w0) : 0;

	*ret_waker = 0;
	if (flags & WK_CONTEXT && flags & WK_HARDIRQ)
		return WAKE_HARDIRQ;
	if (flags & WK_CONTEXT && flags & WK_SOFTIRQ)
		return WAKE_SOFTIRQ;
	/* The idle task itself wakes nobody. */
	if (rec->waker == WHO_IDLE)
		return WAKE_INTERRUPT;
	*ret_waker = rec->waker;
	return flags & WK_CONTEXT ? WAKE_TASK : WAKE_UNKNOWN;
}

static void count_delay(struct wake_counts *counts, uint64_t ns)
{
	counts->delays++;
	counts->delay_ns += ns;
	if (ns > counts->longest_ns)
		counts->longest_ns = ns;
}

static struct wake_counts *counts_of(struct counting *c, uint32_t pair)
{
	return pair == OTHERS ? &c->result.others : &c->result.pair[pair - 1].counts;
}

/* The time on the run queue that follows a wake-up. */
static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct counting *c = arg;
	struct woken *woken;

	if (class != CLASS_RUNQ_WAKEUP)
		return;
	woken = serial_map_find(&c->woken, t->serial);
	if (!woken || !woken->pair)
		return;
	count_delay(counts_of(c, woken->pair), to_ns - from_ns);
	count_delay(&c->result.all, to_ns - from_ns);
	woken->pair = 0;
}

/* 1 + the pair's index, OTHERS, or 0 when out of memory. */
static uint32_t pair_of(struct counting *c, uint32_t waker, uint32_t wakee,
			enum wake_context context)
{
	struct wakeups *w = &c->result;
	uint64_t key = (uint64_t)waker << 32 | (uint64_t)wakee << 3 | context;
	uint32_t pair = keymap_get(&c->pairs, key);

	if (pair)
		return pair;
	if (w->nr >= WAKEUPS_MAX)
		return OTHERS;
	if (vec_room(&w->pair, &c->cap, w->nr + 1) ||
	    keymap_set(&c->pairs, key, (uint32_t)w->nr + 1))
		return 0;
	w->pair[w->nr++] = (struct wake_pair){ .waker = waker, .wakee = wakee, .context = context };
	return (uint32_t)w->nr;
}

int wakeups_event(struct wakeups *w, const struct trace_event *ev)
{
	struct counting *c = (struct counting *)w;
	const struct ev_wake *rec = (const struct ev_wake *)ev->rec;
	unsigned int kind = EV_KIND(ev->rec[0]), flags = EV_FLAGS(ev->rec[0]);
	enum wake_context context;
	const struct thread *t;
	struct woken *woken;
	uint32_t waker;

	if (kind != EV_WAKE && (kind != EV_WAKEUP || !(flags & (WU_NO_WAKE | WU_NEW))))
		return 0;
	t = ledger_find(c->ledger, rec->wakee);
	/* One that did not know of another before it changes nothing when the thread runs already. */
	if (!t || t->ended || (kind == EV_WAKEUP && t->state == ST_ONCPU))
		return 0;
	if (kind == EV_WAKEUP && flags & WU_NEW) {
		waker = t->parent;
		context = WAKE_NEW;
	} else {
		context = wake_context_of(rec, &waker);
	}
	woken = serial_map_make(&c->woken, t->serial);
	if (!woken)
		return -ENOMEM;
	woken->pair = pair_of(c, waker, t->serial, context);
	if (!woken->pair)
		return -ENOMEM;
	counts_of(c, woken->pair)->count++;
	w->all.count++;
	return 0;
}

int wakeups_new(struct ledger *l, struct wakeups **ret_wakeups)
{
	struct counting *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ledger = l;
	c->woken.bytes = sizeof(struct woken);
	ledger_watch(l, on_interval, c);
	*ret_wakeups = &c->result;
	return 0;
}

void wakeups_free(struct wakeups *w)
{
	struct counting *c = (struct counting *)w;

	if (!w)
		return;
	keymap_free(&c->pairs);
	serial_map_free(&c->woken);
	free(w->pair);
	free(c);
}
