// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's machine, the wake-ups.
 *
 * EV_WAKE makes a thread runnable; EV_WAKEUP, later and perhaps from another CPU, says that it is on a run queue now, from
 * where the kernel's run_delay counts. An EV_WAKE of a thread that may still be on its CPU (WK_ON_CPU, or we have not seen its
 * switch-out) is kept as woken_early until the next record of the thread says what it was.
 */
#include "analysis/ledger_impl.h"

/* A number older by one than the last one seen. */
#define BEHIND ((uint16_t)-1)

static void keep_wake(struct thread *t, const struct ev_wake *rec, uint64_t now)
{
	t->woken_early = true;
	t->wake_ns = now;
	t->wake_seq = rec->seq;
}

/* Switches of the thread are missing before this wake-up, or all that was before it is unknown. */
static void wake_after_loss(struct ledger *l, struct thread *t, const struct ev_wake *rec,
			    uint16_t ahead)
{
	interval_lost(l, t, l->now_ns);
	if (ahead != BEHIND)
		thread_set_seq(t, rec->seq, ahead);
	if (EV_FLAGS(rec->w0) & WK_ON_CPU) {
		thread_set_state(l, t, l->now_ns, ST_UNKNOWN, CLASS_UNTRACKED);
		keep_wake(t, rec, l->now_ns);
		return;
	}
	thread_enqueue(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
	t->awaiting_wakeup = true;
}

/* The kernel's books have it on its run queue a little before this record, though not before its wait could end. */
static void booked_before(struct thread *t, const struct ev_wake *rec, uint64_t now,
			  uint64_t since_ns)
{
	uint64_t ns = EV_QUEUED_NS(rec);

	/* then they go by its move in its sleep: counted_from() */
	if (!t->queued_asleep_ns && now >= since_ns)
		t->booked_ns = ns < now - since_ns ? now - ns : since_ns;
}

static void wake_at(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	uint64_t since_ns = t->since_ns;

	interval_close(l, t, l->now_ns, t->class);
	thread_enqueue(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
	booked_before(t, rec, l->now_ns, since_ns);
	t->awaiting_wakeup = true;
}

static void wake_blocked(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	/*
	 * Seen on a CPU, and no switch-out since: either the last one is just being finished, or a wake-up and a switch-in were
	 * lost and this is about the next one.
	 */
	if (EV_FLAGS(rec->w0) & WK_ON_CPU && !t->woken_early) {
		keep_wake(t, rec, l->now_ns);
		return;
	}
	/* Two with one seq: the first one ended this wait, this one ends the next, whose switch-in was lost. */
	if (t->woken_early) {
		interval_close(l, t, t->wake_ns, t->class);
		thread_enqueue(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
		keep_wake(t, rec, l->now_ns);
		return;
	}
	wake_at(l, t, rec);
}

/*
 * Off the run queue, still on its CPU, and its seq was read just before the switch-out counted itself: that switch-out, which we have
 * seen, began the wait that this ends. It cannot be an older one: no wait ends before its waker has gone on.
 */
static bool just_left(const struct thread *t, const struct ev_wake *rec, uint16_t ahead)
{
	return ahead == BEHIND && EV_FLAGS(rec->w0) & WK_ON_CPU && t->state == ST_BLOCKED &&
	       !t->woken_early;
}

/* One switch-out ahead and still on its CPU: that switch-out is being written; or it was, and is lost. */
static bool on_its_way(const struct thread *t, const struct ev_wake *rec, uint16_t ahead)
{
	return ahead == 1 && !t->woken_early &&
	       (t->state == ST_ONCPU || EV_FLAGS(rec->w0) & WK_ON_CPU);
}

/*
 * At the very time at which its interval began: the wake-up that made it begin, merged too late (no WK_ON_CPU: surely), or the
 * one of the next wait.
 */
static void wake_at_once(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	thread_set_state(l, t, l->now_ns, ST_UNKNOWN, CLASS_UNTRACKED);
	keep_wake(t, rec, l->now_ns);
}

void thread_wake(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	uint16_t ahead = thread_ahead(t, rec->seq);

	if (t->state == ST_UNKNOWN)
		wake_after_loss(l, t, rec, ahead);
	else if (on_its_way(t, rec, ahead))
		keep_wake(t, rec, l->now_ns);
	else if (just_left(t, rec, ahead))
		wake_at(l, t, rec);
	else if (ahead)
		wake_after_loss(l, t, rec, ahead);
	else if (t->state == ST_BLOCKED)
		wake_blocked(l, t, rec);
	else if (t->since_ns != l->now_ns)
		keep_wake(t, rec, l->now_ns);
	else if (EV_FLAGS(rec->w0) & WK_ON_CPU)
		wake_at_once(l, t, rec);
}

static void wakeup_queued(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	bool first = t->state == ST_NEW || t->awaiting_wakeup;

	t->woken_early = false;
	if (t->state == ST_NEW)
		thread_enqueue(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
	if (!first)
		return;
	t->awaiting_wakeup = false;
	t->enqueued_ns = l->now_ns;
	booked_before(t, rec, l->now_ns, t->since_ns);
	if (!(EV_FLAGS(rec->w0) & WU_THROTTLED))
		return;
	interval_close(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
	thread_enqueue(l, t, l->now_ns, CLASS_THROTTLED);
}

static enum ledger_class wakeup_class(const struct ev_wake *rec)
{
	return EV_FLAGS(rec->w0) & WU_THROTTLED ? CLASS_THROTTLED : CLASS_RUNQ_WAKEUP;
}

static void wakeup_blocked(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	enum ledger_class class = wakeup_class(rec);

	if (t->woken_early) {
		interval_close(l, t, t->wake_ns, t->class);
		if (class == CLASS_THROTTLED)
			interval_close(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
	} else if (EV_FLAGS(rec->w0) & WU_NO_WAKE) {
		interval_close(l, t, l->now_ns, t->class);
	} else {
		interval_lost(l, t, l->now_ns); /* its EV_WAKE was dropped */
	}
	thread_enqueue(l, t, l->now_ns, class);
}

/* After a loss. Without an EV_WAKE before it, it may be a thread that runs already. */
static void wakeup_after_loss(struct ledger *l, struct thread *t, const struct ev_wake *rec,
			      uint16_t ahead)
{
	unsigned int flags = EV_FLAGS(rec->w0);

	interval_lost(l, t, l->now_ns);
	thread_set_seq(t, rec->seq, ahead);
	if (flags & WU_NO_WAKE && !(flags & WU_NEW))
		thread_set_state(l, t, l->now_ns, ST_UNKNOWN, CLASS_UNTRACKED);
	else
		thread_enqueue(l, t, l->now_ns, wakeup_class(rec));
}

void thread_wakeup(struct ledger *l, struct thread *t, const struct ev_wake *rec)
{
	uint16_t ahead = thread_ahead(t, rec->seq);

	if (ahead || t->state == ST_UNKNOWN)
		wakeup_after_loss(l, t, rec, ahead);
	else if (t->state == ST_BLOCKED)
		wakeup_blocked(l, t, rec);
	else if (t->state == ST_ONCPU)
		t->woken_early = false; /* it was woken before it left its CPU, and stays there */
	else
		wakeup_queued(l, t, rec);
}
