// SPDX-License-Identifier: GPL-2.0-only
/* The speedup stack: see stack.h. */
#include "analysis/stack.h"

static const char *const names[STACK_NR] = {
	[STACK_USEFUL] = "useful",
	[STACK_INFLATION] = "inflation",
	[STACK_LOCK] = "lock",
	[STACK_GIL] = "gil",
	[STACK_KLOCK] = "klock",
	[STACK_SYNC] = "sync",
	[STACK_RUNQ_PREEMPTED] = "runq_preempted",
	[STACK_RUNQ_WAKEUP] = "runq_wakeup",
	[STACK_THROTTLED] = "throttled",
	[STACK_IO] = "io",
	[STACK_SLEEP] = "sleep",
	[STACK_STOPPED] = "stopped",
	[STACK_BLOCKED_OTHER] = "blocked_other",
	[STACK_SPAWN] = "spawn",
	[STACK_IMBALANCE] = "imbalance",
	[STACK_TEARDOWN] = "teardown",
	[STACK_UNTRACKED] = "untracked",
};

static const enum stack_part part_of[CLASS_NR] = {
	[CLASS_ONCPU] = STACK_USEFUL,
	[CLASS_RUNQ_PREEMPTED] = STACK_RUNQ_PREEMPTED,
	[CLASS_RUNQ_WAKEUP] = STACK_RUNQ_WAKEUP,
	[CLASS_THROTTLED] = STACK_THROTTLED,
	[CLASS_LOCK] = STACK_LOCK,
	[CLASS_GIL] = STACK_GIL,
	[CLASS_KLOCK] = STACK_KLOCK,
	[CLASS_SYNC] = STACK_SYNC,
	[CLASS_IO] = STACK_IO,
	[CLASS_SLEEP] = STACK_SLEEP,
	[CLASS_STOPPED] = STACK_STOPPED,
	[CLASS_BLOCKED_OTHER] = STACK_BLOCKED_OTHER,
	[CLASS_UNTRACKED] = STACK_UNTRACKED,
};

const char *stack_part_name(enum stack_part part)
{
	return (unsigned int)part < STACK_NR ? names[part] : "?";
}

enum stack_part stack_part_of(enum ledger_class class)
{
	return part_of[class];
}

static int64_t clamp(int64_t ns, int64_t low, int64_t high)
{
	return ns < low ? low : ns > high ? high : ns;
}

static void add_worker(const struct stack_worker *w, int64_t t0, int64_t t1, int64_t last,
		       struct stack *s)
{
	int64_t begin = clamp(w->begin_ns, t0, t1), end = clamp(w->end_ns, begin, t1), seen = 0;

	s->part_ns[STACK_SPAWN] += begin - t0;
	s->part_ns[STACK_IMBALANCE] += last - end;
	s->part_ns[STACK_TEARDOWN] += t1 - last;
	for (int class = 0; class < CLASS_NR; class ++) {
		s->part_ns[part_of[class]] += (int64_t)w->ledger_ns[class];
		seen += (int64_t)w->ledger_ns[class];
	}
	s->part_ns[STACK_UNTRACKED] += end - begin - seen;
}

void stack_make(const struct stack_worker *worker, size_t nr, int64_t t0_ns, int64_t t1_ns,
		uint64_t reference_ns, struct stack *ret_stack)
{
	int64_t last = t0_ns;

	*ret_stack = (struct stack){ .workers = nr,
				     .wall_ns = t1_ns - t0_ns,
				     .has_reference = reference_ns > 0 };
	for (size_t i = 0; i < nr; i++) {
		int64_t end = clamp(worker[i].end_ns, t0_ns, t1_ns);

		last = end > last ? end : last;
	}
	for (size_t i = 0; i < nr; i++)
		add_worker(&worker[i], t0_ns, t1_ns, last, ret_stack);
	if (reference_ns) {
		ret_stack->part_ns[STACK_INFLATION] =
			ret_stack->part_ns[STACK_USEFUL] - (int64_t)reference_ns;
		ret_stack->part_ns[STACK_USEFUL] = (int64_t)reference_ns;
	}
}

double stack_share(const struct stack *s, enum stack_part part)
{
	return s->wall_ns > 0 ? (double)s->part_ns[part] / (double)s->wall_ns : 0;
}
