// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each wait for a lock, to the nanosecond: how it ended, who held the lock, and what the holder did.
 *
 *   wait of A  |--- holder H, its owner ---|--- holder B, to whom H gave it ---|
 *                                          ^ H wakes B: a hand-over            ^ B wakes A
 *
 * A wait is cut into segments at the hand-overs that happen in it, and where another waiter finds another owner. A segment without an
 * owner belongs to whoever ends it by giving the lock away. A wait that a time limit ended leaves its last segment pending: the next
 * hand-over shows who had held the lock since the one before, if that is still the same span.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "analysis/path.h"

static void add(struct locks *k, struct sums *s, uint64_t key, uint64_t ns)
{
	if (ns && sums_add(s, key, ns))
		k->failed = -ENOMEM;
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

static void account_doing(const struct locks *k, struct account *a, const struct segment *s)
{
	const struct waiter *holder = serial_map_find(&k->waiters, s->holder);
	uint64_t ns[CLASS_NR];

	history_sum(k->history, s->holder, s->from_ns, s->to_ns, ns);
	for (int c = 0; c < CLASS_NR; c++)
		a->doing_ns[doing_of(c)] += ns[c];
	/* from when it was given the lock to its first run it had no chance to let go of it */
	if (s->holder && holder && holder->got_ns >= s->from_ns && holder->got_ns < s->to_ns) {
		history_sum(k->history, s->holder, holder->got_ns, s->to_ns, ns);
		a->handed_ns += ns[CLASS_RUNQ_WAKEUP];
	}
}

static void account_add(struct locks *k, struct account *a, const struct segment *s)
{
	uint64_t key = (uint64_t)s->holder << 1 | s->how;
	size_t i = a->nr;

	if (s->to_ns <= s->from_ns)
		return;
	account_doing(k, a, s);
	if (!s->holder)
		return;
	while (i && a->held[i - 1].key != key)
		i--;
	if (!i && vec_room(&a->held, &a->cap, a->nr + 1)) {
		k->failed = -ENOMEM;
		return;
	}
	if (!i) {
		a->held[a->nr++] = (struct sum){ key, 0 };
		i = a->nr;
	}
	a->held[i - 1].ns += s->to_ns - s->from_ns;
}

/* To the lock, and it is empty again. */
static void account_settle(struct locks *k, struct account *a, struct lock *lock)
{
	for (size_t i = 0; i < a->nr; i++)
		add(k, &lock->holder_ns, a->held[i].key, a->held[i].ns);
	for (int d = 0; d < LOCK_DOING_NR; d++)
		lock->doing_ns[d] += a->doing_ns[d];
	lock->handed_ns += a->handed_ns;
	*a = (struct account){ .held = a->held, .cap = a->cap };
}

/* Who has shown by giving the lock away that it had it, where no owner is known. */
static void held_by_giver(struct segment *s, const struct waiter *w, uint32_t giver)
{
	if (s->holder || giver == w->serial)
		return;
	s->holder = giver;
	s->how = LOCK_WAKER;
}

/* Closes the open segment, and opens the next. */
static void cut(struct locks *k, struct waiter *w, uint64_t ns, uint32_t giver)
{
	if (ns <= w->open.from_ns)
		return;
	held_by_giver(&w->open, w, giver);
	w->open.to_ns = ns;
	account_add(k, &w->account, &w->open);
	w->open = (struct segment){ .from_ns = ns };
}

/* ---- the waiters of a lock ---- */

static void link_waiter(struct lock_state *state, struct waiter *w)
{
	w->next = state->waiting;
	w->pprev = &state->waiting;
	if (w->next)
		w->next->pprev = &w->next;
	state->waiting = w;
	state->nr_waiting++;
}

static void unlink_waiter(struct lock_state *state, struct waiter *w)
{
	*w->pprev = w->next;
	if (w->next)
		w->next->pprev = w->pprev;
	w->pprev = NULL;
	state->nr_waiting--;
}

/* All that wait learn who has it from now on: an owner that one of them found, or nobody known (0). */
static void new_holder(struct locks *k, struct lock_state *state, const struct waiter *except,
		       uint64_t ns, uint32_t giver, uint32_t owner)
{
	for (struct waiter *w = state->waiting; w; w = w->next) {
		if (w == except)
			continue;
		cut(k, w, ns, giver);
		w->open.holder = owner == w->serial ? 0 : owner;
		w->open.how = LOCK_OWNER;
	}
}

static void drop_wait(struct locks *k, struct waiter *w)
{
	if (w->lock && w->pprev)
		unlink_waiter(lock_state(k, w->lock), w);
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
	w->account = (struct account){ .held = w->account.held, .cap = w->account.cap };
	w->open = (struct segment){ .from_ns = k->now_ns, .holder = owner, .how = LOCK_OWNER };
	/* Who is the owner now, and gave it away or was given it last: it has had it since, or was on its way to it. */
	if (owner && state->waiting && state->waiting->open.holder != owner)
		new_holder(k, state, NULL, k->now_ns,
			   owner == state->given_to || owner == state->giver ? owner : 0, owner);
	link_waiter(state, w);
}

/* ---- hand-overs ---- */

static void settle(struct locks *k, const struct pending *p, uint32_t holder)
{
	struct segment s = { .from_ns = p->from_ns, .to_ns = p->to_ns, .how = LOCK_WAKER };
	struct account a = {};

	if (holder != p->waiter)
		s.holder = holder;
	account_add(k, &a, &s);
	account_settle(k, &a, p->lock);
	free(a.held);
}

static void settle_all(struct locks *k, struct lock_state *state, uint32_t giver)
{
	for (unsigned int i = 0; i < state->nr_pending; i++) {
		const struct pending *p = &state->pending[i];

		settle(k, p, p->from_ns >= state->handed_at_ns ? giver : 0);
	}
	state->nr_pending = 0;
}

static void keep_pending(struct locks *k, struct lock *lock, const struct waiter *w,
			 const struct segment *s)
{
	struct lock_state *state = lock_state(k, lock);
	struct pending p = { lock, w->serial, s->from_ns, s->to_ns };

	if (state->nr_pending == MAX_PENDING)
		settle(k, &p, 0);
	else
		state->pending[state->nr_pending++] = p;
}

/* This thread has just let go of the lock: it had it since the last hand-over. */
static void given(struct locks *k, struct lock_state *state, uint32_t giver)
{
	settle_all(k, state, giver);
	state->handed_at_ns = k->now_ns;
	state->giver = giver;
	state->given_to = 0;
	state->taker = 0;
}

/*
 * CPython's take_gil() may find the lock free when its time limit has run out, without having been woken. Two things show who had it
 * nevertheless. drop_gil() waits, without a limit, until another thread has taken the lock over: who begins that wait has just
 * let go, and who ends it has taken it. And who has taken it, and waits for it again, has let go in between.
 */
void lock_gil_dropped(struct locks *k, struct lock *lock, const struct waiter *w)
{
	struct lock_state *state = lock_state(k, lock);

	if (state->giver != w->serial)
		lock->gil_handovers++;
	given(k, state, w->serial);
	new_holder(k, state, w, k->now_ns, w->serial, 0);
}

/* A recorded thread has just woken w, which waits for a lock. */
void lock_woken(struct locks *k, struct waiter *w)
{
	struct lock_state *state = lock_state(k, w->lock);

	if (!is_exclusive(w->lock) || w->wake.why == WHY_SIGNAL || w->wake.why == WHY_TIMEOUT)
		return;
	/* the GIL's inner mutex, and the wait for the one who takes it over, are no hand-overs of it */
	if (w->gil == GIL_SWITCH)
		state->taker = w->wake.waker;
	if (w->lock->kind == LOCK_GIL && w->gil != GIL_COND)
		return;
	given(k, state, w->wake.waker);
	state->given_to = w->serial;
	w->got_ns = k->now_ns;
	if (state->nr_waiting > 1) {
		w->lock->convoys++;
		new_holder(k, state, w, k->now_ns, w->wake.waker, 0);
	}
}

/* ---- the end of a wait ---- */

static enum lock_ended how_ended(const struct waiter *w, uint64_t to_ns)
{
	if (w->wake.time_ns != to_ns)
		return LOCK_ENDED_UNKNOWN;
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

struct following {
	struct locks *locks;
	struct lock *lock;
};

static void follow(void *arg, const struct path_slice *slice)
{
	struct following *f = arg;
	uint32_t serial = slice->thread ? slice->thread->serial : 0;

	add(f->locks, &f->lock->cause_ns, (uint64_t)serial << 8 | slice->class,
	    slice->to_ns - slice->from_ns);
}

/* What was it that took so long: the path of the waker, back to where the wait began. */
static void find_cause(struct locks *k, struct lock *lock, uint32_t waker, uint64_t from_ns,
		       uint64_t to_ns)
{
	struct following f = { k, lock };
	const struct thread *t = locks_thread(k, waker);

	if (t)
		path_walk(k->history, t, to_ns, from_ns, follow, &f);
	else
		add(k, &lock->cause_ns, CLASS_UNTRACKED, to_ns - from_ns);
}

static void count_gil(struct lock *lock, const struct waiter *w, enum lock_ended ended)
{
	if (lock->kind != LOCK_GIL)
		return;
	lock->gil_mutex_waits += w->gil == GIL_MUTEX;
	lock->gil_handovers += w->gil == GIL_COND && ended == LOCK_WOKEN;
	lock->gil_timeouts += w->gil == GIL_COND && ended == LOCK_TIMED_OUT;
}

static void close_segments(struct locks *k, struct waiter *w, uint64_t to_ns, enum lock_ended ended,
			   uint32_t waker)
{
	/* Its end was recovered from the kernel's books, and lies before what was taken to be within it. */
	if (to_ns < w->open.from_ns) {
		w->account = (struct account){ .held = w->account.held, .cap = w->account.cap };
		w->open = (struct segment){ .from_ns = w->from_ns };
		waker = 0;
	}
	w->open.to_ns = to_ns;
	account_settle(k, &w->account, w->lock);
	if (ended == LOCK_TIMED_OUT && is_exclusive(w->lock) && !w->open.holder) {
		keep_pending(k, w->lock, w, &w->open);
		return;
	}
	held_by_giver(&w->open, w, waker);
	account_add(k, &w->account, &w->open);
	account_settle(k, &w->account, w->lock);
}

void lock_wait_end(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
		   enum ledger_class class)
{
	struct locks *k = arg;
	struct waiter *w = serial_map_find(&k->waiters, t->serial);
	uint64_t ns = to_ns - from_ns;
	enum lock_ended ended;
	struct lock *lock;
	uint32_t waker;

	if (!w || !w->lock || t->waits_on != w->lock || from_ns < w->from_ns)
		return;
	lock = w->lock;
	if (class != lock_kind_class(lock->kind)) {
		/* events were lost in it: no account of it, or not of this part */
		if (class == CLASS_UNTRACKED)
			drop_wait(k, w);
		return;
	}
	ended = how_ended(w, to_ns);
	waker = w->wake.time_ns == to_ns && ended == LOCK_WOKEN ? w->wake.waker : 0;
	lock->waits++;
	lock->wait_ns += ns;
	if (ns > lock->longest_ns)
		lock->longest_ns = ns;
	lock->ended[ended]++;
	count_gil(lock, w, ended);
	if (sums_add(&lock->waiter_ns, t->serial, ns) || sums_add(&lock->waiter_nr, t->serial, 1))
		k->failed = -ENOMEM;
	close_segments(k, w, to_ns, ended, waker);
	find_cause(k, lock, waker, from_ns, to_ns);
	drop_wait(k, w);
}

void lock_waits_finish(struct locks *k)
{
	for (size_t i = 0; i < k->nr_locks; i++)
		settle_all(k, k->state[i], 0);
}
