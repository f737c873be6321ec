// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each wait for a lock, to the nanosecond: how it ended, who held the lock, and what the holder did.
 *
 * Each lock keeps the spans that its open waits may need (lock_spans.c), cut at the hand-overs and where a waiter finds another owner; a
 * wait looks back at them when the ledger has closed it, which may be later than its end. A wait that a time limit or signal ended
 * leaves its last part pending until the holder is known.
 *
 * The work for one wait is bounded (see lock_credit()): what is older than that is not known.
 */
#include <errno.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "analysis/path.h"

static bool is_exclusive(const struct lock *lock)
{
	return lock_kind_class(lock->kind) != CLASS_SYNC;
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
	bool late;

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
	/* it was given it, but somebody else was faster, or it has let go since */
	late = state->given_to == w->serial && !state->now.holder;
	if (!owner && state->nr_waiting && state->now.holder != w->serial)
		owner = state->now.holder;
	if (owner != state->now.holder || (late && !state->begun_ns)) {
		lock_found(k, lock, owner);
		late = false;
	} else if (!state->nr_open && owner) {
		state->now.from_ns = k->now_ns;
	}
	state->late |= late;
	if (state->given_to == w->serial && !late)
		state->given_to = 0;
	if (!state->begun_ns)
		state->begun_ns = k->now_ns;
	state->nr_open++;
	state->nr_waiting++;
}

static void hand_over(struct locks *k, struct waiter *w)
{
	struct lock_state *state = lock_state(k, w->lock);

	state->nr_waiting -= w->waiting;
	w->waiting = false;
	lock_given(k, w->lock, w->wake.waker, w->serial);
	/* an rwlock's readers are all woken at once */
	w->lock->convoys += state->nr_waiting && w->lock->kind != LOCK_RWLOCK;
}

void lock_woken(struct locks *k, struct waiter *w)
{
	if (w->wake.why == WHY_SIGNAL || w->wake.why == WHY_TIMEOUT)
		return;
	if (w->gil == GIL_SWITCH)
		lock_gil_taken(k, w->lock, w->serial, w->wake.waker);
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
		lock_keep_pending(k, w->lock, w->serial, from_ns, to_ns);
	else
		lock_account(k, w->lock, w->serial, &now, from_ns, to_ns);
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
		lock_account(k, w->lock, w->serial, &unknown, end_ns, at_ns);
		lock_account(k, w->lock, w->serial, h, begin_ns, end_ns);
		at_ns = begin_ns;
	}
	lock_account(k, w->lock, w->serial, &unknown, from_ns, at_ns);
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
	lock_add_sum(f->locks, &f->lock->cause_ns, (uint64_t)serial << 8 | slice->class,
		     CLASS_UNTRACKED, slice->to_ns - slice->from_ns);
}

/* What was it that took so long: the path of the waker, or else the owner, back to where the wait began. */
static void find_cause(struct locks *k, struct lock *lock, uint32_t root, uint64_t from_ns,
		       uint64_t to_ns)
{
	struct following f = { k, lock, 0 };
	const struct thread *t = locks_thread(k, root);

	if (t)
		path_walk_some(k->history, t, to_ns, from_ns, lock_credit(k), follow, &f);
	else
		lock_add_sum(k, &lock->cause_ns, CLASS_UNTRACKED, CLASS_UNTRACKED, to_ns - from_ns);
	lock_spend(k, f.steps);
}

static void count_wait(struct locks *k, struct waiter *w, uint64_t from_ns, uint64_t to_ns,
		       enum lock_ended ended)
{
	struct lock *lock = w->lock;
	uint64_t ns = to_ns - from_ns;

	lock->waits++;
	lock->wait_ns += ns;
	if (ns > lock->longest_ns)
		lock->longest_ns = ns;
	lock->ended[ended]++;
	lock_gil_count(k, lock, w, to_ns, ended);
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

/*
 * Of a wait that is no turn, the part in which the waker can have been the one to wait for. The GIL's inner mutexes are held for a few
 * instructions, in which nothing is waited for: who has waited since had not got it yet, and who had it before is not known. And in
 * drop_gil() the GIL is free until its taker has a CPU, after his last wait.
 */
static void split_waker(struct locks *k, const struct waiter *w, uint32_t waker, uint64_t from_ns,
			uint64_t to_ns)
{
	struct held before = { .from_ns = from_ns, .free = waker && w->gil == GIL_SWITCH };
	struct held after = { .to_ns = to_ns, .holder = waker, .how = LOCK_WAKER };

	after.from_ns = from_ns;
	if (waker && (w->gil == GIL_MUTEX || w->gil == GIL_SWITCH))
		lock_spend(k, history_awake_since(k->history, waker, from_ns, to_ns, lock_credit(k),
						  &after.from_ns));
	before.to_ns = after.from_ns;
	lock_account(k, w->lock, w->serial, &before, from_ns, before.to_ns);
	lock_account(k, w->lock, w->serial, &after, after.from_ns, to_ns);
}

static void end_wait(struct locks *k, struct waiter *w, const struct thread *t, uint64_t from_ns,
		     uint64_t to_ns)
{
	bool early = woken_before(w, t, from_ns, to_ns);
	bool seen = early || w->wake.time_ns == to_ns;
	enum lock_ended ended = seen ? how_ended(w) : LOCK_ENDED_UNKNOWN;
	uint32_t waker = ended == LOCK_WOKEN ? w->wake.waker : 0;

	if (early && ended == LOCK_WOKEN)
		lock_woken(k, w);
	if (w->gil == GIL_COND) {
		w->gil_of = w->lock;
		w->gil_until_ns = to_ns;
	}
	count_wait(k, w, from_ns, to_ns, ended);
	/* not by the end of the recording, and nobody saw by what: perhaps it was given the lock */
	if (w->turn && ended == LOCK_ENDED_UNKNOWN && k->in_event)
		lock_unseen(k, w->lock, to_ns);
	if (w->turn)
		split_turn(k, w, from_ns, to_ns, ended);
	else
		split_waker(k, w, waker, from_ns, to_ns);
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
		lock_settle(k, k->lock[i]);
}
