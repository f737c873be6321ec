// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intervals into classes, and how far lost events reach.
 *
 * An interval whose end does not follow from its state has lost events in it. Its state still held until the first of them:
 *
 *      since                  earliest possible loss                to
 *        |------- class --------------|---------- untracked ---------|
 *
 * A CPU says that it dropped records (EV_LOST) in front of the first record that had room again. So what a CPU may have dropped
 * is known up to its last record; after that record it may have dropped anything that it has not told yet. A CPU that never
 * wrote a record had room. The earliest possible loss is the minimum of both over all CPUs. On a machine where events also
 * miss the probes (EV_MISSED was met) nothing bounds when: there all of the interval is untracked.
 */
#include <string.h>

#include "analysis/ledger_impl.h"

/*
 * How far before its place a lost record may belong: programs nest, so a record may stand after a later one of its CPU; and the
 * wake-up that ends a wait may come before the switch-out that begins it.
 */
#define SLACK_NS 1000000

/* Adds the part of [from, to) that lies in each of the thread's windows. */
static void windows_add(struct ledger_window *w, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	for (; w; w = w->next) {
		uint64_t from = from_ns > w->begin_ns ? from_ns : w->begin_ns;
		uint64_t to = to_ns < w->end_ns ? to_ns : w->end_ns;

		if (to > from)
			w->ledger_ns[class] += to - from;
	}
}

void interval_close(struct ledger *l, struct thread *t, uint64_t to_ns, enum ledger_class class)
{
	uint64_t from_ns = t->since_ns;
	uint64_t ns;

	if (to_ns < from_ns)
		to_ns = from_ns;
	ns = to_ns - from_ns;
	t->ledger_ns[class] += ns;
	t->waits[class]++;
	if (ns > t->longest_ns[class])
		t->longest_ns[class] = ns;
	if (t->yielding && class == CLASS_RUNQ_PREEMPTED)
		t->yielded_ns += ns;
	t->since_ns = to_ns;
	if (t->windows)
		windows_add(t->windows, from_ns, to_ns, class);
	for (unsigned int i = 0; i < l->nr_watch; i++)
		l->watch[i].fn(l->watch[i].arg, t, from_ns, to_ns, class);
}

void interval_untracked(struct ledger *l, struct thread *t, uint64_t to_ns)
{
	if (t->state != ST_UNKNOWN)
		t->untracked_losses++;
	if (to_ns > t->since_ns)
		interval_close(l, t, to_ns, CLASS_UNTRACKED);
}

/* The moment from which on a lost record can matter to the thread's open interval. */
static uint64_t matters_from(const struct thread *t)
{
	if (t->state != ST_BLOCKED)
		return t->since_ns;
	return t->since_ns > SLACK_NS ? t->since_ns - SLACK_NS : 0;
}

/* The start of the earliest known span of lost records that overlaps [from, to], or UINT64_MAX. */
static uint64_t earliest_known(const struct ledger *l, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t first = UINT64_MAX;

	/* In the order in which they were told, so those told before `from` lie before it. */
	for (size_t i = l->nr_lost; i-- > 0 && l->lost[i].written_ns >= from_ns;) {
		const struct lost_span *s = &l->lost[i];

		if (s->count[DROP_FULL] && s->last_ns >= from_ns && s->first_ns <= to_ns &&
		    s->first_ns < first)
			first = s->first_ns;
	}
	return first;
}

/* The moment from which on some CPU may have dropped records that it has not told yet. */
static uint64_t earliest_untold(const struct ledger *l)
{
	uint64_t first = UINT64_MAX;

	for (unsigned int i = 0; i < l->nr_cpus; i++) {
		if (l->cpu_time[i].seen && l->cpu[i].record_ns < first)
			first = l->cpu[i].record_ns;
	}
	return first > SLACK_NS ? first - SLACK_NS : 0;
}

static void close_from_loss(struct ledger *l, struct thread *t, uint64_t first_ns, uint64_t to_ns)
{
	if (t->woken_early && t->state == ST_BLOCKED && t->wake_ns < first_ns)
		first_ns = t->wake_ns;
	if (t->state != ST_UNKNOWN && first_ns > t->since_ns && first_ns < to_ns)
		interval_close(l, t, first_ns, t->class);
	interval_untracked(l, t, to_ns);
}

void interval_lost(struct ledger *l, struct thread *t, uint64_t to_ns)
{
	uint64_t known = UINT64_MAX, untold = 0;

	if (t->state != ST_UNKNOWN && !l->holes)
		known = earliest_known(l, matters_from(t), to_ns);
	/* Without a known span the loss has another cause, and nothing says when. */
	if (known != UINT64_MAX)
		untold = earliest_untold(l);
	close_from_loss(l, t, untold < known ? untold : known, to_ns);
}

void interval_finish(struct ledger *l, struct thread *t, uint64_t end_ns)
{
	uint64_t known = earliest_known(l, matters_from(t), end_ns);

	/* Every CPU has told by now. */
	if (known != UINT64_MAX) {
		close_from_loss(l, t, l->holes ? 0 : known, end_ns);
		return;
	}
	if (t->state == ST_BLOCKED && t->woken_early) {
		interval_close(l, t, t->wake_ns, t->class);
		t->class = CLASS_RUNQ_WAKEUP;
	}
	interval_close(l, t, end_ns, t->class);
}

/* Takes a span in: a new one, or widens the last one when there are too many. */
static void span_add(struct ledger *l, const struct lost_span *span)
{
	struct lost_span *last = &l->lost[LEDGER_MAX_LOST - 1];

	if (l->nr_lost < LEDGER_MAX_LOST) {
		l->lost[l->nr_lost++] = *span;
		return;
	}
	if (span->first_ns < last->first_ns)
		last->first_ns = span->first_ns;
	if (span->last_ns > last->last_ns)
		last->last_ns = span->last_ns;
	last->written_ns = span->written_ns;
	for (unsigned int i = 0; i < DROP_NR; i++)
		last->count[i] += span->count[i];
}

void lost_add(struct ledger *l, unsigned int cpu, const struct ev_lost *rec)
{
	struct lost_span span = {
		.cpu = (uint16_t)cpu,
		.last_ns = rec->last_time < l->now_ns ? rec->last_time : l->now_ns,
		.written_ns = l->now_ns,
	};

	span.first_ns = rec->first_time < span.last_ns ? rec->first_time : span.last_ns;
	for (unsigned int i = 0; i < DROP_NR; i++) {
		span.count[i] = rec->count[i];
		l->lost_records += rec->count[i] < SERIAL_MAX ? rec->count[i] : SERIAL_MAX;
	}
	span_add(l, &span);
	if (!span.count[DROP_FULL])
		return;
	l->cpu[cpu].lost_ns = span.last_ns;
	cpu_lost(l, cpu, span.first_ns);
}

bool lost_within(const struct ledger *l, uint64_t from_ns, uint64_t to_ns)
{
	return earliest_known(l, from_ns, to_ns) != UINT64_MAX;
}

const struct lost_span *ledger_lost(const struct ledger *l, size_t *ret_nr)
{
	*ret_nr = l->nr_lost;
	return l->lost;
}
