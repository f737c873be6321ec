// SPDX-License-Identifier: GPL-2.0-only
/* What each experiment changes, and what is predicted of it: see trial.h. */
#include "cli/trial.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define REALTIME_SHARE 0.95
#define GAIN_MIN 1.01 /* less than that no experiment shows */

static bool cannot(struct trial_plan *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static bool cannot(struct trial_plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return false;
}

static double speedup(const struct trial_bench *b, double ns)
{
	return ns > 0 ? (double)b->facts->replay->as_is_ns / ns : 1;
}

static bool by_replay(const struct trial_bench *b, enum replay_what what, struct trial_plan *p)
{
	const struct replay_time *t = &b->facts->replay->without[what];

	if (!t->made)
		return cannot(p, "it was not played again so");
	p->low = speedup(b, (double)t->expected_ns);
	p->high = speedup(b, (double)t->least_ns);
	return true;
}

/* ---- CPUs ---- */

static bool plan_cpus(const struct trial_bench *b, enum replay_what what, unsigned int cpus,
		      struct trial_plan *p)
{
	p->change.cpus = cpus;
	snprintf(p->what, sizeof(p->what), "on %u CPU%s instead of %u", cpus, cpus == 1 ? "" : "s",
		 b->facts->replay->cpus);
	snprintf(p->experiment, sizeof(p->experiment), "the command, limited to %u CPU%s (taskset)",
		 cpus, cpus == 1 ? "" : "s");
	return by_replay(b, what, p);
}

static bool plan_fewer_cpus(const struct trial_bench *b, struct trial_plan *p)
{
	unsigned int cpus = b->facts->replay->cpus;

	if (cpus < 2)
		return cannot(p, "it had one CPU only");
	return plan_cpus(b, REPLAY_ONE_LESS, cpus - 1, p);
}

static bool plan_more_cpus(const struct trial_bench *b, struct trial_plan *p)
{
	unsigned int cpus = b->facts->replay->cpus;

	if (cpus >= b->here)
		return cannot(p, "there are no more CPUs than it had");
	return plan_cpus(b, REPLAY_ONE_MORE, cpus + 1, p);
}

static bool plan_pin(const struct trial_bench *b, struct trial_plan *p)
{
	if (b->facts->replay->cpus < 2)
		return cannot(p, "it had one CPU only");
	p->change.pin = true;
	snprintf(p->what, sizeof(p->what), "each thread pinned to one CPU");
	snprintf(p->experiment, sizeof(p->experiment),
		 "each new thread is put on the next of the %u CPUs, in turns",
		 b->facts->replay->cpus);
	return by_replay(b, REPLAY_PINNED, p);
}

/* ---- priorities ---- */

static bool plan_first(const struct trial_bench *b, struct trial_plan *p)
{
	if (!b->may_go_first)
		return cannot(p, "raising a priority needs root");
	if (!by_replay(b, REPLAY_FIRST, p))
		return false;
	return p->high >= GAIN_MIN || cannot(p, "other programs hardly kept it waiting for a CPU");
}

/* Linux may put each session into a group of its own: then a nice value counts among the threads of a session only. */
static bool grouped_by_session(void)
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/sys/kernel/sched_autogroup_enabled", "re");

	return f && fgetc(f) == '1';
}

static bool plan_nice(const struct trial_bench *b, struct trial_plan *p)
{
	if (grouped_by_session())
		snprintf(p->caveat, sizeof(p->caveat),
			 "A nice value counts within a session only here "
			 "(kernel.sched_autogroup_enabled).");
	p->change.nice = TRIAL_NICE;
	snprintf(p->what, sizeof(p->what), "ahead of other programs (nice)");
	snprintf(p->experiment, sizeof(p->experiment), "the command with nice %d", TRIAL_NICE);
	return plan_first(b, p);
}

static bool plan_chrt(const struct trial_bench *b, struct trial_plan *p)
{
	p->change.realtime = true;
	snprintf(p->what, sizeof(p->what), "ahead of other programs (chrt)");
	snprintf(p->experiment, sizeof(p->experiment),
		 "the command with real-time priority 1 (SCHED_RR)");
	if (!plan_first(b, p))
		return false;
	p->low *= REALTIME_SHARE;
	return true;
}

/* ---- Python's switch interval ---- */

/* On the clock: nobody had the lock, or who was given it waited for a CPU; and how often it changed hands. */
static double gil_idle_ns(const struct trial_bench *b, double *ret_handovers)
{
	const struct worker_waits *w = &b->facts->run->waits;
	double waiters = fmax(1, (double)b->facts->stack->workers - 1), ns = 0;

	*ret_handovers = 0;
	for (size_t i = 0; i < w->nr; i++) {
		if (w->lock[i].class != CLASS_GIL)
			continue;
		ns += (double)(w->lock[i].doing_ns[LOCK_FREE] + w->lock[i].handed_ns);
		*ret_handovers += (double)w->lock[i].gil_handovers;
	}
	return ns / waiters;
}

static bool plan_interval(const struct trial_bench *b, struct trial_plan *p)
{
	const int64_t *part = b->facts->stack->part_ns;
	double as_is = (double)b->facts->replay->as_is_ns, handovers, idle, one_by_one;

	if (part[STACK_GIL] <= 0 || facts_share(b->facts, part[STACK_GIL]) < FINDING_MIN_SHARE)
		return cannot(p, "nobody waited for a Python's lock");
	p->change.interval_ms = TRIAL_INTERVAL_MS;
	snprintf(p->what, sizeof(p->what), "Python's switch interval %d ms instead of 5",
		 TRIAL_INTERVAL_MS);
	snprintf(p->experiment, sizeof(p->experiment),
		 "sys.setswitchinterval(%g) before the program begins", TRIAL_INTERVAL_MS / 1e3);
	idle = gil_idle_ns(b, &handovers) + handovers * b->switch_ns;
	one_by_one = (double)(part[STACK_USEFUL] + part[STACK_INFLATION] + part[STACK_IO] +
			      part[STACK_SLEEP]);
	p->high = speedup(b, fmax(as_is - 0.75 * idle, as_is / 2));
	p->low = speedup(b, fmax(as_is, one_by_one));
	return true;
}

/* ---- processes ---- */

static bool plan_processes(const struct trial_bench *b, struct trial_plan *p)
{
	const int64_t *part = b->facts->stack->part_ns;

	if (!b->processes)
		return cannot(
			p, "--processes must say which command does the same work with processes");
	if (facts_share(b->facts, part[STACK_LOCK] + part[STACK_GIL]) < FINDING_MIN_SHARE)
		return cannot(p, "hardly anybody waited for a lock that threads share");
	p->change.processes = true;
	snprintf(p->what, sizeof(p->what), "processes instead of threads");
	snprintf(p->experiment, sizeof(p->experiment),
		 "the command of --processes, where each has locks of its own");
	return by_replay(b, REPLAY_APART, p);
}

/* ---- workers ---- */

static bool plan_workers(const struct trial_bench *b, struct trial_plan *p)
{
	const struct stack *s = b->facts->stack;
	double wall = (double)s->wall_ns, alone = (double)b->facts->coordinator_alone_wall_ns;
	double lanes = (double)s->workers, as_is = (double)b->facts->replay->as_is_ns;
	double queue = (double)(s->part_ns[STACK_RUNQ_PREEMPTED] + s->part_ns[STACK_RUNQ_WAKEUP]);
	double oncpu = (double)(s->part_ns[STACK_USEFUL] + s->part_ns[STACK_INFLATION]);
	unsigned int cpus = b->facts->replay->cpus, fewer, at_once;

	if (!b->workers)
		return cannot(p,
			      "--fewer must say where the command is told its number of workers");
	if (b->workers < 2)
		return cannot(p, "it has one worker only");
	fewer = b->workers > cpus ? cpus : b->workers - 1;
	at_once = fewer < cpus ? fewer : cpus;
	p->change.workers = fewer;
	snprintf(p->what, sizeof(p->what), "%u worker%s instead of %u", fewer,
		 fewer == 1 ? "" : "s", b->workers);
	snprintf(p->experiment, sizeof(p->experiment), "the command, told %u", fewer);
	alone = fmin(alone, wall);
	/* what lies outside of the run stays as it was */
	p->high = speedup(b, as_is - wall + alone + fmax(0, oncpu - alone) / at_once);
	p->low = speedup(b,
			 as_is - wall + alone + fmax(0, lanes * (wall - alone) - queue) / at_once);
	p->low = fmin(p->low, p->high);
	return true;
}

/* ---- all ---- */

static const struct {
	const char *name;
	bool (*plan)(const struct trial_bench *b, struct trial_plan *p);
} trials[] = {
	{ "fewer-cpus", plan_fewer_cpus },
	{ "more-cpus", plan_more_cpus },
	{ "pin", plan_pin },
	{ "nice", plan_nice },
	{ "chrt", plan_chrt },
	{ "interval", plan_interval },
	{ "processes", plan_processes },
	{ "workers", plan_workers },
};

const char *trial_name(size_t i)
{
	return i < sizeof(trials) / sizeof(trials[0]) ? trials[i].name : NULL;
}

bool trial_plan(size_t i, const struct trial_bench *b, struct trial_plan *ret)
{
	*ret = (struct trial_plan){ .change = { .cpus = b->facts->replay->cpus } };
	return trials[i].plan(b, ret);
}
