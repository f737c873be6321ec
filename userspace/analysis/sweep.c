// SPDX-License-Identifier: GPL-2.0-only
/* The curve, what its losses are made of, the fits, and whether these agree: see sweep.h. */
#include "analysis/sweep.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define CROWDED 0.1 /* of the run */
/* A tolerance beyond this share of the larger of the fitted value and its unit (1, or 1 / n for kappa) compares nothing. */
#define COMPARABLE 0.2

const char *sweep_share_name(enum sweep_share share)
{
	static const char *const names[SHARE_NR] = {
		[SHARE_EXCLUSIVE] = "exclusive", [SHARE_INFLATION] = "inflation",
		[SHARE_QUEUE] = "run_queue",     [SHARE_START] = "start",
		[SHARE_IMBALANCE] = "imbalance", [SHARE_ASLEEP] = "io_sleep",
		[SHARE_OTHER] = "other",
	};

	return names[share];
}

bool sweep_fitted(const struct sweep_point *p)
{
	return !p->failed && !p->crowded;
}

/* ---- a point ---- */

static void take_spread(struct sweep_point *p)
{
	p->min_ns = p->max_ns = p->median.wall_ns;
	for (size_t i = 0; i < p->runs; i++) {
		p->min_ns = p->wall_ns[i] < p->min_ns ? p->wall_ns[i] : p->min_ns;
		p->max_ns = p->wall_ns[i] > p->max_ns ? p->wall_ns[i] : p->max_ns;
	}
}

static void split_stack(struct sweep_point *p, const struct sweep_point *base)
{
	int64_t *part = p->median.stack.part_ns;
	int64_t reference = base->median.stack.part_ns[STACK_USEFUL];

	if (p == base || reference <= 0)
		return;
	part[STACK_INFLATION] = part[STACK_USEFUL] - reference;
	part[STACK_USEFUL] = reference;
	p->median.stack.has_reference = true;
}

/*
 * What its workers were worth: the part of what they did that was on a CPU is worth what so many CPUs were together; sleeping
 * or waiting for a device costs no CPU, and scales.
 */
static double worth(const struct sweep_point *p)
{
	const int64_t *part = p->median.stack.part_ns;
	double oncpu = (double)p->median.oncpu_ns;
	double other = (double)(part[STACK_SLEEP] + part[STACK_IO]), each, n = p->n;

	if (p->n < 2 || !(p->capacity > 0) || !p->capacity_cpus || !(oncpu + other > 0))
		return n;
	each = p->capacity / p->capacity_cpus;
	if (each >= 1)
		return n;
	return fmax(1, n * (1 - oncpu / (oncpu + other) * (1 - each)));
}

static void take_shares(struct sweep_point *p, const struct sweep_point *one)
{
	const int64_t *part = p->median.stack.part_ns, *first = one->median.stack.part_ns;
	double whole = (double)(p->n - 1) * (double)one->median.wall_ns, sum = 0;
	static const struct {
		enum sweep_share share;
		enum stack_part part[3];
		int nr;
	} simple[] = {
		{ SHARE_INFLATION, { STACK_INFLATION }, 1 },
		{ SHARE_QUEUE, { STACK_RUNQ_PREEMPTED, STACK_RUNQ_WAKEUP, STACK_THROTTLED }, 3 },
		{ SHARE_START, { STACK_SPAWN, STACK_TEARDOWN }, 2 },
		{ SHARE_IMBALANCE, { STACK_IMBALANCE }, 1 },
		{ SHARE_ASLEEP, { STACK_IO, STACK_SLEEP }, 2 },
	};

	p->share[SHARE_EXCLUSIVE] =
		(double)(p->median.exclusive_ns - one->median.exclusive_ns) / whole;
	sum = p->share[SHARE_EXCLUSIVE];
	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
		double ns = 0;

		for (int k = 0; k < simple[i].nr; k++)
			ns += (double)(part[simple[i].part[k]] - first[simple[i].part[k]]);
		p->share[simple[i].share] = ns / whole;
		sum += ns / whole;
	}
	p->share[SHARE_OTHER] = p->karp_flatt - sum;
}

static void take_point(const struct sweep *s, struct sweep_point *p)
{
	const struct sweep_point *base = s->base;

	take_spread(p);
	split_stack(p, base);
	inflation_make(&p->median.run, p == base ? NULL : &base->median.run, &p->median.stack,
		       &p->shared, s->calibrated ? &s->costs : NULL, &p->inflation);
	p->speedup = p->median.wall_ns ? (double)base->median.wall_ns / (double)p->median.wall_ns :
					 0;
	p->efficiency = p->speedup * base->n / p->n;
	p->karp_flatt = NAN;
	for (int i = 0; i < SHARE_NR; i++)
		p->share[i] = NAN;
	if (base->n == 1 && p->n > 1 && base->median.wall_ns) {
		p->karp_flatt = fit_karp_flatt(p->speedup, p->n);
		if (s->bpf)
			take_shares(p, base);
	}
	p->crowded =
		!s->limits_cpus && p->n > s->cpus &&
		(!s->bpf || (double)p->median.crowded_ns > CROWDED * (double)p->median.wall_ns);
	p->worth = worth(p);
}

/* ---- the fits ---- */

static void fit_all(struct sweep *s)
{
	_cleanup_(free_p) struct fit_sample *by_n = NULL, *by_worth = NULL;
	size_t room = 0, nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		room += s->point[i].runs;
	by_n = calloc(room + 1, sizeof(*by_n));
	by_worth = calloc(room + 1, sizeof(*by_worth));
	for (size_t i = 0; by_n && by_worth && i < s->nr; i++) {
		const struct sweep_point *p = &s->point[i];

		if (!sweep_fitted(p))
			continue;
		s->nr_fitted++;
		for (size_t k = 0; k < p->runs; k++) {
			double time = (double)p->wall_ns[k];

			by_n[nr] = (struct fit_sample){ p->n, time };
			by_worth[nr++] = (struct fit_sample){ p->worth, time };
		}
	}
	for (int law = 0; law < LAW_NR; law++) {
		enum fit_model model = law == LAW_USL ? FIT_USL : FIT_AMDAHL;

		fit_make(model, by_n, nr, &s->fit[law]);
		fit_make(model, by_worth, nr, &s->divided[law]);
	}
}

double sweep_curve(const struct sweep *s, const struct fit *f, double n)
{
	return (double)s->base->median.wall_ns / fit_time(f, n);
}

/* ---- whether they agree ---- */

static double measured_of(const struct sweep_point *p, enum sweep_what what)
{
	return what == CHECK_KAPPA ? p->share[SHARE_INFLATION] / p->n : p->share[SHARE_EXCLUSIVE];
}

static void take_measured(const struct sweep *s, enum sweep_what what, struct sweep_check *c)
{
	double nr = 0;

	c->low = INFINITY;
	c->high = -INFINITY;
	for (size_t i = 0; i < s->nr; i++) {
		const struct sweep_point *p = &s->point[i];
		double value = sweep_fitted(p) && p->n > 1 ? measured_of(p, what) : NAN;

		if (isnan(value))
			continue;
		nr++;
		c->measured += value;
		c->low = fmin(c->low, value);
		c->high = fmax(c->high, value);
		for (int k = 0; k < SHARE_NR; k++)
			c->rest[k] += p->share[k];
	}
	for (int k = 0; k < SHARE_NR; k++)
		c->rest[k] /= nr;
	c->measured /= nr; /* NAN of none */
}

static void check(const struct sweep *s, enum sweep_what what, struct sweep_check *c)
{
	const struct fit *f = &s->fit[what == CHECK_SERIAL ? LAW_AMDAHL : LAW_USL];
	enum fit_parameter parameter = what == CHECK_KAPPA ? FIT_KAPPA : FIT_SIGMA;
	double least = SWEEP_LEAST;

	take_measured(s, what, c);
	c->se = NAN;
	c->why = !s->bpf ? "without scheduler events it is not known what the workers waited for" :
		 !f->ok  ? f->why :
		 isnan(c->measured) ? "that needs a run with n = 1 beside the others" :
				      NULL;
	if (c->why)
		return;
	c->known = true;
	c->fitted = f->value[parameter];
	c->se = f->se[parameter];
	/* kappa counts n times in e(n) */
	for (size_t i = 0; what == CHECK_KAPPA && i < s->nr; i++)
		if (sweep_fitted(&s->point[i]))
			least = SWEEP_LEAST / s->point[i].n;
	c->tolerance = fmax(least, (isnan(c->se) ? 0 : 2 * c->se) + (c->high - c->low) / 2);
	if (c->tolerance > COMPARABLE * fmax(c->fitted, least / SWEEP_LEAST)) {
		c->known = false;
		c->why =
			"its standard error is too large: the curve does not follow that law, or the runs differ (--repeat "
			"shows by how much)";
	}
	c->agrees = fabs(c->fitted - c->measured) <= c->tolerance;
}

void sweep_conclude(struct sweep *s)
{
	for (size_t i = 0; i < s->nr && !s->base; i++)
		if (!s->point[i].failed)
			s->base = &s->point[i];
	/* the base last: the others' stacks are split by its undivided one */
	for (size_t i = s->nr; s->base && i-- > 0;)
		if (!s->point[i].failed)
			take_point(s, &s->point[i]);
	fit_all(s);
	for (int what = 0; what < CHECK_NR; what++)
		check(s, (enum sweep_what)what, &s->check[what]);
}

void sweep_free(struct sweep *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		sweep_run_free(&s->point[i].median);
		free(s->point[i].failed);
		free(s->point[i].wall_ns);
	}
	free(s->point);
	*s = (struct sweep){};
}
