/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The experiments that --verify knows: for each, how a run of the same command differs, and what the recorded run predicts of it.
 *
 *   the recorded run -> trial_plan() -> { the change, how much faster: low..high }     trial_run.c then makes such runs
 *
 * A prediction never looks at the experiment. `low` and `high` are speedups over the run as it was:
 *
 *   fewer-cpus, more-cpus, pin     the replay's (replay.h): what it expects, and what no scheduler could beat
 *   nice, chrt     the replay before all programs that are not recorded. Real-time threads get 95 % of a CPU at most where others want
 *                  it (sched(7), sched_rt_runtime_us), so chrt's low is 0.95 of that
 *   interval       CPython's switch interval four times as long (20 ms), so a quarter of the hand-overs. Fastest: three quarters of the
 *                  time in which nobody had the lock, or who was given it waited for a CPU, are gone, and as many switches. Slowest: nothing
 *                  overlaps any more, all that the workers ran, slept and read comes one after the other
 *   processes      another command that does the same work with processes: the replay without the locks that threads share, the
 *                  interpreter's included. A lock that lies in memory that processes share stays one, which the replay does not know
 *   workers        M instead of N, of which min(M, CPUs) = p run at once. What runs alone stays. Fastest: all other time on a CPU divided
 *                  by p (Amdahl's law). Slowest: all else that is no waiting for a CPU divided by p, too
 */
#ifndef WHYSCALE_CLI_TRIAL_H
#define WHYSCALE_CLI_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "explain/finding.h"

#define TRIAL_INTERVAL_MS 20 /* four times CPython's own */
#define TRIAL_NICE -15

/* What there is to experiment with. */
struct trial_bench {
	const struct facts *facts; /* of the recorded run; its replay is good */
	unsigned int here;         /* CPUs that can be used here */
	unsigned int workers;      /* that the command was told; 0: nobody said where it is told */
	bool processes;            /* a command that does the same with processes is known */
	bool may_go_first;         /* priorities may be raised */
	double switch_ns;          /* that one costs here; 0: not known */
};

/* How a run differs from another. */
struct trial_change {
	unsigned int cpus; /* that it may use */
	bool pin;          /* each thread to one of them, in turns */
	int nice;
	bool realtime;
	unsigned int interval_ms; /* of Python's; 0: its own */
	unsigned int workers;     /* 0: as recorded */
	bool processes;           /* the other command */
};

struct trial_plan {
	struct trial_change change;
	double low, high;
	char what[160], experiment[200]; /* as in struct verdict */
	char caveat[200];                /* what may make it wrong, a sentence; "" */
	char why[200];                   /* it cannot be tried: why not, a half sentence */
};

/* The names in their order; NULL beyond the last one. */
const char *trial_name(size_t i);

/* False: it cannot be tried, or there is nothing to be seen; then only ret->why is set. */
bool trial_plan(size_t i, const struct trial_bench *b, struct trial_plan *ret);

#endif
