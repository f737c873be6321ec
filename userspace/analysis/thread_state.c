// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's machine, the switches.
 *
 * `ahead` is how many switch-outs a record's seq is beyond those that we know. A switch-out counts itself, so 1 is in order,
 * and 0 is one that comes late: another CPU's record that follows it was merged before it. For every other record
 * 0 proves that no switch-out was lost since the last one.
 *
 * A wake-up can come before the switch-out that it undoes (ttwu finds the thread still on its CPU): woken_early keeps it. At the
 * switch-out it must be told from an older wake-up whose switch-in was lost:
 *
 *   switch-out's seq - wake-up's seq      meaning
 *     0                                   the wake-up was sent when this switch-out was counted: runnable at once
 *     1, and nothing was lost             the same, a moment before it was counted
 *     1, and a switch-in was lost         either: not known
 *     more                                of an older wait
 */
#include <string.h>

#include "analysis/ledger_impl.h"

void thread_begin(struct thread *t, uint64_t time_ns)
{
	if (t->started)
		return;
	t->started = true;
	t->start_ns = time_ns;
	t->since_ns = time_ns;
	t->audit_from_ns = time_ns;
}

void thread_set_state(struct ledger *l, struct thread *t, uint64_t time_ns, enum thread_state state,
		      enum ledger_class class)
{
	for (unsigned int i = 0; i < l->nr_on_state; i++)
		l->on_state[i].fn(l->on_state[i].arg, t, time_ns, state, class);
	t->state = state;
	t->class = class;
	t->yielding = false;
	t->awaiting_wakeup = false;
	t->woken_early = false;
}

void thread_enqueue(struct ledger *l, struct thread *t, uint64_t time_ns, enum ledger_class class)
{
	thread_set_state(l, t, time_ns, ST_RUNQ, class);
	t->enqueued_ns = time_ns;
}

void thread_set_seq(struct thread *t, uint16_t seq, uint16_t lost)
{
	t->seq = seq;
	t->seq_known = true;
	if (lost < UINT16_MAX / 2)
		t->audit.lost_switches += lost;
}

void thread_die(struct ledger *l, struct thread *t, uint64_t time_ns)
{
	thread_set_state(l, t, time_ns, ST_DEAD, CLASS_UNTRACKED);
	t->ended = true;
	t->end_ns = time_ns;
}

static uint32_t how_of(const struct ev_switch *sw)
{
	return (uint32_t)sw->how[0] | (uint32_t)sw->how[1] << 8 | (uint32_t)sw->how[2] << 16;
}

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

/* A CPU that it is met on without having been moved there: the kernel counted a migration that we did not see. */
static void note_cpu(struct thread *t, unsigned int cpu)
{
	if (t->cpu_known && t->cpu != cpu)
		t->audit.missed_migrations++;
	t->cpu = (uint16_t)cpu;
	t->cpu_known = true;
}

/* Closes a wait on the run queue that ended with a switch-in at to_ns. */
static void close_runq(struct ledger *l, struct thread *t, uint64_t to_ns, enum ledger_class class)
{
	uint64_t from_ns = later(t->enqueued_ns, t->audit_from_ns);

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
	if (t->state != ST_BLOCKED)
		close_runq(l, t, arrival_ns, t->class);
	else if (t->woken_early && t->wake_ns < arrival_ns)
		close_blocked(l, t, t->wake_ns, arrival_ns);
	else
		close_blocked(l, t, before(arrival_ns, queue_ns, t->since_ns), arrival_ns);
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

static void close_before_out(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead)
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

enum woken { NOT_WOKEN, WOKEN, PERHAPS_WOKEN };

/* Was the wait that begins with this switch-out ended before it began? See the top. */
static enum woken woken_before(const struct thread *t, uint16_t seq, uint16_t ahead)
{
	uint16_t diff = (uint16_t)(seq - t->wake_seq);

	if (!t->woken_early || diff > 1)
		return NOT_WOKEN;
	if (diff == 0 || (ahead == 1 && t->state != ST_BLOCKED && t->state != ST_UNKNOWN))
		return WOKEN;
	return PERHAPS_WOKEN;
}

static bool stays_runnable(unsigned int flags)
{
	return flags & (SW_RUNNABLE | SW_PREEMPT);
}

static bool is_yield(const struct ledger *l, const struct ev_switch *sw, unsigned int flags)
{
	return (flags & (SW_RUNNABLE | SW_PREEMPT | SW_COMPAT)) == SW_RUNNABLE &&
	       EV_HOW_NR(how_of(sw)) == l->yield_nr;
}

/* As __schedule() does: voluntary is who blocks, and is not kept running by a signal. */
static void count_switch(const struct ledger *l, struct thread *t, const struct ev_switch *sw,
			 unsigned int flags)
{
	bool involuntary = stays_runnable(flags);
	bool yield = is_yield(l, sw, flags);

	t->voluntary += !involuntary;
	t->involuntary += involuntary;
	t->yields += yield;
	t->audit.voluntary += !involuntary;
	t->audit.involuntary += involuntary;
	t->audit.yields += yield;
	t->audit.runq_ns += t->runq_pending_ns;
	t->runq_pending_ns = 0;
}

static void enter_runnable(struct ledger *l, struct thread *t, uint64_t now,
			   const struct ev_switch *sw, unsigned int flags)
{
	thread_enqueue(l, t, now, flags & SW_THROTTLED ? CLASS_THROTTLED : CLASS_RUNQ_PREEMPTED);
	t->yielding = is_yield(l, sw, flags);
}

static void enter_blocked(struct ledger *l, struct thread *t, uint64_t now,
			  const struct ev_switch *sw, enum woken woken)
{
	unsigned int flags = EV_FLAGS(sw->w0);

	if (woken == PERHAPS_WOKEN) {
		thread_set_state(l, t, now, ST_UNKNOWN, CLASS_UNTRACKED);
		return;
	}
	thread_set_state(l, t, now, ST_BLOCKED,
			 class_of_wait(l->arch, flags, sw->state, how_of(sw)));
	if (woken == NOT_WOKEN)
		return;
	interval_close(l, t, now, t->class);
	thread_enqueue(l, t, now, CLASS_RUNQ_WAKEUP);
	t->awaiting_wakeup = true;
}

/* A switch-out whose number we know already: what we took the thread to be until now is wrong, it was on a CPU. */
static void late_switch_out(struct ledger *l, struct thread *t, const struct ev_switch *sw,
			    uint16_t ahead)
{
	unsigned int flags = EV_FLAGS(sw->w0);

	count_switch(l, t, sw, flags);
	if (t->audit.lost_switches)
		t->audit.lost_switches--;
	if (sw->state & EV_STATE_DEAD && !stays_runnable(flags)) {
		interval_untracked(l, t, l->now_ns);
		thread_die(l, t, l->now_ns);
	} else if (ahead) {
		return; /* later ones were seen */
	} else if (t->state == ST_RUNQ) {
		interval_untracked(l, t, l->now_ns);
		t->enqueued_ns = l->now_ns;
	} else if (t->state == ST_UNKNOWN && t->woken_early && t->wake_seq == t->seq) {
		interval_untracked(l, t, l->now_ns);
		thread_enqueue(l, t, l->now_ns, CLASS_RUNQ_WAKEUP);
		t->awaiting_wakeup = true;
	}
}

void thread_switch_out(struct ledger *l, struct thread *t, const struct ev_switch *sw,
		       unsigned int cpu)
{
	uint16_t ahead = t->seq_known ? thread_ahead(t, sw->prev_seq) : 1;
	unsigned int flags = EV_FLAGS(sw->w0);
	enum woken woken;

	if ((int16_t)ahead <= 0) {
		late_switch_out(l, t, sw, ahead);
		return;
	}
	note_cpu(t, cpu);
	close_before_out(l, t, cpu, ahead);
	count_switch(l, t, sw, flags);
	woken = woken_before(t, sw->prev_seq, ahead);
	thread_set_seq(t, sw->prev_seq, ahead - 1);
	if (stays_runnable(flags))
		enter_runnable(l, t, l->now_ns, sw, flags);
	else if (sw->state & EV_STATE_DEAD)
		thread_die(l, t, l->now_ns);
	else
		enter_blocked(l, t, l->now_ns, sw, woken);
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

static void close_before_in(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead)
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

/* The kept wake-up is one of the wait after this switch-in, or at the same time as it: then it may be. */
static bool wake_stays(const struct ledger *l, const struct thread *t, const struct ev_switch *sw)
{
	uint16_t diff = (uint16_t)(t->wake_seq - sw->next_seq);

	return diff == 1 || (diff == 0 && t->wake_ns == l->now_ns);
}

static void enter_with_wake(struct ledger *l, struct thread *t, const struct ev_switch *sw,
			    uint16_t ahead)
{
	bool sure = t->wake_seq != sw->next_seq;

	interval_lost(l, t, l->now_ns);
	thread_set_seq(t, sw->next_seq, ahead);
	t->audit.switch_ins++;
	if (sure)
		thread_set_state(l, t, l->now_ns, ST_ONCPU, CLASS_ONCPU);
	else
		thread_set_state(l, t, l->now_ns, ST_UNKNOWN, CLASS_UNTRACKED);
	t->woken_early = true;
}

void thread_switch_in(struct ledger *l, struct thread *t, const struct ev_switch *sw,
		      unsigned int cpu)
{
	uint16_t ahead = thread_ahead(t, sw->next_seq);

	note_cpu(t, cpu);
	if (t->woken_early && wake_stays(l, t, sw)) {
		enter_with_wake(l, t, sw, ahead);
		return;
	}
	close_before_in(l, t, cpu, ahead);
	thread_set_seq(t, sw->next_seq, ahead);
	t->audit.switch_ins++;
	thread_set_state(l, t, l->now_ns, ST_ONCPU, CLASS_ONCPU);
}
