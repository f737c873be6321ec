// SPDX-License-Identifier: GPL-2.0-only
/* The experiments, in turns with the run as it was, and what they say of the predictions: see verify.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/trial_run.h"
#include "cli/verify.h"

#define TRIALS_MAX 16

struct times {
	uint64_t ns[VERIFY_REPEATS];
	double median, spread; /* spread: of the median */
};

/* One that is tried. */
struct tried {
	size_t trial;
	struct trial_plan plan;
	struct times times;
	char why[200]; /* it told nothing: why; "" */
};

struct session {
	const struct trial_bench *b;
	struct trial_runner *r;
	struct times as_it_was;
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

static int run_tried(struct session *s, struct tried *t, int round, struct err *err)
{
	struct trial_ran ran;
	int r;

	if (*t->why)
		return 0;
	r = trial_run(s->r, &t->plan.change, &ran, err);
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

/* In turns: what drifts drifts under all. */
static int run_rounds(struct session *s, struct err *err)
{
	const struct trial_change nothing = { .cpus = s->b->facts->replay->cpus };
	struct trial_ran ran;
	int r = 0;

	for (int round = 0; round < VERIFY_REPEATS && !r; round++) {
		r = trial_run(s->r, &nothing, &ran, err);
		s->as_it_was.ns[round] = ran.wall_ns;
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
		.noise = s->as_it_was.spread > t->times.spread ? s->as_it_was.spread :
								 t->times.spread,
		.noise_known = true,
	};
	snprintf(v->what, sizeof(v->what), "%s%s", prefix, t->plan.what);
	snprintf(v->experiment, sizeof(v->experiment),
		 "%.150s, %d times, in turns with the command as it was", t->plan.experiment,
		 VERIFY_REPEATS);
	verdict_decide(v);
	if (v->word != VERDICT_HOLDS)
		snprintf(v->because, sizeof(v->because), "%s", t->plan.caveat);
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
