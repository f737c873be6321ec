// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's machine: what the interval was that a switch ends.
 *
 *   switch-out of a thread     on a CPU: ONCPU; else its switch-in is missing: told by EV_MISSED, or lost
 *   switch-in of a thread      on a run queue: its class; blocked: a wake-up is missing: kept as woken_early, told by
 *                              EV_MISSED, or lost; on a CPU: a switch-out is missing
 *
 * EV_MISSED recovers an interval exactly when it holds one switch-in only:
 *
 *   since               arrival - queue          arrival                now
 *     |-- class, blocked --|------ runq_wakeup ------|------ oncpu ------|
 */
#include "analysis/ledger_impl.h"

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* `back` ns before `to`, not before `from`. */
static uint64_t before(uint64_t to, uint64_t back, uint64_t from)
{
	return to > from && back < to - from ? to - back : from;
}

/*
 * The EV_MISSED that stood in front of this switch on its CPU, its times counted back from the switch (a virtual CPU may be
 * taken away between the two). None when another switch or a loss came between.
 */
static struct missed take_missed(const struct ledger *l, struct thread *t, unsigned int cpu,
				 unsigned int flag)
{
	struct missed m = t->missed;
	uint64_t since = l->now_ns - m.time_ns;

	t->missed.flags = 0;
	if (!(m.flags & flag) || m.cpu != cpu || m.mark != cpu_mark(l, cpu))
		m.flags = 0;
	m.arrival_ns += since;
	if (flag == MI_WAKEUP)
		m.queue_ns += since;
	return m;
}

/* Since when run_delay counts a wait that ends at to_ns. */
static uint64_t counted_from(struct thread *t, uint64_t to_ns)
{
	uint64_t from_ns = later(t->booked_ns ? t->booked_ns : t->enqueued_ns, t->audit_from_ns),
		 asleep = t->queued_asleep_ns;
	bool uncounted = t->uncounted;

	t->booked_ns = 0;
	t->queued_asleep_ns = 0;
	t->uncounted = false;
	if (uncounted)
		return asleep ? later(asleep, t->audit_from_ns) : to_ns;
	if (!asleep || later(asleep, t->audit_from_ns) >= from_ns)
		return from_ns;
	asleep = later(asleep, t->audit_from_ns);
	t->audit.asleep_ns += from_ns - asleep;
	return asleep;
}

/* Closes a wait on the run queue that ended with a switch-in at to_ns. */
static void close_runq(struct ledger *l, struct thread *t, uint64_t to_ns, enum ledger_class class)
{
	uint64_t from_ns = counted_from(t, to_ns);

	interval_close(l, t, to_ns, class);
	/* A quota's wait is no latency of the run queue. */
	if (class != CLASS_THROTTLED && to_ns >= t->enqueued_ns)
		latency_add(&l->latency[class == CLASS_RUNQ_WAKEUP], to_ns - t->enqueued_ns);
	if (to_ns > from_ns)
		t->runq_pending_ns += to_ns - from_ns;
}

/* Closes a wait that ended at wake_ns, and the run-queue time after it. */
static void close_blocked(struct ledger *l, struct thread *t, uint64_t wake_ns, uint64_t to_ns)
{
	interval_close(l, t, wake_ns, t->class);
	t->enqueued_ns = t->since_ns;
	close_runq(l, t, to_ns, CLASS_RUNQ_WAKEUP);
}

static void close_oncpu(struct ledger *l, struct thread *t, uint64_t to_ns)
{
	uint64_t from_ns = later(t->since_ns, t->audit_from_ns);

	interval_close(l, t, to_ns, CLASS_ONCPU);
	if (to_ns > from_ns)
		t->audit.oncpu_ns += to_ns - from_ns;
}

/* Up to its missed switch-in at arrival_ns, when that was the only one since our last record. */
static void close_to_arrival(struct ledger *l, struct thread *t, uint64_t arrival_ns,
			     uint64_t queue_ns)
{
	if (t->state != ST_BLOCKED) {
		close_runq(l, t, arrival_ns, t->class);
	} else if (t->woken_early && t->wake_ns < arrival_ns) {
		close_blocked(l, t, t->wake_ns, arrival_ns);
	} else {
		t->audit.missed_wakeups++;
		close_blocked(l, t, before(arrival_ns, queue_ns, t->since_ns), arrival_ns);
	}
}

/* A switch-out without the switch-in before it, which the kernel's books tell. */
static void close_missed_in(struct ledger *l, struct thread *t, uint64_t now, uint16_t ahead,
			    const struct missed *m)
{
	uint64_t arrival_ns = before(now, m->arrival_ns, t->since_ns);

	t->audit.missed_switch_ins++;
	t->audit.switch_ins++;
	if (!m->arrivals || (m->arrivals > 1 && !m->arrival_ns)) {
		interval_untracked(l, t, now);
		return;
	}
	if (m->arrivals > 1 || t->state == ST_UNKNOWN)
		interval_untracked(l, t, arrival_ns);
	else if (ahead == 1)
		close_to_arrival(l, t, arrival_ns, m->queue_ns);
	else
		interval_lost(l, t, arrival_ns);
	/* So it was on its CPU, and an older wake-up is the one that brought it there; one at the same time may be. */
	if (t->wake_ns < arrival_ns)
		t->woken_early = false;
	if (t->wake_ns != arrival_ns)
		t->state = ST_ONCPU;
	close_oncpu(l, t, now);
}

void thread_close_out(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead)
{
	struct missed m = take_missed(l, t, cpu, MI_SWITCH_IN);
	uint64_t now = l->now_ns;

	if (t->state == ST_ONCPU && ahead == 1)
		close_oncpu(l, t, now);
	else if (m.flags && t->state != ST_ONCPU)
		close_missed_in(l, t, now, ahead, &m);
	else
		interval_lost(l, t, now);
}

/* A switch-in of a thread not known to be woken; the kernel's books tell when it was queued. */
static void close_missed_wakeup(struct ledger *l, struct thread *t, uint64_t now, uint16_t ahead,
				const struct missed *m)
{
	uint64_t queued_ns = before(now, m->queue_ns, t->since_ns);

	t->audit.missed_wakeups++;
	if (ahead == 0 && t->state == ST_BLOCKED) {
		close_blocked(l, t, queued_ns, now);
		return;
	}
	if (t->state == ST_UNKNOWN)
		interval_untracked(l, t, queued_ns);
	else
		interval_lost(l, t, queued_ns);
	t->enqueued_ns = queued_ns;
	close_runq(l, t, now, CLASS_RUNQ_WAKEUP);
}

/* It gets a CPU, and has not left the one it had: that switch-out no probe saw. */
static void close_missed_out(struct ledger *l, struct thread *t, uint64_t now)
{
	t->audit.missed_switch_outs++;
	interval_untracked(l, t, now);
}

void thread_close_in(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead)
{
	struct missed m = take_missed(l, t, cpu, MI_WAKEUP);
	uint64_t now = l->now_ns;
	bool queued = t->state == ST_RUNQ || t->state == ST_NEW;

	if (queued && ahead == 0 && !t->woken_early)
		close_runq(l, t, now, t->class);
	else if (m.flags && t->state != ST_ONCPU && !queued)
		close_missed_wakeup(l, t, now, ahead, &m);
	else if (t->state == ST_BLOCKED && ahead == 0 && t->woken_early)
		close_blocked(l, t, t->wake_ns, now);
	else if (t->state == ST_ONCPU && ahead == 0)
		close_missed_out(l, t, now);
	else
		interval_lost(l, t, now);
}
