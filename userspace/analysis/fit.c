// SPDX-License-Identifier: GPL-2.0-only
/* Scaling laws by bounded non-linear least squares: see fit.h. */
#include "analysis/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NR FIT_PARAMETERS
#define STEPS_MAX 500
#define SAME_N 0.01

/* What is fitted: the logarithm of T(1), then sigma and kappa as they are. */
struct problem {
	const struct fit_sample *sample;
	size_t nr, parameters;
	double scale; /* a typical time: logarithms are of time / scale */
};

static const double lower[NR] = { -INFINITY, 0, 0 }, upper[NR] = { INFINITY, 1, INFINITY };

size_t fit_parameters(enum fit_model model)
{
	return model == FIT_USL ? 3 : 2;
}

/* 1 + sigma (n - 1) + kappa n (n - 1): what n workers need in all, in units of T(1). */
static double cost(const double *p, double n)
{
	return 1 + p[FIT_SIGMA] * (n - 1) + p[FIT_KAPPA] * n * (n - 1);
}

static double residual(const struct problem *q, const double *p, size_t i)
{
	double n = q->sample[i].n;

	return log(q->sample[i].time / q->scale) - p[FIT_ONE] - log(cost(p, n) / n);
}

static double squares(const struct problem *q, const double *p)
{
	double sum = 0;

	for (size_t i = 0; i < q->nr; i++)
		sum += residual(q, p, i) * residual(q, p, i);
	return sum;
}

/* J'J and J'r at p, J the derivatives of ln T(n) by the parameters. */
static void normal(const struct problem *q, const double *p, double jj[NR][NR], double jr[NR])
{
	memset(jj, 0, sizeof(double[NR][NR]));
	memset(jr, 0, sizeof(double[NR]));
	for (size_t i = 0; i < q->nr; i++) {
		double n = q->sample[i].n, g = cost(p, n), r = residual(q, p, i);
		double j[NR] = { 1, (n - 1) / g, n * (n - 1) / g };

		for (size_t a = 0; a < q->parameters; a++) {
			jr[a] += j[a] * r;
			for (size_t b = 0; b < q->parameters; b++)
				jj[a][b] += j[a] * j[b];
		}
	}
}

/* Solves m x = b for the parameters that are free, by elimination with pivots; the others' x is 0. False: singular. */
static bool solve(double m[NR][NR], const double *b, const bool *held, size_t nr, double *x)
{
	double a[NR][NR + 1];
	size_t index[NR], free_nr = 0;

	for (size_t i = 0; i < nr; i++)
		if (!held[i])
			index[free_nr++] = i;
	for (size_t i = 0; i < free_nr; i++) {
		for (size_t k = 0; k < free_nr; k++)
			a[i][k] = m[index[i]][index[k]];
		a[i][free_nr] = b[index[i]];
	}
	for (size_t c = 0; c < free_nr; c++) {
		size_t pivot = c;

		for (size_t i = c + 1; i < free_nr; i++)
			pivot = fabs(a[i][c]) > fabs(a[pivot][c]) ? i : pivot;
		if (!(fabs(a[pivot][c]) > 1e-300))
			return false;
		for (size_t k = 0; k <= free_nr; k++) {
			double keep = a[c][k];

			a[c][k] = a[pivot][k];
			a[pivot][k] = keep;
		}
		for (size_t i = 0; i < free_nr; i++) {
			double times = a[i][c] / a[c][c];

			for (size_t k = 0; i != c && k <= free_nr; k++)
				a[i][k] -= times * a[c][k];
		}
	}
	memset(x, 0, sizeof(double[NR]));
	for (size_t i = 0; i < free_nr; i++)
		x[index[i]] = a[i][free_nr] / a[i][i];
	return true;
}

/* A parameter at its bound is held there while the sum would fall further outside. */
static void hold(const double *p, const double *jr, size_t nr, bool *held)
{
	for (size_t i = 0; i < nr; i++)
		held[i] = (p[i] <= lower[i] && jr[i] <= 0) || (p[i] >= upper[i] && jr[i] >= 0);
}

/* One step; true when it made the sum smaller (p and *sum then changed). */
static bool step(const struct problem *q, double damping, double *p, double *sum)
{
	double jj[NR][NR], jr[NR], x[NR], next[NR] = { 0 }, now;
	bool held[NR];

	normal(q, p, jj, jr);
	hold(p, jr, q->parameters, held);
	for (size_t i = 0; i < q->parameters; i++)
		jj[i][i] *= 1 + damping;
	if (!solve(jj, jr, held, q->parameters, x))
		return false;
	for (size_t i = 0; i < q->parameters; i++)
		next[i] = fmin(fmax(p[i] + x[i], lower[i]), upper[i]);
	now = squares(q, next);
	if (!(now < *sum))
		return false;
	memcpy(p, next, sizeof(next));
	*sum = now;
	return true;
}

static double minimise(const struct problem *q, double *p)
{
	double sum = squares(q, p), damping = 1e-3;

	for (int i = 0; i < STEPS_MAX && damping < 1e12 && sum > 0; i++)
		damping = step(q, damping, p, &sum) ? damping / 10 : damping * 10;
	return sum;
}

/* The best of several beginnings: a curve that falls again may have two valleys. */
static double search(const struct problem *q, double *ret_p)
{
	static const double from[][2] = { { 0.1, 0 }, { 0, 0 },   { 0.5, 0.001 },
					  { 0, 0.1 }, { 0.9, 1 }, { 0.02, 10 } };
	double best = INFINITY;

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		double p[NR] = { 0, from[i][0], q->parameters > 2 ? from[i][1] : 0 }, sum;

		for (size_t k = 0; k < q->nr; k++)
			p[FIT_ONE] += residual(q, (double[NR]){ 0, p[1], p[2] }, k) / (double)q->nr;
		sum = minimise(q, p);
		if (sum < best) {
			best = sum;
			memcpy(ret_p, p, sizeof(p));
		}
	}
	return best;
}

/* The i-th entry on the diagonal of the inverse of J'J; NAN when that has none. */
static double inverse_of(double jj[NR][NR], const bool *held, size_t nr, size_t i)
{
	double b[NR] = { 0 }, x[NR];

	b[i] = 1;
	return solve(jj, b, held, nr, x) && x[i] >= 0 ? x[i] : NAN;
}

static void set_errors(const struct problem *q, const double *p, double sum, struct fit *ret)
{
	static const bool none[NR];
	double jj[NR][NR], jr[NR];
	bool enough = q->nr > q->parameters;

	normal(q, p, jj, jr);
	ret->residual = enough ? sqrt(sum / (double)(q->nr - q->parameters)) : NAN;
	for (size_t i = 0; i < q->parameters; i++)
		ret->bound[i] = p[i] <= lower[i] || p[i] >= upper[i];
	for (size_t i = 0; i < q->parameters; i++)
		ret->se[i] = ret->residual * sqrt(inverse_of(jj, ret->bound[i] ? none : ret->bound,
							     q->parameters, i));
	ret->se[FIT_ONE] *= ret->value[FIT_ONE];
	if (!enough)
		snprintf(
			ret->why, sizeof(ret->why),
			"no standard errors: %zu runs for %zu parameters leave nothing over; measure at "
			"more n, or use --repeat",
			q->nr, q->parameters);
}

static size_t count_distinct(const struct fit_sample *sample, size_t nr)
{
	size_t distinct = 0;

	for (size_t i = 0; i < nr; i++) {
		bool before = false;

		for (size_t k = 0; k < i && !before; k++)
			before = fabs(sample[k].n - sample[i].n) < SAME_N;
		distinct += !before;
	}
	return distinct;
}

static bool check(const struct fit_sample *sample, size_t nr, size_t parameters, struct fit *ret)
{
	for (size_t i = 0; i < nr; i++) {
		if (isfinite(sample[i].n) && sample[i].n >= 1 && isfinite(sample[i].time) &&
		    sample[i].time > 0)
			continue;
		snprintf(ret->why, sizeof(ret->why), "a run took no time that could be measured");
		return false;
	}
	if (ret->distinct >= parameters)
		return true;
	snprintf(
		ret->why, sizeof(ret->why),
		"it has %zu parameters, and %zu different n that count: measure at %zu or more (%zu for a "
		"standard error)",
		parameters, ret->distinct, parameters, parameters + 1);
	return false;
}

void fit_make(enum fit_model model, const struct fit_sample *sample, size_t nr, struct fit *ret)
{
	struct problem q = { sample, nr, fit_parameters(model), 1 };
	double p[NR] = { 0 }, sum;

	*ret = (struct fit){ .model = model,
			     .samples = nr,
			     .distinct = count_distinct(sample, nr),
			     .se = { NAN, NAN, NAN },
			     .residual = NAN };
	if (!check(sample, nr, q.parameters, ret))
		return;
	q.scale = sample[0].time;
	sum = search(&q, p);
	if (!isfinite(sum)) {
		snprintf(ret->why, sizeof(ret->why), "the times cannot be fitted");
		return;
	}
	ret->ok = true;
	memcpy(ret->value, p, sizeof(p));
	ret->value[FIT_ONE] = q.scale * exp(p[FIT_ONE]);
	set_errors(&q, p, sum, ret);
}

double fit_time(const struct fit *f, double n)
{
	return f->value[FIT_ONE] * cost(f->value, n) / n;
}

double fit_peak(const struct fit *f)
{
	if (!(f->value[FIT_KAPPA] > 0))
		return INFINITY;
	return sqrt((1 - f->value[FIT_SIGMA]) / f->value[FIT_KAPPA]);
}

double fit_karp_flatt(double speedup, double n)
{
	return n > 1 && speedup > 0 ? (1 / speedup - 1 / n) / (1 - 1 / n) : NAN;
}
