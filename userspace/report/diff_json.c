// SPDX-License-Identifier: GPL-2.0-only
/* The differences for programs, whyscale.diff/1: see diff.h. */
#include <errno.h>

#include "report/diff.h"
#include "report/escape.h"

static json_t *value_json(const struct diff_value *v)
{
	return json_pack("{s:f,s:f,s:f,s:[f,f],s:[f,f],s:s}", "a", v->a, "b", v->b, "change",
			 v->b - v->a, "a_range", v->a_min, v->a_max, "b_range", v->b_min, v->b_max,
			 "verdict", diff_verdict_name(v->verdict));
}

static json_t *side_json(const struct diff_side *s)
{
	json_t *files = json_array();
	uint64_t lost = 0;

	for (size_t i = 0; i < s->nr; i++) {
		json_array_append_new(files, escape_json(s->path[i], SIZE_MAX));
		lost += s->account[i].lost_events;
	}
	return json_pack("{s:o,s:I}", "files", files, "lost_events", (json_int_t)lost);
}

static json_t *ledger_json(const struct diff *d)
{
	json_t *o = json_object();

	for (int c = 0; o && c < CLASS_NR; c++)
		json_object_set_new(o, class_name(c),
				    json_pack("{s:o,s:o,s:o}", "ns", value_json(&d->class[c].time),
					      "share", value_json(&d->class[c].share),
					      "ns_per_worker",
					      value_json(&d->class[c].per_worker)));
	return o;
}

static json_t *locks_json(const struct diff *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->nr_locks; i++)
		json_array_append_new(list, json_pack("{s:o,s:o,s:o}", "name",
						      escape_json(d->lock[i].name, ACCOUNT_NAME),
						      "wait_ns", value_json(&d->lock[i].wait_ns),
						      "waits", value_json(&d->lock[i].waits)));
	return list;
}

static json_t *findings_json(const struct diff *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->nr_findings; i++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "cause", d->finding[i].cause,
						      "status", d->finding[i].status, "lost_ns",
						      value_json(&d->finding[i].lost_ns)));
	return list;
}

int diff_json(const struct diff *d, FILE *out, struct err *err)
{
	json_t *all = json_pack(
		"{s:s,s:o,s:o,s:{s:b,s:i,s:i,s:f},s:o,s:o,s:o,s:{s:o,s:o},s:o,s:o,s:o,s:o}",
		"schema", "whyscale.diff/1", "a", side_json(&d->a), "b", side_json(&d->b), "noise",
		"known", d->a.nr + d->b.nr > 2, "recordings_a", (int)d->a.nr, "recordings_b",
		(int)d->b.nr, "level", 0.001, "wall_ns", value_json(&d->wall_ns), "threads",
		value_json(&d->threads), "workers", value_json(&d->workers), "switches",
		"voluntary", value_json(&d->voluntary), "involuntary", value_json(&d->involuntary),
		"migrations", value_json(&d->migrations), "ledger", ledger_json(d), "locks",
		locks_json(d), "findings", findings_json(d));
	int failed = !all || json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) ||
		     fputc('\n', out) == EOF;

	json_decref(all);
	return failed ? err_set(err, -EIO, "cannot write the result") : 0;
}
