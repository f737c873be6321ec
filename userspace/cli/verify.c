// SPDX-License-Identifier: GPL-2.0-only
/* What --verify shows, and the strategies' part of it: see verify.h. */
#include "cli/verify.h"

#include <string.h>

#include "report/text.h"

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
	ret->nr++;
}

void verify_run(const struct lab *lab, unsigned int repeats, struct verified *ret)
{
	*ret = (struct verified){};
	for (size_t i = 0; i < lab->nr; i++) {
		const struct run_entry *e = &lab->entry[i];

		for (size_t k = 0; k < e->findings.nr; k++)
			if (!strcmp(e->findings.finding[k].cause, "gil"))
				verify_gil(lab, e, &e->findings.finding[k], repeats, ret);
	}
	if (!ret->nr)
		snprintf(
			ret->why_not, sizeof(ret->why_not),
			"no strategy here lost time to the GIL, or none that does the same in processes "
			"was measured: run py-threads and py-processes, as root");
}

/* ---- what is shown ---- */

void verified_text(const struct verified *v, int width, FILE *out)
{
	char text[VERDICT_TEXT];

	if (!v->nr)
		text_field(out, width, "verified", "nothing: %s.", v->why_not);
	for (size_t i = 0; i < v->nr; i++) {
		const struct verdict *one = &v->verdict[i];

		text_field(out, width, i ? "" : "verified", "%s: %s. The experiment: %s.%s%s",
			   one->what, verdict_text(one, text), one->experiment,
			   *one->because ? " " : "", one->because);
	}
}

json_t *verified_json(const struct verified *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->nr; i++)
		json_array_append_new(list, verdict_json(&v->verdict[i]));
	return json_pack("{s:o,s:s}", "experiments", list, "why_not", v->why_not);
}
