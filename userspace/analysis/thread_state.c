// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's machine, the switches: the state after one (thread_close.c has the interval before it).
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
	t->booked_ns = 0;
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

/* A CPU that it is met on without having been moved there: the kernel counted a migration that we did not see. */
static void note_cpu(struct thread *t, unsigned int cpu)
{
	if (t->cpu_known && t->cpu != cpu)
		t->audit.missed_migrations++;
	t->cpu = (uint16_t)cpu;
	t->cpu_known = true;
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
	       !(sw->state & SWR_VOLUNTARY) && EV_HOW_NR(how_of(sw)) == l->yield_nr;
}

/* As __schedule() does: voluntary is who blocks, and is not kept running by a signal. */
static void count_switch(const struct ledger *l, struct thread *t, const struct ev_switch *sw,
			 unsigned int flags)
{
	bool involuntary = flags & SW_RUNNABLE ? !(sw->state & SWR_VOLUNTARY) : flags & SW_PREEMPT;
	bool yield = is_yield(l, sw, flags);

	t->voluntary += !involuntary;
	t->involuntary += involuntary;
	t->yields += yield;
	t->kept += flags & SW_RUNNABLE && !involuntary;
	t->audit.voluntary += !involuntary;
	t->audit.involuntary += involuntary;
	t->audit.yields += yield;
	t->audit.runq_ns += t->runq_pending_ns;
	t->audit.moved_ns += t->moved_pending_ns;
	t->runq_pending_ns = 0;
	t->audit.left_ns += t->left_pending_ns;
	t->moved_pending_ns = t->left_pending_ns = 0;
}

static void enter_runnable(struct ledger *l, struct thread *t, uint64_t now,
			   const struct ev_switch *sw, unsigned int flags)
{
	thread_enqueue(l, t, now, flags & SW_THROTTLED ? CLASS_THROTTLED : CLASS_RUNQ_PREEMPTED);
	t->yielding = is_yield(l, sw, flags);
	t->uncounted = flags & SW_RUNNABLE && sw->state & SWR_NOT_RUNNING;
}

/* Has this CPU dropped a record since its last switch? It may have been one in front of the switch that is being looked at. */
static bool lost_in_front(const struct ledger *l, unsigned int cpu)
{
	return l->cpu[cpu].lost_ns && l->cpu[cpu].lost_ns >= l->cpu[cpu].since_ns;
}

static bool is_futex(const struct ledger *l, const struct ev_switch *sw)
{
	const char *name = syscall_name(l->arch, EV_HOW_NR(how_of(sw)));

	return name && !strncmp(name, "futex", strlen("futex"));
}

/*
 * A record in front of it was dropped: that is marked. Recorders that do not mark it: it may have been, where something was lost and
 * a futex is waited for.
 */
static bool was_announced(const struct ledger *l, const struct ev_switch *sw, unsigned int cpu,
			  enum ledger_class class)
{
	return sw->state & EV_STATE_ANNOUNCED ||
	       (class == CLASS_SYNC && is_futex(l, sw) && lost_in_front(l, cpu));
}

/* What the record in front of this switch-out says that the thread waits for, if there is one. */
static enum ledger_class class_of_switch(struct ledger *l, struct thread *t,
					 const struct ev_switch *sw, unsigned int cpu)
{
	enum ledger_class class = class_of_wait(l->arch, EV_FLAGS(sw->w0), sw->state, how_of(sw));
	const struct ev_futex *futex = (const void *)t->announced;

	if (class == CLASS_STOPPED || EV_FLAGS(sw->w0) & SW_IOWAIT)
		return class;
	if (!t->announced[0] || futex->seq != sw->prev_seq)
		return was_announced(l, sw, cpu, class) ? CLASS_UNTRACKED : class;
	if (l->on_wait.fn)
		return l->on_wait.fn(l->on_wait.arg, t, t->announced, class);
	return EV_KIND(futex->w0) == EV_KLOCK ? CLASS_KLOCK : class;
}

static void enter_blocked(struct ledger *l, struct thread *t, uint64_t now,
			  const struct ev_switch *sw, unsigned int cpu, enum woken woken)
{
	if (woken == PERHAPS_WOKEN) {
		thread_set_state(l, t, now, ST_UNKNOWN, CLASS_UNTRACKED);
		return;
	}
	thread_set_state(l, t, now, ST_BLOCKED, class_of_switch(l, t, sw, cpu));
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
	thread_close_out(l, t, cpu, ahead);
	count_switch(l, t, sw, flags);
	woken = woken_before(t, sw->prev_seq, ahead);
	thread_set_seq(t, sw->prev_seq, ahead - 1);
	t->waits_on = NULL;
	if (stays_runnable(flags))
		enter_runnable(l, t, l->now_ns, sw, flags);
	else if (sw->state & EV_STATE_DEAD)
		thread_die(l, t, l->now_ns);
	else
		enter_blocked(l, t, l->now_ns, sw, cpu, woken);
	t->announced[0] = 0;
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
	thread_close_in(l, t, cpu, ahead);
	thread_set_seq(t, sw->next_seq, ahead);
	t->audit.switch_ins++;
	thread_set_state(l, t, l->now_ns, ST_ONCPU, CLASS_ONCPU);
}
