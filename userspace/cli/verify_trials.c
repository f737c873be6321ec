// SPDX-License-Identifier: GPL-2.0-only
/* The experiments, in turns with the run as it was, and what they say of the predictions: see verify.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/trial_run.h"
#include "cli/verify.h"

#define TRIALS_MAX 16
#define CAPACITY_BUDGET_NS (60 * NSEC_PER_MSEC)

struct times {
	uint64_t ns[VERIFY_REPEATS];
	double median, spread; /* spread: of the median */
};

/* What the CPUs were worth before and after each of some runs. */
struct around {
	struct capacity at[2 * VERIFY_REPEATS];
	size_t nr;
};

/* One that is tried. */
struct tried {
	size_t trial;
	struct trial_plan plan;
	struct times times;
	struct around around; /* its runs */
	char why[200];        /* it told nothing: why; "" */
};

struct session {
	const struct trial_bench *b;
	struct trial_runner *r;
	struct times as_it_was;
	double off; /* the largest difference of such a run to the recorded one, as a share of that */
	struct around around; /* the runs as it was */
	struct capacity last; /* as measured last; cpus 0: it cannot be */
	struct tried tried[TRIALS_MAX];
	size_t nr;
};

static bool named(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = names; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
		if (!strncmp(at, name, len) && (at[len] == ',' || !at[len]))
			return true;
	return !names;
}

int verify_check_names(const char *names, struct err *err)
{
	char all[200] = "";
	size_t len = 0;

	for (size_t i = 0; trial_name(i); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
					trial_name(i));
	for (const char *at = names; at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
		bool known = false;

		for (size_t i = 0; trial_name(i); i++)
			known |= strcspn(at, ",") == strlen(trial_name(i)) &&
				 !strncmp(at, trial_name(i), strlen(trial_name(i)));
		if (!known)
			return err_set(err, -EINVAL, "there is no experiment '%.*s': there are %s",
				       (int)(strcspn(at, ",") < 40 ? strcspn(at, ",") : 40), at,
				       all);
	}
	return 0;
}

static void leave_out(struct verified *v, const char *name, const char *why)
{
	if (v->nr_not_tried == VERIFY_MAX)
		return;
	v->not_tried[v->nr_not_tried].name = name;
	snprintf(v->not_tried[v->nr_not_tried++].why, sizeof(v->not_tried[0].why), "%s", why);
}

static void plan_all(struct session *s, const char *names, struct verified *ret)
{
	for (size_t i = 0; trial_name(i) && s->nr < TRIALS_MAX; i++) {
		struct tried *t = &s->tried[s->nr];

		if (!named(names, trial_name(i)))
			continue;
		t->trial = i;
		if (trial_plan(i, s->b, &t->plan))
			s->nr++;
		else
			leave_out(ret, trial_name(i), t->plan.why);
	}
}

/* ---- the runs ---- */

static void add_capacity(struct around *to, const struct capacity *now)
{
	if (now->cpus && to->nr < 2 * VERIFY_REPEATS)
		to->at[to->nr++] = *now;
}

static void measure_capacity(struct session *s)
{
	s->last = (struct capacity){};
	lab_capacity((unsigned int)s->b->facts->stack->workers, CAPACITY_BUDGET_NS, &s->last);
}

/* A run between two measurements of what the CPUs are worth together: that drifts with the host. */
static int run_between(struct session *s, const struct trial_change *change, struct around *around,
		       struct trial_ran *ret, struct err *err)
{
	int r;

	add_capacity(around, &s->last);
	r = trial_run(s->r, change, ret, err);
	measure_capacity(s);
	add_capacity(around, &s->last);
	return r;
}

static int run_tried(struct session *s, struct tried *t, int round, struct err *err)
{
	struct trial_ran ran = {};
	int r;

	if (*t->why)
		return 0;
	r = run_between(s, &t->plan.change, &t->around, &ran, err);
	t->times.ns[round] = ran.wall_ns;
	if (!r && ran.ignored)
		snprintf(t->why, sizeof(t->why), "no Python took the interval from outside");
	/* each thread pinned to one CPU by us is as it should be */
	else if (!r && ran.cpus && ran.cpus != t->plan.change.cpus && !t->plan.change.pin)
		snprintf(
			t->why, sizeof(t->why),
			"the command chooses its CPUs itself, so they cannot be changed from outside");
	return r;
}

/* The prediction is made from the recorded run: one that took another time tells how far that is to be trusted. */
static double off_recorded(const struct session *s, const struct trial_ran *ran)
{
	double recorded = (double)s->b->facts->replay->measured_ns;

	return ran->traced_ns && recorded > 0 ? fabs((double)ran->traced_ns / recorded - 1) : 0;
}

/* In turns: what drifts drifts under all. */
static int run_rounds(struct session *s, struct err *err)
{
	const struct trial_change nothing = { .cpus = s->b->facts->replay->cpus };
	struct trial_ran ran = {};
	int r = 0;

	measure_capacity(s);
	for (int round = 0; round < VERIFY_REPEATS && !r; round++) {
		r = run_between(s, &nothing, &s->around, &ran, err);
		s->as_it_was.ns[round] = ran.wall_ns;
		s->off = fmax(s->off, off_recorded(s, &ran));
		for (size_t i = 0; i < s->nr && !r; i++)
			r = run_tried(s, &s->tried[i], round, err);
	}
	return r;
}

/* ---- the verdicts ---- */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sum_up(struct times *t)
{
	qsort(t->ns, VERIFY_REPEATS, sizeof(t->ns[0]), by_value);
	t->median = (double)t->ns[VERIFY_REPEATS / 2];
	t->spread = t->median > 0 ? (double)(t->ns[VERIFY_REPEATS - 1] - t->ns[0]) / t->median : 0;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sum_up_capacity(const struct around *from, struct verified_capacity *ret)
{
	double worth[2 * VERIFY_REPEATS], times[2 * VERIFY_REPEATS];
	size_t nr = from->nr;

	*ret = (struct verified_capacity){};
	if (!nr)
		return;
	for (size_t i = 0; i < nr; i++) {
		worth[i] = from->at[i].worth;
		times[i] = from->at[i].inflation;
	}
	qsort(worth, nr, sizeof(*worth), by_size);
	qsort(times, nr, sizeof(*times), by_size);
	*ret = (struct verified_capacity){ .cpus = from->at[0].cpus,
					   .nr = (unsigned int)nr,
					   .worth = worth[nr / 2],
					   .worth_min = worth[0],
					   .worth_max = worth[nr - 1],
					   .times = times[nr / 2],
					   .times_min = times[0],
					   .times_max = times[nr - 1] };
}

/* What may make it wrong. */
static void tell_why(const struct tried *t, const struct verified_capacity *now,
		     const struct verified_capacity *was, struct verdict *v)
{
	bool drifted = now->nr && was->nr &&
		       (now->times_max < was->times_min || now->times_min > was->times_max);

	if (v->word == VERDICT_HOLDS)
		return;
	snprintf(v->because, sizeof(v->because), "%s%s%s", t->plan.caveat,
		 *t->plan.caveat && drifted ? " " : "",
		 drifted ? "What the CPUs are worth together changed meanwhile, which may be why." :
			   "");
}

static void decide(const struct session *s, struct tried *t, const char *prefix,
		   struct verified *ret)
{
	struct verdict *v = &ret->verdict[ret->nr];

	if (*t->why || ret->nr == VERIFY_MAX) {
		leave_out(ret, trial_name(t->trial), t->why);
		return;
	}
	sum_up(&t->times);
	*v = (struct verdict){
		.low = t->plan.low,
		.high = t->plan.high,
		.measured = t->times.median > 0 ? s->as_it_was.median / t->times.median : 0,
		.noise = fmax(fmax(s->as_it_was.spread, t->times.spread),
			      fmax(s->off, REPLAY_OFF_MAX)),
		.noise_known = true,
	};
	snprintf(v->what, sizeof(v->what), "%s%s", prefix, t->plan.what);
	snprintf(v->experiment, sizeof(v->experiment),
		 "%.150s, %d times, in turns with the command as it was", t->plan.experiment,
		 VERIFY_REPEATS);
	verdict_decide(v);
	sum_up_capacity(&t->around, &ret->capacity[ret->nr]);
	sum_up_capacity(&s->around, &ret->as_it_was[ret->nr]);
	tell_why(t, &ret->capacity[ret->nr], &ret->as_it_was[ret->nr], v);
	ret->name[ret->nr++] = trial_name(t->trial);
}

int verify_trials(const struct trial_bench *b, struct trial_runner *r, const char *names,
		  const char *prefix, struct verified *ret, struct err *err)
{
	struct session *s = calloc(1, sizeof(*s));
	int code = 0;

	if (!s)
		return err_sys(err, -ENOMEM, "cannot run the command again");
	s->b = b;
	s->r = r;
	plan_all(s, names, ret);
	if (s->nr)
		code = run_rounds(s, err);
	if (!code)
		sum_up(&s->as_it_was);
	for (size_t i = 0; i < s->nr && !code; i++)
		decide(s, &s->tried[i], prefix, ret);
	free(s);
	return code;
}
