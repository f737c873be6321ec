// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each wait for a lock, to the nanosecond: how it ended, who held the lock, and what the holder did.
 *
 *   lock          | held by H, its owner | held by B, to whom H gave it | now ...
 *                                        ^ H wakes B: a hand-over       ^ B wakes A
 *   wait of A          |----------- H -------------|----------- B ------------|
 *
 * Each lock keeps the spans that its open waits may need, cut at the hand-overs and where a waiter finds another owner; a wait looks
 * back at them when the ledger has closed it, which may be later than its end. A span without an owner belongs to whoever ends it by
 * giving the lock away, from the last hand-over on, or from when that thread last waited for it. A wait that a time limit or signal ended
 * leaves its last part pending until then.
 *
 * The work for one wait is bounded (see `credit`): what is older than that is not known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "analysis/path.h"
#include "base/vec.h"

/* To where there is room: else to `otherwise`, 0 being nowhere. */
static void add(struct locks *k, struct sums *s, uint64_t key, uint64_t otherwise, uint64_t ns)
{
	size_t nr = s->nr;

	if (k->nr_sums >= SUMS_MAX && !keymap_get(&s->index, key))
		key = otherwise;
	if (ns && key && sums_add(s, key, ns))
		k->failed = -ENOMEM;
	k->nr_sums += s->nr - nr;
}

/* How many intervals may be looked at for one wait: each event of the trace allows for some more. */
static size_t credit(const struct locks *k)
{
	return STEPS_MIN + k->credit;
}

static void spend(struct locks *k, size_t steps)
{
	size_t more = steps > STEPS_MIN ? steps - STEPS_MIN : 0;

	k->credit -= more < k->credit ? more : k->credit;
}

static bool is_exclusive(const struct lock *lock)
{
	return lock_kind_class(lock->kind) != CLASS_SYNC;
}

/* ---- what the holder did ---- */

static enum lock_doing doing_of(enum ledger_class class)
{
	switch (class) {
	case CLASS_ONCPU:
		return LOCK_RUNNING;
	case CLASS_RUNQ_PREEMPTED:
	case CLASS_RUNQ_WAKEUP:
	case CLASS_THROTTLED:
		return LOCK_PREEMPTED;
	case CLASS_SLEEP:
		return LOCK_ASLEEP;
	case CLASS_UNTRACKED:
		return LOCK_DOING_UNKNOWN;
	default:
		return LOCK_BLOCKED;
	}
}

static void sum_doing(struct locks *k, struct held *h)
{
	uint64_t ns[CLASS_NR];

	spend(k, history_sum(k->history, h->holder, h->from_ns, h->to_ns, credit(k), ns));
	for (int c = 0; c < CLASS_NR; c++)
		h->doing_ns[doing_of(c)] += ns[c];
	h->summed = true;
}

/* Of from..to, what the holder that had just been given the lock waited for a CPU: it had no chance to let go of it. */
static uint64_t queued_ns(const struct locks *k, const struct held *h, uint64_t from_ns,
			  uint64_t to_ns)
{
	uint64_t until_ns = h->given ? history_queued(k->history, h->holder, h->from_ns, to_ns) : 0;

	return until_ns > from_ns ? until_ns - from_ns : 0;
}

/* from..to of a wait, which lies within the span. */
static void account(struct locks *k, struct lock *lock, uint32_t waiter, struct held *span,
		    uint64_t from_ns, uint64_t to_ns)
{
	struct held part = { .from_ns = from_ns, .to_ns = to_ns };
	bool whole = span->from_ns == from_ns && span->to_ns == to_ns;
	struct held *h = whole ? span : &part;

	if (to_ns <= from_ns)
		return;
	if (!span->holder || span->holder == waiter) {
		lock->doing_ns[LOCK_DOING_UNKNOWN] += to_ns - from_ns;
		return;
	}
	part.holder = span->holder;
	if (!h->summed)
		sum_doing(k, h);
	for (int d = 0; d < LOCK_DOING_NR; d++)
		lock->doing_ns[d] += h->doing_ns[d];
	lock->handed_ns += queued_ns(k, span, from_ns, to_ns);
	add(k, &lock->holder_ns, (uint64_t)span->holder << 1 | span->how, 0, to_ns - from_ns);
}

/* ---- the spans of a lock ---- */

/* Keeps a span that has ended, for the waits that are open. */
static void keep_span(struct locks *k, struct lock_state *state, const struct held *h)
{
	if (!state->nr_open || h->to_ns <= h->from_ns)
		return;
	if (state->nr_past == HELD_MAX ||
	    (state->nr_past && state->nr_past == state->cap_past && k->nr_held >= HELD_ALL_MAX)) {
		size_t half = (state->nr_past + 1) / 2;

		memmove(state->past, state->past + half,
			(state->nr_past - half) * sizeof(*state->past));
		state->nr_past -= half;
	}
	if (state->nr_past == state->cap_past) {
		size_t cap = state->cap_past;

		if (k->nr_held >= HELD_ALL_MAX)
			return;
		if (vec_room(&state->past, &state->cap_past, state->nr_past + 1)) {
			k->failed = -ENOMEM;
			return;
		}
		k->nr_held += state->cap_past - cap;
	}
	state->past[state->nr_past++] = *h;
}

/* Since when a thread that gives the lock away now, without being known as the owner, has had it for sure. */
static uint64_t had_since(const struct locks *k, const struct lock *lock, uint32_t giver)
{
	const struct lock_state *state = k->state[lock->index];
	const struct waiter *g = serial_map_find(&k->waiters, giver);
	uint64_t since_ns = state->handed_at_ns;

	if (state->given_to != giver && g && g->left == lock && g->left_ns > since_ns)
		since_ns = g->left_ns;
	if (g && g->lock == lock && g->turn && g->waiting)
		since_ns = k->now_ns; /* it seems to wait itself: something is missing */
	return k->lost_ns > since_ns ? k->lost_ns : since_ns;
}

/* Ends the span that is open: `giver` (0: nobody known) let go of it now. `owner` has it from now on, if that is known. */
static void cut(struct locks *k, struct lock *lock, uint32_t giver, uint32_t owner)
{
	struct lock_state *state = lock_state(k, lock);
	struct held h = state->now, before;
	uint64_t since_ns;

	h.to_ns = k->now_ns;
	state->now = (struct held){ .from_ns = k->now_ns, .holder = owner, .how = LOCK_OWNER };
	/* lost records may tell of another owner */
	if (h.holder != giver && k->lost_ns > h.from_ns)
		h.holder = 0;
	if (!h.holder && giver) {
		before = h;
		since_ns = had_since(k, lock, giver);
		if (since_ns > h.from_ns) {
			before.to_ns = since_ns < h.to_ns ? since_ns : h.to_ns;
			keep_span(k, state, &before);
			h.from_ns = before.to_ns;
		}
		h.holder = giver;
		h.how = LOCK_WAKER;
		h.given = state->given_to == giver && h.from_ns == state->handed_at_ns;
	}
	keep_span(k, state, &h);
}

/* ---- parts of waits whose holder the next hand-over will show ---- */

static void settle(struct locks *k, struct lock *lock, const struct pending *p, uint32_t holder,
		   uint64_t since_ns)
{
	struct held nobody = { .from_ns = p->from_ns, .to_ns = p->to_ns };
	struct held h = nobody;

	h.holder = holder;
	h.how = LOCK_WAKER;
	if (since_ns < p->from_ns)
		since_ns = p->from_ns;
	if (since_ns > p->to_ns || !holder)
		since_ns = p->to_ns;
	account(k, lock, p->waiter, &nobody, p->from_ns, since_ns);
	account(k, lock, p->waiter, &h, since_ns, p->to_ns);
}

static void settle_all(struct locks *k, struct lock *lock, uint32_t giver)
{
	struct lock_state *state = lock_state(k, lock);
	uint64_t since_ns = state->nr_pending && giver ? had_since(k, lock, giver) : 0;

	for (size_t i = 0; i < state->nr_pending; i++)
		settle(k, lock, &state->pending[i], giver, since_ns);
	state->nr_pending = 0;
}

static void keep_pending(struct locks *k, struct lock *lock, uint32_t waiter, uint64_t from_ns,
			 uint64_t to_ns)
{
	struct lock_state *state = lock_state(k, lock);
	struct pending p = { waiter, from_ns, to_ns };

	if (state->nr_pending == MAX_PENDING)
		settle(k, lock, &p, 0, 0);
	else if (vec_room(&state->pending, &state->cap_pending, state->nr_pending + 1))
		k->failed = -ENOMEM;
	else
		state->pending[state->nr_pending++] = p;
}

/* ---- waits begin, and the lock changes hands ---- */

static void drop_wait(struct locks *k, struct waiter *w)
{
	struct lock_state *state = w->lock && w->turn ? lock_state(k, w->lock) : NULL;

	if (state) {
		state->nr_waiting -= w->waiting;
		if (!--state->nr_open)
			state->nr_past = 0;
	}
	w->lock = NULL;
}

void lock_wait_begin(struct locks *k, struct waiter *w, struct lock *lock, uint32_t owner)
{
	struct lock_state *state = lock_state(k, lock);

	if (!k->history)
		return;
	drop_wait(k, w);
	w->lock = lock;
	w->from_ns = k->now_ns;
	w->waiting = true;
	/* the GIL's inner mutexes, and the wait for the one who takes it over, are no turns at it */
	w->turn = is_exclusive(lock) && (w->gil == GIL_NOT || w->gil == GIL_COND);
	if (!w->turn)
		return;
	if (!owner && state->nr_waiting && state->now.holder != w->serial)
		owner = state->now.holder;
	if (state->given_to == w->serial)
		state->given_to = 0; /* somebody else was faster, or it has let go since */
	if (owner != state->now.holder) {
		/* Who is the owner now, and gave it away or was given it last: it has had it since, or was on its way to it. */
		uint32_t giver = owner == state->given_to || owner == state->giver ? owner : 0;

		if (owner)
			settle_all(k, lock, giver);
		cut(k, lock, giver, owner);
	} else if (owner && !state->nr_open) {
		state->now.from_ns = k->now_ns;
	}
	state->nr_open++;
	state->nr_waiting++;
}

/* This thread (0: one that is not recorded) has just let go of the lock: it had it since the last hand-over. */
static void given(struct locks *k, struct lock *lock, uint32_t giver, uint32_t to)
{
	struct lock_state *state = lock_state(k, lock);

	settle_all(k, lock, giver);
	cut(k, lock, giver, 0);
	state->handed_at_ns = k->now_ns;
	state->giver = giver;
	state->given_to = to;
	state->taker = 0;
}

/*
 * CPython's take_gil() may find the lock free when its time limit has run out, without having been woken. Two things show who had it
 * nevertheless. drop_gil() waits, without a limit, until another thread has taken the lock over: who begins that wait has just
 * let go, and who ends it has taken it. And who has taken it, and waits for it again, has let go in between.
 */
void lock_gil_dropped(struct locks *k, struct lock *lock, const struct waiter *w)
{
	if (lock_state(k, lock)->giver != w->serial)
		lock->gil_handovers++;
	given(k, lock, w->serial, 0);
}

/*
 * take_gil() comes back with the lock or waits again at once. So a thread that has run for a while since its last wait in there, without
 * waiting for anything else and without a hand-over since, has had the lock, and has let go as it begins to wait anew.
 */
#define GIL_RUN_NS 100000

bool lock_had_gil(struct locks *k, const struct lock *lock, const struct waiter *w)
{
	uint64_t ns[CLASS_NR], elsewhere = 0;

	if (w->gil_of != lock || !w->gil_until_ns ||
	    lock_state(k, lock)->handed_at_ns > w->gil_until_ns)
		return false;
	spend(k, history_sum(k->history, w->serial, w->gil_until_ns, k->now_ns, credit(k), ns));
	for (int c = CLASS_LOCK; c < CLASS_NR; c++)
		elsewhere += c == CLASS_GIL ? 0 : ns[c];
	return !elsewhere && ns[CLASS_ONCPU] >= GIL_RUN_NS;
}

static void hand_over(struct locks *k, struct waiter *w)
{
	struct lock_state *state = lock_state(k, w->lock);

	state->nr_waiting -= w->waiting;
	w->waiting = false;
	given(k, w->lock, w->wake.waker, w->serial);
	/* an rwlock's readers are all woken at once */
	w->lock->convoys += state->nr_waiting && w->lock->kind != LOCK_RWLOCK;
}

void lock_woken(struct locks *k, struct waiter *w)
{
	if (w->wake.why == WHY_SIGNAL || w->wake.why == WHY_TIMEOUT)
		return;
	if (w->gil == GIL_SWITCH)
		lock_state(k, w->lock)->taker = w->wake.waker;
	if (w->turn && w->waiting)
		hand_over(k, w);
}

/* ---- the end of a wait ---- */

/* A wake-up that came before the switch-out: the wait was over when it began. */
static bool woken_before(const struct waiter *w, const struct thread *t, uint64_t from_ns,
			 uint64_t to_ns)
{
	return from_ns == to_ns && w->wake.time_ns < to_ns && w->wake.time_ns == t->wake_ns &&
	       (uint16_t)(t->seq - t->wake_seq) <= 1;
}

static enum lock_ended how_ended(const struct waiter *w)
{
	switch (w->wake.why) {
	case WHY_WOKEN:
		return LOCK_WOKEN;
	case WHY_TIMEOUT:
		return LOCK_TIMED_OUT;
	case WHY_SIGNAL:
		return LOCK_SIGNAL;
	default:
		return w->lock->kind == LOCK_KERNEL ? LOCK_WOKEN : LOCK_ENDED_UNKNOWN;
	}
}

/* The part of the wait since the lock changed hands last. Returns where it begins. */
static uint64_t split_now(struct locks *k, const struct waiter *w, uint64_t from_ns, uint64_t to_ns,
			  enum lock_ended ended)
{
	struct lock_state *state = lock_state(k, w->lock);
	struct held now = state->now;

	if (to_ns <= now.from_ns)
		return to_ns;
	if (from_ns < now.from_ns)
		from_ns = now.from_ns;
	if (k->lost_ns > now.from_ns)
		now.holder = 0;
	if (!now.holder && (ended == LOCK_TIMED_OUT || ended == LOCK_SIGNAL))
		keep_pending(k, w->lock, w->serial, from_ns, to_ns);
	else
		account(k, w->lock, w->serial, &now, from_ns, to_ns);
	return from_ns;
}

/* A wait among those that take turns: by the spans of its lock. */
static void split_turn(struct locks *k, const struct waiter *w, uint64_t from_ns, uint64_t to_ns,
		       enum lock_ended ended)
{
	struct lock_state *state = lock_state(k, w->lock);
	uint64_t at_ns = split_now(k, w, from_ns, to_ns, ended);
	struct held unknown = {};

	for (size_t i = state->nr_past; i-- > 0 && at_ns > from_ns;) {
		struct held *h = &state->past[i];
		uint64_t begin_ns = h->from_ns > from_ns ? h->from_ns : from_ns;
		uint64_t end_ns = h->to_ns < at_ns ? h->to_ns : at_ns;

		if (end_ns <= begin_ns)
			continue;
		account(k, w->lock, w->serial, &unknown, end_ns, at_ns);
		account(k, w->lock, w->serial, h, begin_ns, end_ns);
		at_ns = begin_ns;
	}
	account(k, w->lock, w->serial, &unknown, from_ns, at_ns);
}

struct following {
	struct locks *locks;
	struct lock *lock;
	size_t steps;
};

static void follow(void *arg, const struct path_slice *slice)
{
	struct following *f = arg;
	uint32_t serial = slice->thread ? slice->thread->serial : 0;

	f->steps++;
	add(f->locks, &f->lock->cause_ns, (uint64_t)serial << 8 | slice->class, CLASS_UNTRACKED,
	    slice->to_ns - slice->from_ns);
}

/* What was it that took so long: the path of the waker, or else the owner, back to where the wait began. */
static void find_cause(struct locks *k, struct lock *lock, uint32_t root, uint64_t from_ns,
		       uint64_t to_ns)
{
	struct following f = { k, lock, 0 };
	const struct thread *t = locks_thread(k, root);

	if (t)
		path_walk_some(k->history, t, to_ns, from_ns, credit(k), follow, &f);
	else
		add(k, &lock->cause_ns, CLASS_UNTRACKED, CLASS_UNTRACKED, to_ns - from_ns);
	spend(k, f.steps);
}

static void count_gil(struct lock *lock, const struct waiter *w, enum lock_ended ended)
{
	if (lock->kind != LOCK_GIL)
		return;
	lock->gil_mutex_waits += w->gil == GIL_MUTEX;
	lock->gil_handovers += w->gil == GIL_COND && ended == LOCK_WOKEN;
	lock->gil_timeouts += w->gil == GIL_COND && ended == LOCK_TIMED_OUT;
}

static void count_wait(struct locks *k, struct waiter *w, uint64_t ns, enum lock_ended ended)
{
	struct lock *lock = w->lock;

	lock->waits++;
	lock->wait_ns += ns;
	if (ns > lock->longest_ns)
		lock->longest_ns = ns;
	lock->ended[ended]++;
	count_gil(lock, w, ended);
	if (sums_add(&lock->waiter_ns, w->serial, ns) || sums_add(&lock->waiter_nr, w->serial, 1))
		k->failed = -ENOMEM;
}

/* Who had it at the end of the wait, by the word: 0 is nobody known. */
static uint32_t owner_at_end(const struct locks *k, const struct waiter *w, uint64_t to_ns)
{
	const struct held *now = &k->state[w->lock->index]->now;

	return w->turn && now->from_ns < to_ns && k->lost_ns <= now->from_ns &&
			       now->holder != w->serial ?
		       now->holder :
		       0;
}

static void end_wait(struct locks *k, struct waiter *w, const struct thread *t, uint64_t from_ns,
		     uint64_t to_ns)
{
	bool early = woken_before(w, t, from_ns, to_ns);
	bool seen = early || w->wake.time_ns == to_ns;
	enum lock_ended ended = seen ? how_ended(w) : LOCK_ENDED_UNKNOWN;
	uint32_t waker = ended == LOCK_WOKEN ? w->wake.waker : 0;
	struct held by_waker = {
		.from_ns = from_ns, .to_ns = to_ns, .holder = waker, .how = LOCK_WAKER
	};

	if (early && ended == LOCK_WOKEN)
		lock_woken(k, w);
	if (w->gil == GIL_COND) {
		w->gil_of = w->lock;
		w->gil_until_ns = to_ns;
	}
	count_wait(k, w, to_ns - from_ns, ended);
	if (w->turn)
		split_turn(k, w, from_ns, to_ns, ended);
	else
		account(k, w->lock, w->serial, &by_waker, from_ns, to_ns);
	if (!waker)
		waker = owner_at_end(k, w, to_ns);
	find_cause(k, w->lock, waker, from_ns, to_ns);
	if (w->turn && to_ns > from_ns) {
		w->left = w->lock;
		w->left_ns = to_ns;
	}
}

void lock_wait_end(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
		   enum ledger_class class)
{
	struct locks *k = arg;
	struct waiter *w = serial_map_find(&k->waiters, t->serial);

	if (!w || !w->lock)
		return;
	/* otherwise events were lost in it: no account of it, or not of this part */
	if (t->waits_on == w->lock && from_ns >= w->from_ns &&
	    class == lock_kind_class(w->lock->kind))
		end_wait(k, w, t, from_ns, to_ns);
	drop_wait(k, w);
}

void lock_waits_finish(struct locks *k)
{
	for (size_t i = 0; i < k->nr_locks; i++)
		settle_all(k, k->lock[i], 0);
}
