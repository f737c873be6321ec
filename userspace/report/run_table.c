// SPDX-License-Identifier: GPL-2.0-only
/* `whyscale run` for people: how long, where the workers' time went, and a sentence for each strategy. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/inflation_table.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/run_report.h"
#include "report/stack_table.h"
#include "report/text.h"
#include "report/units.h"

double run_entry_speedup(const struct run_entry *e)
{
	return e->wall_ns ? (double)e->baseline_ns / (double)e->wall_ns : 0;
}

static void head(const struct run_report *r, const struct report_options *o, FILE *out)
{
	const char *python = NULL;

	for (size_t i = 0; i < r->nr; i++)
		python = r->entry[i].interpreter ? r->entry[i].interpreter : python;
	text_field(out, o->width, "machine", "%u CPUs, Linux %s, %s%s%s", r->cpus, r->kernel,
		   r->arch, python ? "; " : "", python ? python : "");
	if (r->repeats > 1)
		text_field(
			out, o->width, "repeats",
			"%u of each, in turns; the run with the median wall time (of an even number, the faster of the two in the middle) is shown",
			r->repeats);
	if (!r->bpf && r->why_not && *r->why_not)
		text_field(
			out, o->width, "limits",
			"no scheduler events: %s. On-CPU and run-queue time are the workers' own reading of "
			"/proc/thread-self/schedstat; locks, sync, I/O, sleep and throttling cannot be told apart "
			"and stand in untracked.",
			r->why_not);
	fputc('\n', out);
}

static void time_cells(struct grid *g, const struct run_report *r, const struct run_entry *e)
{
	char wall[UNITS_SIZE], low[UNITS_SIZE], high[UNITS_SIZE];
	double speedup = run_entry_speedup(e);

	grid_cell(g, "%u", e->workers);
	grid_cell(g, "%s", units_grouped(wall, e->counted));
	grid_cell(g, "%s", units_time(wall, e->wall_ns));
	if (r->repeats > 1)
		grid_cell(g, "%s-%s", units_time(low, e->wall_min_ns),
			  units_time(high, e->wall_max_ns));
	else
		grid_cell(g, "-");
	if (e->baseline_ns) {
		grid_cell(g, "%.2f", speedup);
		grid_cell(g, "%.0f %%", speedup / e->workers * 100);
	} else {
		grid_cell(g, "-");
		grid_cell(g, "-");
	}
	stack_table_switch_cells(g, &e->run);
}

static int times(const struct run_report *r, const struct report_options *o, FILE *out,
		 struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "STRATEGY", GRID_KEY);
	grid_column(g, "WORKERS", GRID_RIGHT);
	grid_column(g, "COUNTED", GRID_RIGHT);
	grid_column(g, "WALL", GRID_RIGHT);
	grid_column(g, "SPREAD", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "SPEEDUP", GRID_RIGHT);
	grid_column(g, "EFFICIENCY", GRID_RIGHT);
	stack_table_switch_columns(g);
	for (size_t i = 0; i < r->nr; i++) {
		const struct run_entry *e = &r->entry[i];

		grid_row(g, false);
		grid_cell(g, "%s", e->name);
		if (e->skipped)
			grid_cell(g, "skipped");
		else
			time_cells(g, r, e);
	}
	return grid_print(g, o->width, o->colour, out, err);
}

static int stacks(const struct run_report *r, const struct report_options *o, FILE *out,
		  struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "STRATEGY", GRID_KEY);
	grid_column(g, "N", GRID_RIGHT);
	stack_table_columns(g);
	for (size_t i = 0; i < r->nr; i++) {
		const struct run_entry *e = &r->entry[i];

		if (e->skipped)
			continue;
		grid_row(g, false);
		grid_cell(g, "%s", e->name);
		grid_cell(g, "%u", e->workers);
		stack_table_cells(g, &e->stack);
	}
	return grid_print(g, o->width, o->colour, out, err);
}

/* What the words of the tables mean. */
static void legend(const struct run_report *r, const struct report_options *o, FILE *out)
{
	static const char *const parts[STACK_NR] = {
		[STACK_USEFUL] = "on a CPU, as long as the baseline needed for the same work",
		[STACK_INFLATION] =
			"on a CPU beyond that: the same work took more CPU time (below 0: less)",
		[STACK_SPAWN] = "the run had begun, the worker had not: it was being started",
		[STACK_IMBALANCE] = "the worker had ended, another one still worked",
		[STACK_TEARDOWN] = "all had ended, and were being collected",
	};

	for (int part = 0; part < STACK_NR; part++) {
		bool shown = part == STACK_USEFUL;

		for (size_t i = 0; i < r->nr; i++)
			shown |= !r->entry[i].skipped &&
				 !stack_table_negligible(&r->entry[i].stack, part);
		if (shown)
			text_item(out, o->width, stack_part_name(part), "%s",
				  parts[part] ?: stack_table_meaning(part));
	}
	if (r->bpf)
		text_field(
			out, o->width, "",
			"VOL and INVOL: switches of all threads, because one blocked or because it lost its CPU; MIGR: "
			"moves to another CPU; AUDIT: whether these equal the kernel's own counts.");
	text_field(
		out, o->width, "",
		"In the sentences below, 1.97x is 1.97 times as fast as the single version of the same language. %s",
		finding_marks_mean);
}

/* The largest loss is always told, another one only when it took this share of the workers' time. */
#define TELL_TOO 0.10

static bool worth_telling(const struct run_entry *e, size_t i)
{
	double whole = (double)e->stack.wall_ns * (double)e->stack.workers;

	return !i || (double)e->findings.finding[i].lost_ns >= TELL_TOO * whole;
}

static void sentences(const struct run_report *r, const struct report_options *o, FILE *out)
{
	for (size_t i = 0; i < r->nr; i++) {
		const struct run_entry *e = &r->entry[i];

		if (e->skipped)
			text_field(out, o->width, "skipped", "%s: %s", e->name, e->skipped);
		for (size_t k = 0; k < e->findings.nr && worth_telling(e, k); k++) {
			const struct finding *f = &e->findings.finding[k];
			bool help = f->lost_ns > 0;

			text_field(out, o->width, f->cause, "%s%s%s%s%s", f->sentence,
				   finding_mark(f), help ? " What would help: " : "",
				   help ? f->remedy : "", help ? "." : "");
		}
	}
}

static void audits(const struct run_report *r, const struct report_options *o, FILE *out)
{
	struct audit sum = {};
	unsigned int threads = 0, agree = 0;
	uint64_t bpf_ns = 0, cpu_ns = 0, lost = 0;
	char a[UNITS_SIZE], b[UNITS_SIZE], c[UNITS_SIZE], d[UNITS_SIZE];

	for (size_t i = 0; i < r->nr; i++) {
		const struct experiment *run = &r->entry[i].run;

		for (int result = AUDIT_OK; result <= AUDIT_DIFFERS; result++)
			threads += run->audit.threads[result];
		agree += run->audit.threads[AUDIT_OK];
		for (int side = 0; side < 2; side++) {
			sum.voluntary[side] += run->audit.sum.voluntary[side];
			sum.involuntary[side] += run->audit.sum.involuntary[side];
			sum.migrated[side] += run->audit.sum.migrated[side];
			sum.oncpu_ns[side] +=
				run->audit.sum.oncpu_ns[side] + run->audit.sum.runq_ns[side];
		}
		sum.steal_ns += run->audit.sum.steal_ns;
		bpf_ns += run->cost.bpf_ns;
		cpu_ns += run->cost.recorder_cpu_ns;
		lost += run->lost_events;
	}
	text_field(
		out, o->width, "audit",
		"%u of %u thread%s agree%s with the kernel's own books: %" PRIu64
		" voluntary, %" PRIu64 " involuntary switches and %" PRIu64
		" migrations here, %" PRIu64 ", %" PRIu64 " and %" PRIu64
		" there; on-CPU and run-queue time %s here (%s of it stolen by the host), %s there.",
		agree, threads, threads == 1 ? "" : "s", agree == 1 ? "s" : "", sum.voluntary[0],
		sum.involuntary[0], sum.migrated[0], sum.voluntary[1], sum.involuntary[1],
		sum.migrated[1], units_time(a, sum.oncpu_ns[0]), units_time(b, sum.steal_ns),
		units_time(c, sum.oncpu_ns[1]));
	text_field(
		out, o->width, "cost",
		"BPF programs %s (estimated from timed samples), recorder %s of CPU time, its starts and ends "
		"included; %" PRIu64 " event%s lost.",
		units_time(a, bpf_ns), units_time(d, cpu_ns), lost, lost == 1 ? "" : "s");
}

static int inflations(const struct run_report *r, const struct report_options *o, FILE *out,
		      struct err *err)
{
	_cleanup_(free_p) struct inflation_row *row = calloc(r->nr + 1, sizeof(*row));

	if (!row)
		return err_sys(err, -ENOMEM, "cannot show the result");
	for (size_t i = 0; i < r->nr; i++)
		row[i] = (struct inflation_row){ r->entry[i].skipped ? NULL : r->entry[i].name,
						 &r->entry[i].stack, &r->entry[i].inflation };
	return inflation_table("STRATEGY", row, r->nr, r->calibrated, o, out, err);
}

int run_report_table(const struct run_report *r, const struct report_options *o, FILE *out,
		     struct err *err)
{
	int ret;

	head(r, o, out);
	ret = times(r, o, out, err);
	if (ret)
		return ret;
	fprintf(out, "\nOf N workers, how many did what (they sum to N):\n");
	ret = stacks(r, o, out, err);
	if (ret)
		return ret;
	fputc('\n', out);
	legend(r, o, out);
	fputc('\n', out);
	ret = inflations(r, o, out, err);
	if (ret)
		return ret;
	sentences(r, o, out);
	if (r->bpf)
		audits(r, o, out);
	return 0;
}
