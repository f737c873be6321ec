// SPDX-License-Identifier: GPL-2.0-only
/* What --verify shows, and the strategies' part of it: see verify.h. */
#include "cli/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/trial_run.h"
#include "report/text.h"
#include "strategy/strategy_args.h"

#define CAPACITY_STEADY 1.1 /* the most and the least CPU time of a turn do not differ by more */

/* ---- whyscale run ---- */

static const struct run_entry *entry_of(const struct lab *lab, const char *name)
{
	for (size_t i = 0; i < lab->nr; i++)
		if (!strcmp(lab->entry[i].name, name) && !lab->entry[i].skipped)
			return &lab->entry[i];
	return NULL;
}

static double spread_of(const struct run_entry *e)
{
	return e->wall_ns ? (double)(e->wall_max_ns - e->wall_min_ns) / (double)e->wall_ns : 0;
}

/* What the experiment lost itself, which the prediction knew nothing of. */
static void tell_losses(const struct run_entry *peer, struct verdict *v)
{
	double whole = (double)peer->stack.wall_ns * (double)peer->stack.workers;
	const struct finding *f = peer->findings.finding;

	if (v->word != VERDICT_TOO_HIGH || !peer->findings.nr || f->lost_ns <= 0 || whole <= 0)
		return;
	snprintf(v->because, sizeof(v->because),
		 "The experiment itself lost most to %s: %.1f %% of its workers' time.", f->cause,
		 100 * (double)f->lost_ns / whole);
}

/* As measured before and after the run that is shown. */
static struct verified_capacity capacity_of(const struct run_entry *e)
{
	return (struct verified_capacity){ .cpus = e->capacity_cpus,
					   .nr = e->capacity_cpus && e->inflation.known ? 2 : 0,
					   .worth = e->capacity,
					   .worth_min = e->capacity_min,
					   .worth_max = e->capacity_max,
					   .times = e->inflation.capacity.times,
					   .times_min = e->inflation.capacity.times_min,
					   .times_max = e->inflation.capacity.times_max };
}

/* The threads without their interpreter's lock, against the processes. */
static void verify_gil(const struct lab *lab, const struct run_entry *e, const struct finding *f,
		       unsigned int repeats, struct verified *ret)
{
	const char *name = json_string_value(json_object_get(f->evidence, "peer"));
	const json_t *replay = json_object_get(f->evidence, "replay");
	const struct run_entry *peer = name ? entry_of(lab, name) : NULL;
	struct verdict *v = &ret->verdict[ret->nr];

	if (!peer || !json_is_object(replay) || ret->nr == VERIFY_MAX)
		return;
	*v = (struct verdict){
		.low = json_number_value(json_object_get(replay, "expected_speedup")),
		.high = f->bound,
		.measured = run_entry_speedup(peer),
		.noise = spread_of(e) > spread_of(peer) ? spread_of(e) : spread_of(peer),
		.noise_known = repeats > 1,
	};
	snprintf(v->what, sizeof(v->what), "%s without waiting for the GIL", e->name);
	snprintf(v->experiment, sizeof(v->experiment), "%s, where each has one of its own",
		 peer->name);
	verdict_decide(v);
	tell_losses(peer, v);
	ret->capacity[ret->nr] = capacity_of(peer);
	ret->as_it_was[ret->nr] = capacity_of(e);
	ret->name[ret->nr++] = "processes";
}

/* The strategy once more, changed in the ways of `names`. */
static int run_again(const struct run_entry *e, const struct lab_options *o, const char *names,
		     struct verified *ret, struct err *err)
{
	const struct facts facts = { .name = e->name,
				     .run = &e->run,
				     .stack = &e->stack,
				     .replay = &e->run.replay,
				     .cpus = strategy_default_workers() };
	struct trial_bench b = { .facts = &facts,
				 .here = facts.cpus,
				 .workers = e->workers,
				 .may_go_first = trial_may_go_first() };
	char self[4096] = "", count[24], workers[16], prefix[64];
	char *argv[] = { self,       "count",     (char *)e->name,
			 "--count",  count,       "--workers",
			 workers,    "--python",  (char *)(o->python ?: STRATEGY_PYTHON_DEFAULT),
			 "--result", "/dev/null", NULL };
	struct trial_runner runner;
	int r;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return err_sys(err, -errno, "cannot find the program file of whyscale");
	snprintf(count, sizeof(count), "%" PRIu64, e->count);
	snprintf(workers, sizeof(workers), "%u", e->workers);
	snprintf(prefix, sizeof(prefix), "%.40s: ", e->name);
	cli_note("--verify runs %s again, several times", e->name);
	r = trial_runner_begin(&runner, argv, err);
	runner.word = 6;
	runner.before = runner.after = "";
	r = r ?: verify_trials(&b, &runner, names, prefix, ret, err);
	trial_runner_end(&runner);
	return r;
}

/* What takes away what this one lost to. */
static int verify_entry(const struct lab *lab, const struct run_entry *e,
			const struct lab_options *o, struct verified *ret, struct err *err)
{
	bool gil = false, crowded = false;

	for (size_t k = 0; k < e->findings.nr; k++) {
		const struct finding *f = &e->findings.finding[k];

		if (!strcmp(f->cause, "gil"))
			verify_gil(lab, e, f, o->repeats, ret);
		gil |= !strcmp(f->cause, "gil");
		crowded |= !strcmp(f->cause, "runqueue") && e->workers > e->run.replay.cpus;
	}
	if (e->skipped || !e->run.replay.good || (!gil && !crowded))
		return 0;
	return run_again(e, o,
			 gil && crowded ? "interval,workers" :
			 gil            ? "interval" :
					  "workers",
			 ret, err);
}

int verify_run(const struct lab *lab, const struct lab_options *o, struct verified *ret,
	       struct err *err)
{
	int r = 0;

	*ret = (struct verified){};
	for (size_t i = 0; i < lab->nr && !r && !lab->interrupted; i++)
		r = verify_entry(lab, &lab->entry[i], o, ret, err);
	if (!r && !ret->nr)
		snprintf(
			ret->why_not, sizeof(ret->why_not),
			"no strategy here lost time to the GIL, or to having more workers than CPUs: run "
			"py-threads and py-processes, or give --workers, as root");
	return r;
}

/* ---- what is shown ---- */

static void widen(double *low, double *high, const struct verified_capacity *c)
{
	*low = !*low || c->times_min < *low ? c->times_min : *low;
	*high = c->times_max > *high ? c->times_max : *high;
}

/* Over all of them; of each one it is in the JSON. */
static void capacity_text(const struct verified *v, int width, FILE *out)
{
	double low = 0, high = 0;
	unsigned int cpus = 0;

	for (size_t i = 0; i < v->nr; i++)
		if (v->capacity[i].nr && v->as_it_was[i].nr) {
			widen(&low, &high, &v->capacity[i]);
			widen(&low, &high, &v->as_it_was[i]);
			cpus = v->capacity[i].cpus;
		}
	if (!cpus)
		return;
	fputc('\n', out);
	text_field(
		out, width, "capacity",
		"before and after each of these runs, a turn of a bare counting loop took %.2f to %.2f "
		"times its CPU time while one ran on each of %u CPUs at once: what they are worth "
		"together%s.",
		low, high, cpus,
		high > low * CAPACITY_STEADY ? " drifted, and a prediction knows nothing of that" :
					       " hardly drifted");
}

void verified_text(const struct verified *v, int width, FILE *out)
{
	char text[VERDICT_TEXT];

	if (!v->nr)
		text_field(out, width, "verified", "nothing: %s.", v->why_not);
	for (size_t i = 0; i < v->nr; i++) {
		const struct verdict *one = &v->verdict[i];

		if (i)
			fputc('\n', out);
		text_field(out, width, "verified", "%s (%s): %s. The experiment: %s.%s%s",
			   one->what, v->name[i], verdict_text(one, text), one->experiment,
			   *one->because ? " " : "", one->because);
	}
	capacity_text(v, width, out);
	if (v->nr_not_tried)
		fputc('\n', out);
	for (size_t i = 0; i < v->nr_not_tried; i++)
		text_field(out, width, i ? "" : "not tried", "%s: %s.", v->not_tried[i].name,
			   v->not_tried[i].why);
}

static json_t *capacity_json(const struct verified_capacity *c)
{
	return c->nr ? json_pack("{s:i,s:i,s:f,s:f,s:f,s:f,s:f,s:f}", "cpus", (int)c->cpus,
				 "measurements", (int)c->nr, "worth", c->worth, "worth_min",
				 c->worth_min, "worth_max", c->worth_max, "times", c->times,
				 "times_min", c->times_min, "times_max", c->times_max) :
		       json_null();
}

json_t *verified_json(const struct verified *v)
{
	json_t *list = json_array(), *left_out = json_array();

	for (size_t i = 0; i < v->nr; i++) {
		json_t *one = verdict_json(&v->verdict[i]);

		json_object_set_new(one, "name", json_string(v->name[i]));
		json_object_set_new(one, "capacity", capacity_json(&v->capacity[i]));
		json_object_set_new(one, "capacity_as_it_was", capacity_json(&v->as_it_was[i]));
		json_array_append_new(list, one);
	}
	for (size_t i = 0; i < v->nr_not_tried; i++)
		json_array_append_new(left_out, json_pack("{s:s,s:s}", "name", v->not_tried[i].name,
							  "why", v->not_tried[i].why));
	return json_pack("{s:o,s:o,s:s}", "experiments", list, "not_tried", left_out, "why_not",
			 v->why_not);
}
