// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPython's lock. take_gil() waits on a condition variable with the switch interval as limit, and may find the lock free when that has run
 * out, without having been woken; so hand-overs are not all wake-ups. Two things show who had it nevertheless:
 *
 *   drop_gil()   on demand it waits, without a limit, until another thread has taken the lock over: who begins that wait has just let go,
 *                who ends it has taken it, and in between it was free. And who has taken it, and waits for it again, has let go in between.
 *   take_gil()   comes back with the lock or waits again at once.
 */
#include "analysis/locks_impl.h"

/* A thread that has run for less than this has not had the lock: it found it taken, and waits again. */
#define GIL_RUN_NS 100000

/* Between the two moments, the latter being in or at the end of a wait for the lock, `other` did nothing but wait for it. */
static bool only_waited(const struct locks *k, const struct waiter *other, uint64_t since_ns,
			uint64_t until_ns, size_t max, size_t *steps)
{
	uint64_t ns[CLASS_NR], elsewhere = 0;

	*steps += history_sum(k->history, other->serial, since_ns, until_ns, max, ns);
	for (int c = CLASS_LOCK; c < CLASS_NR; c++)
		elsewhere += c == CLASS_GIL ? 0 : ns[c];
	return !elsewhere && ns[CLASS_ONCPU] < GIL_RUN_NS;
}

/* From when on `other` may have taken the lock: not before its last wait for it was over, or not yet. */
static uint64_t may_take_from(const struct locks *k, const struct lock *lock,
			      const struct waiter *other, uint64_t since_ns, size_t max,
			      size_t *steps)
{
	uint64_t until_ns = since_ns;

	if (other && other->lock == lock)
		until_ns = k->now_ns;
	else if (other && !other->lock && other->gil_of == lock && other->gil_until_ns > since_ns)
		until_ns = other->gil_until_ns;
	if (until_ns > since_ns && only_waited(k, other, since_ns, until_ns, max, steps))
		return until_ns;
	return since_ns;
}

/*
 * When, since since_ns, did another thread of the process first run, which may have taken the lock; now_ns: none did. It is ret_taker that
 * has, when the limit of its wait in take_gil() had run out and it has not waited anew (else 0).
 */
static uint64_t until_others_ran(struct locks *k, const struct lock *lock, const struct waiter *w,
				 uint64_t since_ns, uint32_t *ret_taker)
{
	const struct thread *self = ledger_find(k->ledger, w->serial);
	uint64_t first_ns = k->now_ns, from_ns, ran_ns;
	size_t nr = ledger_nr_threads(k->ledger), max = lock_credit(k), steps = nr;

	*ret_taker = 0;
	if (!self)
		return since_ns;
	for (size_t i = 0; i < nr && steps < max && first_ns > since_ns; i++) {
		const struct thread *t = ledger_thread(k->ledger, i);
		const struct waiter *other = serial_map_find(&k->waiters, t->serial);

		if (t == self || t->tgid != self->tgid || (t->ended && t->end_ns <= since_ns))
			continue;
		from_ns = may_take_from(k, lock, other, since_ns, max - steps, &steps);
		if (from_ns >= first_ns || steps >= max)
			continue;
		steps += 1 + history_first_run(k->history, t->serial, from_ns, k->now_ns,
					       max - steps, &ran_ns);
		if (ran_ns >= first_ns || steps >= max)
			continue;
		first_ns = ran_ns;
		*ret_taker = other && !other->lock && other->gil_of == lock &&
					     other->gil_until_ns > since_ns ?
				     t->serial :
				     0;
	}
	lock_spend(k, steps);
	return steps < max ? first_ns : since_ns; /* it would take too long to know */
}

/* In a window of its own: the rest of a worker's life is not what it is measured by. */
static bool at_work(const struct locks *k, uint32_t serial, uint64_t at_ns)
{
	const struct thread *t = ledger_find(k->ledger, serial);

	for (const struct ledger_window *w = t ? t->windows : NULL; w; w = w->next)
		if (at_ns >= w->begin_ns && at_ns < w->end_ns)
			return true;
	return false;
}

/* It has let go, and no wake-up has told it. */
static void count_dropped(const struct locks *k, struct lock *lock, const struct waiter *w)
{
	if (k->state[lock->index]->giver == w->serial)
		return;
	lock->gil_handovers++;
	lock->gil_work_handovers += at_work(k, w->serial, k->now_ns);
}

void lock_gil_dropped(struct locks *k, struct lock *lock, const struct waiter *w)
{
	count_dropped(k, lock, w);
	lock_given(k, lock, w->serial, 0);
}

void lock_gil_let_go(struct locks *k, struct lock *lock, const struct waiter *w)
{
	uint64_t now_ns = k->now_ns;
	uint32_t taker;

	count_dropped(k, lock, w);
	/* as of then */
	k->now_ns = until_others_ran(k, lock, w, lock_had_since(k, lock, w->serial), &taker);
	lock_given(k, lock, w->serial, taker);
	k->now_ns = now_ns;
}

/*
 * So a thread that has run for a while since its last wait in take_gil(), without waiting for anything else and without a hand-over since
 * but to itself, has had the lock, and has let go as it begins to wait anew.
 */
bool lock_had_gil(struct locks *k, const struct lock *lock, const struct waiter *w)
{
	const struct lock_state *state = lock_state(k, lock);
	bool to_it = state->given_to == w->serial && !state->late;
	uint64_t ns[CLASS_NR], elsewhere = 0;

	if (w->gil_of != lock || !w->gil_until_ns ||
	    (state->handed_at_ns > w->gil_until_ns && !to_it))
		return false;
	lock_spend(k, history_sum(k->history, w->serial, w->gil_until_ns, k->now_ns, lock_credit(k),
				  ns));
	for (int c = CLASS_LOCK; c < CLASS_NR; c++)
		elsewhere += c == CLASS_GIL ? 0 : ns[c];
	return !elsewhere && ns[CLASS_ONCPU] >= GIL_RUN_NS;
}

/*
 * `taker` has the lock, and `from` dropped it. It is the first one to take it since: drop_gil()'s wait is ended by the first who does. So
 * the lock was free at least until the taker had a CPU (if nobody had been woken for it); from then on it is as if it had been given to
 * the taker there.
 */
void lock_gil_taken(struct locks *k, struct lock *lock, uint32_t from, uint32_t taker)
{
	struct lock_state *state = lock_state(k, lock);
	struct held h = state->now;

	state->taker = taker;
	if (h.holder || state->giver != from || !taker ||
	    (state->given_to == taker && !state->late) || h.from_ns != state->handed_at_ns ||
	    k->lost_ns > h.from_ns)
		return;
	if (state->given_to) {
		lock_found(k, lock, 0);
	} else {
		lock_spend(k, history_first_run(k->history, taker, h.from_ns, k->now_ns,
						lock_credit(k), &h.to_ns));
		h.free = true;
		lock_end_span(k, lock, &h, 1, 0);
		if (h.to_ns > h.from_ns)
			state->now.from_ns = h.to_ns;
	}
	state->handed_at_ns = state->now.from_ns;
	state->given_to = taker;
}

void lock_gil_count(const struct locks *k, struct lock *lock, const struct waiter *w,
		    uint64_t to_ns, enum lock_ended ended)
{
	bool given = w->gil == GIL_COND && ended == LOCK_WOKEN;
	bool limit = w->gil == GIL_COND && ended == LOCK_TIMED_OUT;

	if (lock->kind != LOCK_GIL)
		return;
	lock->gil_mutex_waits += w->gil == GIL_MUTEX;
	lock->gil_handovers += given;
	lock->gil_timeouts += limit;
	if ((given || limit) && at_work(k, w->serial, to_ns)) {
		lock->gil_work_handovers += given;
		lock->gil_work_timeouts += limit;
	}
}
