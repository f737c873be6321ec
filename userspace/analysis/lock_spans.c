// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who held a lock: its spans, each of one holder.
 *
 *   lock          | held by H, its owner | held by B, to whom H gave it | now ...
 *                                        ^ H wakes B: a hand-over       ^ B wakes A
 *   wait of A          |----------- H -------------|----------- B ------------|
 *
 * A span ends with a hand-over, or where a waiter finds another owner than the one that was known. What it ends with tells who held the
 * lock in it, back to where that is certain; a span is divided there, and what is before that is nobody's. What is certain:
 *
 *   given      Who was given the lock (woken by the one who let go of it) counts as its holder from then on, until it has a CPU for the first
 *              time: before that it cannot have given it away, and those who wait have to wait for it. If it gives the lock away itself, or
 *              is found as its owner, before it has waited anew, it has had it all the time.
 *   off a CPU  A lock is taken by a thread that runs. Who is the owner, and has been off the CPUs since x, has had it since x; and an
 *              owner that has not been on a CPU since it was found as the owner has it still.
 *   in a wait  Somebody began to wait, so it was taken, and was marked as one that is waited for: from then on whoever lets go of it has to
 *              wake somebody, who takes the mark over. So it has not changed hands until the next hand-over that is seen.
 *   its wait   Who waited for the lock, and gives it away after that, got it after its wait.
 */
#include <errno.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "base/vec.h"

/* To where there is room: else to `otherwise`, 0 being nowhere. */
void lock_add_sum(struct locks *k, struct sums *s, uint64_t key, uint64_t otherwise, uint64_t ns)
{
	size_t nr = s->nr;

	if (k->nr_sums >= SUMS_MAX && !keymap_get(&s->index, key))
		key = otherwise;
	if (ns && key && sums_add(s, key, ns))
		k->failed = -ENOMEM;
	k->nr_sums += s->nr - nr;
}

/* How many intervals may be looked at for one wait: each event of the trace allows for some more. */
size_t lock_credit(const struct locks *k)
{
	return STEPS_MIN + k->credit;
}

void lock_spend(struct locks *k, size_t steps)
{
	size_t more = steps > STEPS_MIN ? steps - STEPS_MIN : 0;

	k->credit -= more < k->credit ? more : k->credit;
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

	lock_spend(k, history_sum(k->history, h->holder, h->from_ns, h->to_ns, lock_credit(k), ns));
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
void lock_account(struct locks *k, struct lock *lock, uint32_t waiter, struct held *span,
		  uint64_t from_ns, uint64_t to_ns)
{
	struct held part = { .from_ns = from_ns, .to_ns = to_ns };
	bool whole = span->from_ns == from_ns && span->to_ns == to_ns;
	struct held *h = whole ? span : &part;

	if (to_ns <= from_ns)
		return;
	if (k->on_part)
		k->on_part(k->on_part_arg, lock, waiter, span->holder == waiter ? 0 : span->holder,
			   from_ns, to_ns);
	if (!span->holder || span->holder == waiter) {
		lock->doing_ns[span->free ? LOCK_FREE : LOCK_DOING_UNKNOWN] += to_ns - from_ns;
		return;
	}
	part.holder = span->holder;
	if (!h->summed)
		sum_doing(k, h);
	for (int d = 0; d < LOCK_DOING_NR; d++)
		lock->doing_ns[d] += h->doing_ns[d];
	lock->handed_ns += queued_ns(k, span, from_ns, to_ns);
	lock_add_sum(k, &lock->holder_ns, (uint64_t)span->holder << 1 | span->how, 0,
		     to_ns - from_ns);
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

/* The part of a wait that has ended without a holder in sight, as far as to_ns: now it is known whose it was. */
static void settle(struct locks *k, struct lock *lock, const struct pending *p, uint64_t to_ns,
		   struct held *part, size_t nr)
{
	struct held nobody = { .from_ns = p->from_ns };

	for (size_t i = 0; i < nr; i++) {
		uint64_t begin_ns = part[i].from_ns > nobody.from_ns ? part[i].from_ns :
								       nobody.from_ns;
		uint64_t end_ns = part[i].to_ns < to_ns ? part[i].to_ns : to_ns;

		if (end_ns <= begin_ns)
			continue;
		lock_account(k, lock, p->waiter, &nobody, nobody.from_ns, begin_ns);
		lock_account(k, lock, p->waiter, &part[i], begin_ns, end_ns);
		nobody.from_ns = end_ns;
	}
	lock_account(k, lock, p->waiter, &nobody, nobody.from_ns, to_ns);
}

/* What is later than the span's end stays. */
static void settle_all(struct locks *k, struct lock *lock, struct held *part, size_t nr)
{
	struct lock_state *state = lock_state(k, lock);
	size_t stay = 0;

	for (size_t i = 0; i < state->nr_pending; i++) {
		struct pending p = state->pending[i];
		uint64_t to_ns = p.to_ns < k->now_ns ? p.to_ns : k->now_ns;

		if (to_ns > p.from_ns) {
			settle(k, lock, &p, to_ns, part, nr);
			p.from_ns = to_ns;
		}
		if (p.to_ns > p.from_ns)
			state->pending[stay++] = p;
	}
	state->nr_pending = stay;
}

void lock_settle(struct locks *k, struct lock *lock)
{
	struct lock_state *state = lock_state(k, lock);

	for (size_t i = 0; i < state->nr_pending; i++)
		settle(k, lock, &state->pending[i], state->pending[i].to_ns, NULL, 0);
	state->nr_pending = 0;
}

void lock_keep_pending(struct locks *k, struct lock *lock, uint32_t waiter, uint64_t from_ns,
		       uint64_t to_ns)
{
	struct lock_state *state = lock_state(k, lock);
	struct pending p = { waiter, from_ns, to_ns };

	if (state->nr_pending == MAX_PENDING)
		settle(k, lock, &p, to_ns, NULL, 0);
	else if (vec_room(&state->pending, &state->cap_pending, state->nr_pending + 1))
		k->failed = -ENOMEM;
	else
		state->pending[state->nr_pending++] = p;
}

void lock_end_span(struct locks *k, struct lock *lock, struct held *part, size_t nr, uint32_t owner)
{
	struct lock_state *state = lock_state(k, lock);

	for (size_t i = 0; i < nr; i++)
		keep_span(k, state, &part[i]);
	settle_all(k, lock, part, nr);
	state->now = (struct held){ .from_ns = k->now_ns, .holder = owner, .how = LOCK_OWNER };
	state->begun_ns = 0;
	state->late = false;
}

/* ---- who held it ---- */

/* The open span began when the lock was let go of, and nothing was lost since. */
static bool since_hand_over(const struct locks *k, const struct lock_state *state)
{
	return state->now.from_ns == state->handed_at_ns && state->handed_at_ns &&
	       k->lost_ns <= state->handed_at_ns;
}

/* In the open span it is the thread that was given the lock, and has not waited anew. */
static bool has_been_given(const struct locks *k, const struct lock_state *state, uint32_t serial)
{
	return serial && serial == state->given_to && !state->late && !state->now.holder &&
	       since_hand_over(k, state);
}

/*
 * The open span, when the lock turns out to be `last`'s, who had it from since_ns on for sure (`last` 0: nobody's). What is before that is
 * of the owner who was known, or of whom it had been given, for as long as they cannot have let go of it.
 */
static void divide(struct locks *k, struct lock *lock, const struct held *last, uint64_t since_ns,
		   uint32_t owner)
{
	struct lock_state *state = lock_state(k, lock);
	struct held part[2] = { state->now, *last };

	if (since_ns < state->now.from_ns)
		since_ns = state->now.from_ns;
	if (since_ns > k->now_ns || !last->holder)
		since_ns = k->now_ns;
	if (k->lost_ns > part[0].from_ns)
		part[0].holder = 0;
	part[0].to_ns = part[0].from_ns;
	if (part[0].holder) {
		lock_spend(k, history_first_run(k->history, part[0].holder, part[0].from_ns,
						k->now_ns, lock_credit(k), &part[0].to_ns));
	} else if (state->given_to && since_hand_over(k, state)) {
		part[0].holder = state->given_to;
		part[0].how = LOCK_WAKER;
		part[0].given = true;
		part[0].to_ns =
			history_queued(k->history, state->given_to, part[0].from_ns, k->now_ns);
	}
	if (part[0].to_ns > since_ns)
		part[0].to_ns = since_ns;
	part[1].from_ns = since_ns;
	part[1].to_ns = k->now_ns;
	lock_end_span(k, lock, part, 2, owner);
}

/* As divide(), but one holder had it all the time. */
static void whole(struct locks *k, struct lock *lock, struct held *h, uint32_t owner)
{
	h->to_ns = k->now_ns;
	lock_end_span(k, lock, h, 1, owner);
}

uint64_t lock_had_since(struct locks *k, const struct lock *lock, uint32_t giver)
{
	const struct lock_state *state = lock_state(k, lock);
	const struct waiter *g = serial_map_find(&k->waiters, giver);
	uint64_t since_ns = k->now_ns;

	if (g && g->lock == lock && g->turn && g->waiting)
		return since_ns; /* it seems to wait itself: something is missing */
	if (has_been_given(k, state, giver))
		return state->now.from_ns;
	if (g && g->left == lock && g->left_ns > state->now.from_ns)
		lock_spend(k, history_first_run(k->history, giver, g->left_ns, k->now_ns,
						lock_credit(k), &since_ns));
	else if (!state->now.holder && state->begun_ns)
		since_ns = state->begun_ns;
	return k->lost_ns > since_ns ? k->lost_ns : since_ns;
}

void lock_given(struct locks *k, struct lock *lock, uint32_t giver, uint32_t to)
{
	struct lock_state *state = lock_state(k, lock);
	struct held h = state->now;
	bool lost = k->lost_ns > h.from_ns;

	/* who is not recorded may have had it, or have told the owner's waiters only */
	if (h.holder == giver || (h.holder && !giver && !lost)) {
		whole(k, lock, &h, 0);
	} else if (has_been_given(k, state, giver)) {
		h.holder = giver;
		h.how = LOCK_WAKER;
		h.given = true;
		whole(k, lock, &h, 0);
	} else {
		h = (struct held){ .holder = giver, .how = LOCK_WAKER };
		divide(k, lock, &h, giver ? lock_had_since(k, lock, giver) : k->now_ns, 0);
	}
	state->handed_at_ns = k->now_ns;
	state->giver = giver;
	state->given_to = to;
	state->taker = 0;
}

void lock_found(struct locks *k, struct lock *lock, uint32_t owner)
{
	struct lock_state *state = lock_state(k, lock);
	struct held h = { .from_ns = state->now.from_ns, .holder = owner };
	uint64_t since_ns = k->now_ns;

	if (has_been_given(k, state, owner)) {
		h.how = LOCK_WAKER;
		h.given = true;
		whole(k, lock, &h, owner);
		return;
	}
	h.how = LOCK_OWNER;
	if (owner)
		lock_spend(k, history_off_since(k->history, owner, h.from_ns, k->now_ns,
						lock_credit(k), &since_ns));
	if (owner && !state->now.holder && state->begun_ns && state->begun_ns < since_ns)
		since_ns = state->begun_ns;
	divide(k, lock, &h, k->lost_ns > since_ns ? k->lost_ns : since_ns, owner);
}

void lock_unseen(struct locks *k, struct lock *lock, uint64_t at_ns)
{
	struct lock_state *state = lock_state(k, lock);
	struct held h = state->now;
	uint64_t now_ns = k->now_ns;

	/* as of then: until then nobody else has let go of it */
	if (at_ns > h.from_ns && at_ns < now_ns)
		k->now_ns = at_ns;
	if (state->taker && has_been_given(k, state, state->taker)) {
		h.holder = state->taker;
		h.how = LOCK_WAKER;
	}
	if (h.holder && k->lost_ns <= h.from_ns)
		whole(k, lock, &h, 0);
	else
		lock_found(k, lock, 0);
	state->given_to = 0;
	state->taker = 0;
	k->now_ns = now_ns;
}
