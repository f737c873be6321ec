// SPDX-License-Identifier: GPL-2.0-only
/*
 * The audit: equality of counts, and of times within the tolerance that audit.h gives.
 *
 * A difference is explained (AUDIT_MISSED) only by what is on record: switch-outs that we dropped (gaps in the thread's seq) or
 * that no probe saw (it got a CPU that it had never left) explain exactly that many switches; migrations and times have no such
 * number, so any loss that can have touched the thread explains them.
 */
#include "analysis/audit.h"

#define TOLERANCE_SHARE 200 /* 0.5 % */
#define TOLERANCE_SWITCH_NS 10000

static enum audit_result worse(enum audit_result a, enum audit_result b)
{
	return a > b ? a : b;
}

/* Did anything get lost of this thread, or past the probes? */
static bool touched(const struct thread *t)
{
	const struct thread_counts *c = &t->audit;

	return t->untracked_losses || t->unannounced || t->lost_near || c->lost_switches ||
	       c->missed_switch_ins || c->missed_switch_outs || c->missed_wakeups ||
	       c->missed_migrations;
}

static enum audit_result switches_result(const struct thread *t, const struct audit *a)
{
	uint64_t known = t->audited.lost_switches + t->audited.missed_switch_outs;

	if (a->voluntary[0] == a->voluntary[1] && a->involuntary[0] == a->involuntary[1])
		return AUDIT_OK;
	if (a->voluntary[0] > a->voluntary[1] || a->involuntary[0] > a->involuntary[1])
		return AUDIT_DIFFERS;
	if ((uint64_t)a->missed_switches == known)
		return AUDIT_MISSED;
	/* What was dropped after the thread's last record leaves no gap; several missed ones in a row show as one. */
	if ((uint64_t)a->missed_switches > known && (t->lost_near || t->audited.missed_switch_outs))
		return AUDIT_MISSED;
	return AUDIT_DIFFERS;
}

static enum audit_result migrations_result(const struct thread *t, const struct audit *a)
{
	if (a->migrated[0] == a->migrated[1])
		return AUDIT_OK;
	return a->migrated[0] < a->migrated[1] && touched(t) ? AUDIT_MISSED : AUDIT_DIFFERS;
}

static enum audit_result time_result(const struct thread *t, const struct audit *a)
{
	uint64_t off = a->difference_ns < 0 ? 0 - (uint64_t)a->difference_ns :
					      (uint64_t)a->difference_ns;

	if (off <= a->tolerance_ns)
		return AUDIT_OK;
	return touched(t) ? AUDIT_MISSED : AUDIT_DIFFERS;
}

static void compare_times(const struct thread *t, struct audit *a)
{
	const struct ev_books *first = &t->first, *last = &t->last;
	uint64_t ours, kernel;

	a->oncpu_ns[0] = t->audited.oncpu_ns;
	a->oncpu_ns[1] = last->exec_ns - first->exec_ns;
	a->runq_ns[0] = t->audited.runq_ns;
	a->runq_ns[1] = last->delay_ns - first->delay_ns - t->audited.before_ns;
	if (EV_FLAGS(last->w0) & BK_STEAL)
		a->steal_ns = last->steal_ns - first->steal_ns;
	a->moved_ns = t->audited.moved_ns;
	a->left_ns = t->audited.left_ns;
	ours = a->oncpu_ns[0] + a->runq_ns[0] - a->steal_ns - a->moved_ns - a->left_ns;
	kernel = a->oncpu_ns[1] + a->runq_ns[1];
	a->difference_ns = (int64_t)(ours - kernel);
	a->tolerance_ns = kernel / TOLERANCE_SHARE +
			  (a->voluntary[1] + a->involuntary[1]) * TOLERANCE_SWITCH_NS;
}

void audit_thread(const struct thread *t, struct audit *ret_audit)
{
	const struct ev_books *first = &t->first, *last = &t->last;
	struct audit *a = ret_audit;

	*a = (struct audit){ .all = AUDIT_NONE };
	if (!t->has_first || !t->has_last)
		return;
	a->voluntary[0] = t->audited.voluntary;
	a->voluntary[1] = last->nvcsw - first->nvcsw;
	a->involuntary[0] = t->audited.involuntary;
	a->involuntary[1] = last->nivcsw - first->nivcsw;
	a->migrated[0] = t->audited.migrations;
	a->migrated[1] = last->nr_migrations - first->nr_migrations;
	a->missed_switches = (int64_t)(a->voluntary[1] + a->involuntary[1] - a->voluntary[0] -
				       a->involuntary[0]);
	a->asleep_ns = t->audited.asleep_ns;
	compare_times(t, a);
	a->switches = switches_result(t, a);
	a->migrations = migrations_result(t, a);
	a->time = time_result(t, a);
	a->all = worse(worse(a->switches, a->migrations), a->time);
}

/* The books of a damaged trace may say anything. */
static int64_t add_saturated(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

static void audit_add(struct audit *sum, const struct audit *a)
{
	for (int side = 0; side < 2; side++) {
		sum->voluntary[side] += a->voluntary[side];
		sum->involuntary[side] += a->involuntary[side];
		sum->migrated[side] += a->migrated[side];
		sum->oncpu_ns[side] += a->oncpu_ns[side];
		sum->runq_ns[side] += a->runq_ns[side];
	}
	sum->missed_switches = add_saturated(sum->missed_switches, a->missed_switches);
	sum->steal_ns += a->steal_ns;
	sum->moved_ns += a->moved_ns;
	sum->left_ns += a->left_ns;
	sum->asleep_ns += a->asleep_ns;
	sum->difference_ns = add_saturated(sum->difference_ns, a->difference_ns);
	sum->tolerance_ns += a->tolerance_ns;
	sum->switches = worse(sum->switches, a->switches);
	sum->migrations = worse(sum->migrations, a->migrations);
	sum->time = worse(sum->time, a->time);
	sum->all = worse(sum->all, a->all);
}

void audit_all(const struct ledger *l, struct audit_total *ret_total)
{
	*ret_total = (struct audit_total){ 0 };
	for (size_t i = 0; i < ledger_nr_threads(l); i++) {
		struct audit a;

		audit_thread(ledger_thread(l, i), &a);
		ret_total->threads[a.all]++;
		audit_add(&ret_total->sum, &a);
	}
}
