/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scaling curve: one program run with n = 1, 2, 4 ... workers (or CPUs), what each run's trace says, and the laws fitted to it.
 *
 *   traces -> sweep_run_load() -> struct sweep_run --- the median one of each n ---> struct sweep_point
 *   all points -> sweep_conclude() -> speedup, Karp-Flatt's e and what it is made of; the fits; whether they agree with the measurement
 *
 * What n workers lose. Their time is n T(n), and one worker's is T(1), so Karp and Flatt's serial fraction (fit.h) is
 *
 *     e(n) = (n T(n) - T(1)) / ((n - 1) T(1))
 *
 * and n T(n) is the sum of the lanes' parts (lanes.h). So e(n) is, exactly, the sum of what each part has more of than in the run of one
 * worker, over (n - 1) T(1): the shares below. By the laws, e(n) is s (Amdahl) or sigma + kappa n (USL). So Amdahl's s and USL's sigma
 * are compared with the share of exclusive holding, and kappa with the share of inflation, over n.
 */
#ifndef WHYSCALE_ANALYSIS_SWEEP_H
#define WHYSCALE_ANALYSIS_SWEEP_H

#include "analysis/experiment.h"
#include "analysis/fit.h"
#include "analysis/inflation.h"

/* One recording. */
struct sweep_run {
	uint64_t wall_ns;      /* from letting the command go to the end of its last thread */
	struct experiment run; /* nr: n; its workers stand for the lanes: no tids */
	struct stack stack;    /* without a reference, until sweep_conclude() */
	int64_t exclusive_ns, oncpu_ns; /* see struct lanes */
	uint64_t wanted_ns, crowded_ns;
};

/*
 * Loads the trace of a run with n workers that could use `cpus` CPUs. Without BPF only the kernel's books tell: time on a CPU and in
 * the run queue; the rest is untracked, and exclusive_ns is -1. Release with sweep_run_free().
 */
int sweep_run_load(const char *trace_path, size_t n, unsigned int cpus, struct sweep_run *ret,
		   struct err *err);
void sweep_run_free(struct sweep_run *r);

/* What e(n) is made of. */
enum sweep_share {
	SHARE_EXCLUSIVE, /* waiting for what only one can have: lanes.h, exclusive_ns */
	SHARE_INFLATION, /* the same work took more CPU time */
	SHARE_QUEUE,     /* ready, without a CPU (throttled too) */
	SHARE_START,     /* spawn and teardown */
	SHARE_IMBALANCE,
	SHARE_ASLEEP, /* sleep and io: of these there was more than in the run of one worker */
	SHARE_OTHER,  /* what is left: other waits, untracked */
	SHARE_NR
};
const char *sweep_share_name(enum sweep_share share);

struct sweep_point {
	unsigned int n;
	char *failed;      /* why there is no result, or NULL. Owned */
	uint64_t *wall_ns; /* [runs], in the order of the recordings. Owned */
	size_t runs;
	struct sweep_run
		median; /* the run with the median wall time (of an even number, the faster of the two) */
	unsigned int capacity_cpus;                  /* so many at once ... */
	double capacity, capacity_min, capacity_max; /* ... were worth these; 0: not measured */
	struct shared_capacity shared;               /* and a turn took so much more CPU time */

	/* by sweep_conclude() */
	uint64_t min_ns, max_ns;
	double speedup, efficiency;       /* over the smallest n */
	double karp_flatt;                /* NAN without n = 1, and for it */
	struct inflation_split inflation; /* of the stack's: over the smallest n */
	double share[SHARE_NR];           /* sum to karp_flatt; NAN likewise */
	bool crowded; /* more than one in ten of the run, more threads wanted a CPU than there were: not fitted */
	double worth; /* of its n workers, when what the CPUs were worth together is divided out; n where it is not known */
};

/* Whether a fitted parameter is what was measured. */
struct sweep_check {
	bool known; /* both are there, and comparable; else `why` */
	const char *why;
	double fitted, se;          /* se: NAN, not known */
	double measured, low, high; /* the mean over the points, and the range */
	double tolerance; /* two standard errors plus half the range, and at least SWEEP_LEAST of a share */
	bool agrees;           /* only where se is known: without it nothing tells */
	double rest[SHARE_NR]; /* mean share of each part: what else there is */
};
#define SWEEP_LEAST 0.02

enum sweep_law { LAW_AMDAHL, LAW_USL, LAW_NR };
enum sweep_what { CHECK_SERIAL, CHECK_SIGMA, CHECK_KAPPA, CHECK_NR };

struct sweep {
	struct sweep_point *point; /* by n, the smallest first. Owned */
	size_t nr;
	unsigned int cpus; /* that the command may use */
	bool limits_cpus;  /* --cpus: n is the number of CPUs */
	bool bpf;
	bool calibrated; /* what switches and migrations cost here is known: */
	struct machine_costs costs;

	/* by sweep_conclude() */
	const struct sweep_point *base;     /* the smallest n that has a result; NULL: none has */
	size_t nr_fitted;                   /* points */
	struct fit fit[LAW_NR];             /* by n, times in ns */
	struct fit divided[LAW_NR];         /* by worth: the capacity of the CPUs divided out */
	struct sweep_check check[CHECK_NR]; /* of fit[], not of divided[] */
};

/* After all runs: sorts nothing, needs the points in order. Splits the stacks by the base's time on a CPU. */
void sweep_conclude(struct sweep *s);

/* A point takes part in the fits. */
bool sweep_fitted(const struct sweep_point *p);

/* Speedup over the base that a fit gives for n; n need not have been measured. */
double sweep_curve(const struct sweep *s, const struct fit *f, double n);

void sweep_free(struct sweep *s);

#endif
