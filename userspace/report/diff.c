// SPDX-License-Identifier: GPL-2.0-only
/* Two sides compared: see diff.h. */
#include "report/diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *diff_verdict_name(enum diff_verdict verdict)
{
	static const char *const names[] = { "same", "within noise", "beyond noise",
					     "noise unknown" };

	return names[verdict];
}

/* ---- one value ---- */

/* Where Student's t with so many degrees of freedom lies with a probability of 0.1 % on both sides together; any table has it. */
static double critical(size_t freedom)
{
	static const double t[] = { 0,     636.6, 31.60, 12.92, 8.610, 6.869, 5.959,
				    5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221,
				    4.140, 4.073, 4.015, 3.965, 3.922, 3.883, 3.850 };
	size_t last = sizeof(t) / sizeof(t[0]) - 1;

	return t[freedom < last ? freedom : last];
}

typedef double (*value_fn)(const struct account *a, const void *arg);

struct sample {
	size_t nr;
	double mean, min, max, squares; /* squares: of the distances from the mean, summed */
};

static struct sample sample_of(const struct diff_side *side, value_fn fn, const void *arg)
{
	struct sample s = { .nr = side->nr, .min = INFINITY, .max = -INFINITY };

	for (size_t i = 0; i < side->nr; i++) {
		double v = fn(&side->account[i], arg);

		s.mean += v / (double)side->nr;
		s.min = v < s.min ? v : s.min;
		s.max = v > s.max ? v : s.max;
	}
	for (size_t i = 0; i < side->nr; i++) {
		double v = fn(&side->account[i], arg) - s.mean;

		s.squares += v * v;
	}
	return s;
}

/* grain: of one recording's value, that chance moves it by so much at least, though these few happened to be equal. */
static enum diff_verdict judge(const struct sample *a, const struct sample *b, double tiny,
			       double grain)
{
	double change = fabs(b->mean - a->mean), variance;
	size_t freedom = a->nr + b->nr - 2;

	if (change == 0 && a->min == b->min && a->max == b->max)
		return DIFF_SAME;
	if (!freedom)
		return DIFF_NOISE_UNKNOWN;
	variance = fmax((a->squares + b->squares) / (double)freedom, grain * grain) *
		   (1.0 / (double)a->nr + 1.0 / (double)b->nr);
	return change > tiny && change > critical(freedom) * sqrt(variance) ? DIFF_BEYOND_NOISE :
									      DIFF_WITHIN_NOISE;
}

/* tiny: what is not worth a claim; below 0: a share of the value. grain: see judge(). */
static struct diff_value value(const struct diff *d, value_fn fn, const void *arg, double tiny,
			       double grain)
{
	struct sample a = sample_of(&d->a, fn, arg), b = sample_of(&d->b, fn, arg);

	if (tiny < 0)
		tiny = -tiny * (a.mean > b.mean ? a.mean : b.mean);
	return (struct diff_value){ .a = a.mean,
				    .b = b.mean,
				    .a_min = a.min,
				    .a_max = a.max,
				    .b_min = b.min,
				    .b_max = b.max,
				    .verdict = judge(&a, &b, tiny, grain) };
}

/* ---- what is compared ---- */

static double wall_of(const struct account *a, const void *arg)
{
	(void)arg;
	return (double)a->wall_ns;
}

/* arg: the offset of a count in an account. */
static double count_of(const struct account *a, const void *arg)
{
	uint64_t n;

	memcpy(&n, (const char *)a + *(const size_t *)arg, sizeof(n));
	return (double)n;
}

static double class_of(const struct account *a, const void *arg)
{
	return (double)a->ledger_ns[*(const int *)arg];
}

static double share_of(const struct account *a, const void *arg)
{
	double all = 0;

	for (int c = 0; c < CLASS_NR; c++)
		all += (double)a->ledger_ns[c];
	return all > 0 ? (double)a->ledger_ns[*(const int *)arg] / all : 0;
}

static double per_worker_of(const struct account *a, const void *arg)
{
	return (double)a->ledger_ns[*(const int *)arg] / (double)(a->workers ? a->workers : 1);
}

static const struct account_lock *lock_in(const struct account *a, const char *name)
{
	for (size_t i = 0; i < a->nr_locks; i++)
		if (!strcmp(a->lock[i].name, name))
			return &a->lock[i];
	return NULL;
}

static double lock_wait_of(const struct account *a, const void *arg)
{
	const struct account_lock *lock = lock_in(a, arg);

	return lock ? (double)lock->wait_ns : 0;
}

static double lock_waits_of(const struct account *a, const void *arg)
{
	const struct account_lock *lock = lock_in(a, arg);

	return lock ? (double)lock->waits : 0;
}

static double lost_of(const struct account *a, const void *arg)
{
	double ns = 0;

	for (size_t i = 0; i < a->nr_findings; i++)
		if (!strcmp(a->finding[i].cause, arg))
			ns += (double)a->finding[i].lost_ns;
	return ns;
}

/* ---- lists: what either side has ---- */

static double change_of(const struct diff_value *v)
{
	return fabs(v->b - v->a);
}

static int lock_by_change(const void *x, const void *y)
{
	double a = change_of(&((const struct diff_lock *)x)->wait_ns);
	double b = change_of(&((const struct diff_lock *)y)->wait_ns);

	return a > b ? -1 : a < b;
}

static int finding_by_change(const void *x, const void *y)
{
	double a = change_of(&((const struct diff_finding *)x)->lost_ns);
	double b = change_of(&((const struct diff_finding *)y)->lost_ns);

	return a > b ? -1 : a < b;
}

static bool has_lock(const struct diff *d, const char *name)
{
	for (size_t i = 0; i < d->nr_locks; i++)
		if (!strcmp(d->lock[i].name, name))
			return true;
	return false;
}

/* Compared are the longest waited for of each recording. */
#define LOCKS_OF_EACH 50

static void add_locks(struct diff *d, const struct diff_side *side, double tiny)
{
	for (size_t i = 0; i < side->nr; i++)
		for (size_t k = 0; k < side->account[i].nr_locks && k < LOCKS_OF_EACH; k++) {
			const char *name = side->account[i].lock[k].name;

			if (has_lock(d, name))
				continue;
			d->lock[d->nr_locks++] = (struct diff_lock){
				.name = name,
				.wait_ns = value(d, lock_wait_of, name, tiny, 0),
				.waits = value(d, lock_waits_of, name, -DIFF_COUNT_MIN,
					       DIFF_COUNT_GRAIN),
			};
		}
}

static const char *status_of(const struct diff_value *v)
{
	if (v->a == 0)
		return "new";
	if (v->b == 0)
		return "gone";
	return v->b > v->a ? "larger" : v->b < v->a ? "smaller" : "unchanged";
}

static void add_findings(struct diff *d, const struct diff_side *side, double tiny)
{
	for (size_t i = 0; i < side->nr; i++)
		for (size_t k = 0; k < side->account[i].nr_findings; k++) {
			const char *cause = side->account[i].finding[k].cause;
			struct diff_finding *f = d->finding;

			while (f < d->finding + d->nr_findings && strcmp(f->cause, cause) != 0)
				f++;
			if (f < d->finding + d->nr_findings)
				continue;
			f->cause = cause;
			f->lost_ns = value(d, lost_of, cause, tiny, 0);
			f->status = status_of(&f->lost_ns);
			d->nr_findings++;
		}
}

static size_t most_findings(const struct diff_side *side)
{
	size_t nr = 0;

	for (size_t i = 0; i < side->nr; i++)
		nr += side->account[i].nr_findings;
	return nr;
}

int diff_make(struct diff_side a, struct diff_side b, struct diff *ret_diff)
{
	static const size_t threads = offsetof(struct account, threads),
			    workers = offsetof(struct account, workers),
			    voluntary = offsetof(struct account, voluntary),
			    involuntary = offsetof(struct account, involuntary),
			    migrations = offsetof(struct account, migrations);
	struct diff *d = ret_diff;
	double tiny;

	*d = (struct diff){ .a = a, .b = b };
	d->lock = calloc((a.nr + b.nr) * LOCKS_OF_EACH + 1, sizeof(*d->lock));
	d->finding = calloc(most_findings(&a) + most_findings(&b) + 1, sizeof(*d->finding));
	if (!d->lock || !d->finding) {
		diff_free(d);
		return -ENOMEM;
	}
	d->wall_ns = value(d, wall_of, NULL, -DIFF_TIME_MIN, 0);
	tiny = DIFF_TIME_MIN * (d->wall_ns.a > d->wall_ns.b ? d->wall_ns.a : d->wall_ns.b);
	d->threads = value(d, count_of, &threads, 0, 0);
	d->workers = value(d, count_of, &workers, 0, 0);
	d->voluntary = value(d, count_of, &voluntary, -DIFF_COUNT_MIN, DIFF_COUNT_GRAIN);
	d->involuntary = value(d, count_of, &involuntary, -DIFF_COUNT_MIN, DIFF_COUNT_GRAIN);
	d->migrations = value(d, count_of, &migrations, -DIFF_COUNT_MIN, DIFF_COUNT_GRAIN);
	for (int c = 0; c < CLASS_NR; c++)
		d->class[c] = (struct diff_class){
			.time = value(d, class_of, &c, tiny, 0),
			.share = value(d, share_of, &c, DIFF_TIME_MIN, 0),
			.per_worker = value(d, per_worker_of, &c, tiny, 0),
		};
	add_locks(d, &d->a, tiny);
	add_locks(d, &d->b, tiny);
	add_findings(d, &d->a, tiny);
	add_findings(d, &d->b, tiny);
	qsort(d->lock, d->nr_locks, sizeof(*d->lock), lock_by_change);
	qsort(d->finding, d->nr_findings, sizeof(*d->finding), finding_by_change);
	return 0;
}

void diff_free(struct diff *d)
{
	free(d->lock);
	free(d->finding);
	*d = (struct diff){};
}
