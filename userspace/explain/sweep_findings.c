// SPDX-License-Identifier: GPL-2.0-only
/* A scaling curve in sentences: see sweep_findings.h. */
#include "explain/sweep_findings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain/lock_words.h"

#define CURVE_FINDINGS_MAX 8
#define WANTED_MIN 0.1 /* of the run */
#define NAME_SIZE 24

const char *sweep_share_words(enum sweep_share share)
{
	static const char *const words[SHARE_NR] = {
		[SHARE_EXCLUSIVE] = "waiting for what only one can have",
		[SHARE_INFLATION] = "the same work taking more CPU time",
		[SHARE_QUEUE] = "waiting for a CPU",
		[SHARE_START] = "starting and collecting the workers",
		[SHARE_IMBALANCE] = "workers that had ended while others still worked",
		[SHARE_ASLEEP] = "sleeping longer, or waiting longer for devices",
		[SHARE_OTHER] = "waits of other kinds",
	};

	return words[share];
}

static double thousandths(double value)
{
	return round(value * 1000) / 1000;
}

/* ---- a point ---- */

static double share_waited(const struct stack *s)
{
	return s->workers ? 1 - stack_share(s, STACK_USEFUL) / (double)s->workers : 0;
}

/* `names` are its own and the base's. */
static struct facts facts_of(const struct sweep *s, const struct sweep_point *p,
			     char names[2][NAME_SIZE])
{
	bool base = p == s->base;

	snprintf(names[0], NAME_SIZE, "n=%u", p->n);
	snprintf(names[1], NAME_SIZE, "n=%u", s->base->n);
	return (struct facts){
		.name = names[0],
		.run = &p->median.run,
		.stack = &p->median.stack,
		.baseline_ns = s->base->median.wall_ns,
		.baseline_name = names[1],
		.reference_ns = base || s->base->median.oncpu_ns <= 0 ?
					0 :
					(uint64_t)s->base->median.stack.part_ns[STACK_USEFUL],
		.reference_waited = share_waited(&s->base->median.stack),
		.cpus = s->limits_cpus ? p->n : s->cpus,
		.capacity_cpus = p->capacity_cpus,
		.capacity = p->capacity,
		.capacity_min = p->capacity_min,
		.capacity_max = p->capacity_max,
		.shared = p->shared,
		.replay = &p->median.run.replay,
	};
}

/* ---- the curve ---- */

struct telling {
	const struct sweep *s;
	struct facts facts; /* of the last point that is in the fits */
	const struct sweep_point *last;
	char names[2][NAME_SIZE];
	struct findings *to;
};

/* What the waiting for exclusive things is mostly for, in the last point. */
static const char *mostly(const struct sweep_point *p, const char **ret_cause)
{
	static const struct {
		enum stack_part part;
		const char *cause, *words;
	} kinds[] = {
		{ STACK_LOCK, "lock", "locks" },
		{ STACK_GIL, "gil", "CPython's GIL" },
		{ STACK_KLOCK, "klock", "locks inside the kernel" },
	};
	const int64_t *part = p->median.stack.part_ns;
	int64_t most = p->median.exclusive_ns, left = most;
	size_t of = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		left -= part[kinds[i].part];
		of = part[kinds[i].part] > part[kinds[of].part] ? i : of;
	}
	if (left >= part[kinds[of].part]) {
		*ret_cause = "serial";
		return "one thread working alone while the others had nothing to do";
	}
	*ret_cause = kinds[of].cause;
	return kinds[of].words;
}

static enum sweep_share largest(const double *share, enum sweep_share but)
{
	int most = but == 0 ? 1 : 0;

	for (int i = 0; i < SHARE_NR; i++)
		if (i != (int)but && share[i] > share[most])
			most = i;
	return (enum sweep_share)most;
}

static int add(struct telling *t, const char *cause, const char *about, json_t *evidence,
	       const char *remedy, const char *sentence)
{
	int r;

	if (evidence)
		json_object_set_new(evidence, "about", json_string(about));
	r = finding_make(&t->to->finding[t->to->nr], &t->facts, cause, 0, evidence, remedy, "%s",
			 sentence);
	if (r < 0)
		return r;
	t->to->nr++;
	return 0;
}

/* "0.251 (+-0.003)", or without the error where there is none. */
static void put_value(char *buf, size_t size, const struct sweep_check *c, const struct fit *f,
		      enum fit_parameter parameter, json_t *evidence)
{
	double value = thousandths(c->fitted), se = thousandths(c->se);

	evidence_number(evidence, "fitted", value);
	if (isnan(c->se)) {
		snprintf(buf, size, "%.3f (no standard error)", value);
		return;
	}
	evidence_number(evidence, "se", se);
	snprintf(buf, size, "%.3f (+-%.3f%s)", value, se,
		 f->bound[parameter] ? ", held at its bound" : "");
}

static void put_measured(const struct sweep_check *c, json_t *evidence)
{
	evidence_number(evidence, "measured", thousandths(c->measured));
	evidence_number(evidence, "measured_low", thousandths(c->low));
	evidence_number(evidence, "measured_high", thousandths(c->high));
	evidence_number(evidence, "tolerance", thousandths(c->tolerance));
	json_object_set_new(evidence, "agrees",
			    isnan(c->se) ? json_null() : json_boolean(c->agrees));
}

static const char *verdict(const struct sweep_check *c)
{
	if (isnan(c->se))
		return "Without a standard error it cannot be said whether the measurement agrees";
	return c->agrees ? "The measurement agrees" : "The measurement does not agree";
}

/* ". So the curve bends for another reason: ..." or what stands for the agreement. */
static void put_rest(char *buf, size_t size, const struct sweep_check *c, enum sweep_share own,
		     json_t *evidence)
{
	enum sweep_share most = largest(c->rest, own);
	double share = thousandths(c->rest[most]);

	*buf = '\0';
	if (c->fitted <= c->measured || c->rest[most] < SWEEP_LEAST)
		return;
	json_object_set_new(evidence, "instead", json_string(sweep_share_name(most)));
	evidence_number(evidence, "instead_share", share);
	snprintf(buf, size, "; what the curve loses besides is mostly %s (%.3f)",
		 sweep_share_words(most), share);
}

/* The fit is there, but nothing that it could be compared with, or too uncertain. */
static int tell_unknown(struct telling *t, enum sweep_what what, const char *about)
{
	static const char *const names[CHECK_NR] = { "Amdahl's serial share",
						     "the USL's contention (sigma)",
						     "the USL's coherency (kappa)" };
	const struct sweep_check *c = &t->s->check[what];
	char text[400];

	if (!t->s->fit[what == CHECK_SERIAL ? LAW_AMDAHL : LAW_USL].ok)
		return 0; /* why not stands with the fits */
	snprintf(text, sizeof(text), "Whether %s is what was measured cannot be told: %s.",
		 names[what], c->why);
	return add(t, "none", about, json_pack("{s:n}", "agrees"), "repeat the sweep", text);
}

/* The USL has nothing to say of contention that Amdahl's law has not said. */
static bool says_the_same(const struct sweep *s)
{
	const struct sweep_check *amdahl = &s->check[CHECK_SERIAL], *usl = &s->check[CHECK_SIGMA];

	return amdahl->known && amdahl->agrees == usl->agrees &&
	       isnan(amdahl->se) == isnan(usl->se) &&
	       fabs(amdahl->fitted - usl->fitted) <= amdahl->tolerance;
}

static int tell_contention(struct telling *t, enum sweep_what what)
{
	const struct sweep_check *c = &t->s->check[what];
	bool amdahl = what == CHECK_SERIAL;
	const struct fit *f = &t->s->fit[amdahl ? LAW_AMDAHL : LAW_USL];
	const char *about = amdahl ? "serial" : "contention";
	char value[80], rest[200], limit[80] = "", text[900];
	const char *cause, *of = mostly(t->last, &cause);
	json_t *evidence;

	if (!c->known)
		return tell_unknown(t, what, about);
	evidence = json_object();
	put_value(value, sizeof(value), c, f, FIT_SIGMA, evidence);
	put_measured(c, evidence);
	put_rest(rest, sizeof(rest), c, SHARE_EXCLUSIVE, evidence);
	if (amdahl && c->fitted >= 0.005) {
		double most = finding_tenths(1 / c->fitted);

		evidence_number(evidence, "limit", most);
		snprintf(limit, sizeof(limit), ", so at most %.1f times one worker's speed", most);
	}
	if (!amdahl && says_the_same(t->s))
		snprintf(
			text, sizeof(text),
			"The USL fits a contention (sigma) of %s, and says the same as Amdahl's law.",
			value);
	else
		snprintf(
			text, sizeof(text),
			"%s fits a %s of %s%s. %s: for each worker beyond the first, %.3f of one worker's time "
			"(%.3f to %.3f over the points) was lost to waiting for what only one can have%s%s%s.",
			amdahl ? "Amdahl's law" : "The USL",
			amdahl ? "serial share" : "contention (sigma)", value, limit, verdict(c),
			thousandths(c->measured), thousandths(c->low), thousandths(c->high),
			c->measured >= SWEEP_LEAST ? ", mostly for " : "",
			c->measured >= SWEEP_LEAST ? of : "", c->agrees ? "" : rest);
	return add(t, c->measured >= SWEEP_LEAST ? cause : "none", about, evidence,
		   c->agrees ? "shorten what only one can do at a time" :
			       "look at what the curve really loses, in the findings of the points",
		   text);
}

static uint64_t switches(const struct sweep_point *p)
{
	return p->median.run.voluntary + p->median.run.involuntary;
}

/* What grows with n, and so looks like coherency. */
static void put_growth(char *buf, size_t size, const struct telling *t, const struct sweep_check *c,
		       json_t *evidence)
{
	uint64_t first = switches(t->s->base), now = switches(t->last);

	json_object_set_new(evidence, "switches_first", json_integer((json_int_t)first));
	json_object_set_new(evidence, "switches_last", json_integer((json_int_t)now));
	put_rest(buf, size, c, SHARE_INFLATION, evidence);
	if (c->agrees || *buf)
		*buf = c->agrees ? '\0' : *buf;
	else if (c->fitted > c->measured && now > 2 * first + 100)
		snprintf(
			buf, size,
			"; but the switches grew, from %llu with %s to %llu with %s, and what they cost may be it",
			(unsigned long long)first, t->names[1], (unsigned long long)now,
			t->names[0]);
}

static int tell_coherency(struct telling *t)
{
	const struct sweep_check *c = &t->s->check[CHECK_KAPPA];
	const struct fit *f = &t->s->fit[LAW_USL];
	char value[80], rest[260], peak[80] = "", text[900];
	json_t *evidence;

	if (!c->known)
		return tell_unknown(t, CHECK_KAPPA, "coherency");
	evidence = json_object();
	put_value(value, sizeof(value), c, f, FIT_KAPPA, evidence);
	put_measured(c, evidence);
	put_growth(rest, sizeof(rest), t, c, evidence);
	if (c->fitted > 0.0005 && fit_peak(f) < 1.5) {
		snprintf(peak, sizeof(peak), ", so it is fastest with one worker");
	} else if (c->fitted > 0.0005) {
		double at = finding_tenths(fit_peak(f));

		evidence_number(evidence, "peak_n", at);
		snprintf(peak, sizeof(peak), ", so it is fastest at n = %.1f", at);
	}
	snprintf(
		text, sizeof(text),
		"The USL fits a coherency (kappa) of %s%s. %s: the CPU time of the same work grew by %.3f of one "
		"worker's time for each pair of workers (%.3f to %.3f over the points)%s.",
		value, peak, verdict(c), thousandths(c->measured), thousandths(c->low),
		thousandths(c->high), rest);
	return add(t, c->measured >= c->tolerance ? "inflation" : "none", "coherency", evidence,
		   "share less between workers: data that several write, allocators, counters",
		   text);
}

/* Which points are not in the fits. */
static int tell_points(struct telling *t)
{
	char list[200] = "", text[500];
	unsigned int nr = 0;

	for (size_t i = 0; i < t->s->nr; i++) {
		size_t len = strlen(list);

		if (t->s->point[i].failed || !t->s->point[i].crowded)
			continue;
		snprintf(list + len, sizeof(list) - len, "%s%u", nr ? ", " : "", t->s->point[i].n);
		nr++;
	}
	if (!nr)
		return 0;
	snprintf(
		text, sizeof(text),
		"There %s %u CPU%s: with n = %s the workers took turns on them, which is measured as it is, but tells of "
		"the machine, not of the program; so %s left out of the fits.",
		t->s->cpus == 1 ? "is" : "are", t->s->cpus, t->s->cpus == 1 ? "" : "s", list,
		nr == 1 ? "that point is" : "those points are");
	return add(t, "runqueue", "points",
		   json_pack("{s:s,s:i,s:i}", "left_out", list, "points", (int)nr, "cpus",
			     (int)t->s->cpus),
		   "a machine with more CPUs would tell", text);
}

/* More threads than n had something to do at once. With --cpus that is how it should be. */
static int tell_threads(struct telling *t)
{
	const struct sweep_point *most = NULL;
	double share = WANTED_MIN, percent;
	char text[400];

	for (size_t i = 0; i < t->s->nr && !t->s->limits_cpus; i++) {
		const struct sweep_point *p = &t->s->point[i];

		if (p->failed || (double)p->median.wanted_ns <= share * (double)p->median.wall_ns)
			continue;
		share = (double)p->median.wanted_ns / (double)p->median.wall_ns;
		most = p;
	}
	if (!most)
		return 0;
	percent = finding_percent(share);
	snprintf(
		text, sizeof(text),
		"With n = %u, more than n threads had work to do at once for %.1f %% of the run: n is not the number of "
		"the workers there, and the curve means less than it says.",
		most->n, percent);
	return add(t, "none", "threads",
		   json_pack("{s:i,s:f}", "n", (int)most->n, "more_percent", percent),
		   "see that {n} or the variable really sets the number of workers", text);
}

static int tell_curve(const struct sweep *s, struct findings *ret)
{
	struct telling t = { .s = s, .to = ret };
	int r;

	ret->finding = calloc(CURVE_FINDINGS_MAX, sizeof(*ret->finding));
	if (!ret->finding)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr; i++)
		if (sweep_fitted(&s->point[i]) || (!t.last && !s->point[i].failed))
			t.last = &s->point[i];
	if (!t.last)
		return 0;
	t.facts = facts_of(s, t.last, t.names);
	r = tell_contention(&t, CHECK_SERIAL);
	if (!r)
		r = tell_contention(&t, CHECK_SIGMA);
	if (!r)
		r = tell_coherency(&t);
	if (!r)
		r = tell_points(&t);
	return r ? r : tell_threads(&t);
}

int sweep_findings_make(const struct sweep *s, struct sweep_findings *ret)
{
	int r = 0;

	*ret = (struct sweep_findings){ .point = calloc(s->nr + 1, sizeof(*ret->point)),
					.nr = s->nr };
	if (!ret->point)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr && !r; i++) {
		char names[2][NAME_SIZE];
		struct facts facts;

		if (s->point[i].failed)
			continue;
		facts = facts_of(s, &s->point[i], names);
		r = findings_make(&facts, &ret->point[i]);
	}
	return r ? r : tell_curve(s, &ret->curve);
}

void sweep_findings_free(struct sweep_findings *f)
{
	for (size_t i = 0; f->point && i < f->nr; i++)
		findings_free(&f->point[i]);
	free(f->point);
	findings_free(&f->curve);
	*f = (struct sweep_findings){};
}
