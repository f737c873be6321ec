// SPDX-License-Identifier: GPL-2.0-only
/* `whyscale run --json`: schema whyscale.run/1. New keys may be added; these keep their meaning. */
#include <errno.h>

#include "analysis/class.h"
#include "report/escape.h"
#include "report/inflation_table.h"
#include "report/json.h"
#include "report/run_report.h"

static json_t *stack_json(const struct stack *s)
{
	json_t *o = json_object();

	for (int part = 0; part < STACK_NR; part++)
		json_object_set_new(o, stack_part_name(part), json_real(stack_share(s, part)));
	return o;
}

static json_t *worker_json(const struct experiment_worker *w)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:b,s:o}", "tid", (json_int_t)w->tid, "counted",
			 (json_int_t)w->counted, "begin_ns", (json_int_t)w->begin_ns, "end_ns",
			 (json_int_t)w->end_ns, "from_proc", w->from_proc, "ledger",
			 json_ledger(w->ledger_ns));
}

static json_t *concurrency_json(const struct experiment *run)
{
	json_t *list = json_array();

	for (size_t k = 0; run->oncpu_ns && k <= run->nr; k++)
		json_array_append_new(list, json_integer((json_int_t)run->oncpu_ns[k]));
	return list;
}

static json_t *findings_json(const struct findings *all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->nr; i++)
		json_array_append_new(list, finding_json(&all->finding[i]));
	return list;
}

static json_t *or_null(uint64_t value)
{
	return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *measured_json(const struct run_entry *e)
{
	const struct experiment *run = &e->run;
	json_t *workers = json_array();

	for (size_t i = 0; i < run->nr; i++)
		json_array_append_new(workers, worker_json(&run->worker[i]));
	return json_pack(
		"{s:I,s:I,s:I,s:I,s:o,s:s?,s:o,s:o,s:o,s:o,s:{s:I,s:I},s:I,s:o,s:o,s:o,s:{s:i,s:f,s:f,s:f},s:I}",
		"counted", (json_int_t)e->counted, "wall_ns", (json_int_t)e->wall_ns, "wall_min_ns",
		(json_int_t)e->wall_min_ns, "wall_max_ns", (json_int_t)e->wall_max_ns, "baseline",
		or_null(e->baseline_ns), "baseline_name", e->baseline_name, "speedup",
		e->baseline_ns ? json_real(run_entry_speedup(e)) : json_null(), "efficiency",
		e->baseline_ns ? json_real(run_entry_speedup(e) / e->workers) : json_null(),
		"stack", stack_json(&e->stack), "ledger", json_ledger(run->ledger_ns), "switches",
		"voluntary", (json_int_t)run->voluntary, "involuntary",
		(json_int_t)run->involuntary, "migrations", (json_int_t)run->migrations, "audit",
		json_audit(&run->audit.sum), "worker", workers, "on_cpu_at_once_ns",
		concurrency_json(run), "capacity", "measured_on", (int)e->capacity_cpus, "cpus",
		e->capacity, "min", e->capacity_min, "max", e->capacity_max, "lost_events",
		(json_int_t)run->lost_events);
}

static json_t *entry_json(const struct run_entry *e)
{
	json_t *o = json_pack("{s:s,s:I,s:I,s:s?,s:o}", "name", e->name, "workers",
			      (json_int_t)e->workers, "count", (json_int_t)e->count, "interpreter",
			      e->interpreter, "findings", findings_json(&e->findings));
	json_t *measured;

	if (o && e->skipped) {
		json_object_set_new(o, "skipped", escape_json(e->skipped, SIZE_MAX));
		return o;
	}
	measured = measured_json(e);
	json_object_update(o, measured);
	json_decref(measured);
	json_object_set_new(o, "inflation_split", inflation_json(&e->inflation));
	return o;
}

int run_report_json(const struct run_report *r, FILE *out, struct err *err)
{
	json_t *strategies = json_array(), *all;
	int failed;

	for (size_t i = 0; i < r->nr; i++)
		json_array_append_new(strategies, entry_json(&r->entry[i]));
	all = json_pack("{s:s,s:{s:i,s:s,s:s},s:b,s:s?,s:i,s:o}", "schema", "whyscale.run/1",
			"machine", "cpus", (int)r->cpus, "kernel", r->kernel, "arch", r->arch,
			"bpf", r->bpf, "why_not", r->bpf ? NULL : r->why_not, "repeats",
			(int)r->repeats, "strategies", strategies);
	if (all && r->verified)
		json_object_set(all, "verified", r->verified);
	json_decref(r->verified);
	failed = !all || json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) ||
		 fputc('\n', out) == EOF;
	json_decref(all);
	return failed ? err_set(err, -EIO, "cannot write the result") : 0;
}
