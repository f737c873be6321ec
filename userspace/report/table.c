// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table for people: where each thread's time went, then how each was scheduled.
 *
 * Two grids with the same rows, since both do not fit beside each other in 100 columns. A class that no thread was in has no
 * column (JSON has them all).
 */
#include <inttypes.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/report.h"
#include "report/rows.h"
#include "report/text.h"
#include "report/units.h"

#define CPUS_SIZE 24

static void name_cells(struct grid *g, const struct report_row *row)
{
	char name[ROW_NAME_SIZE], id[16];

	grid_row(g, row->kind == ROW_PROCESS || row->kind == ROW_SINGLE);
	grid_cell(g, "%s", row_name(row, name));
	grid_cell(g, "%s", row_id(row, id));
}

static struct grid *time_columns(void)
{
	struct grid *g = grid_new();

	grid_column(g, "process/thread", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "life", GRID_RIGHT);
	for (int c = 0; c < CLASS_NR; c++)
		grid_column(g, class_name(c), GRID_RIGHT | (c == CLASS_ONCPU ? 0 : GRID_OPTIONAL));
	return g;
}

static void time_cells(struct grid *g, const struct report_row *row,
		       const struct units_scale *scale)
{
	char text[UNITS_SIZE];

	name_cells(g, row);
	grid_cell(g, "%s", units_scaled(text, scale, row->life_ns));
	for (int c = 0; c < CLASS_NR; c++)
		grid_cell(g, "%s", units_scaled(text, scale, row->ledger_ns[c]));
}

/* The last row: each class's share of all threads' lives. */
static void share_cells(struct grid *g, const struct loaded *l)
{
	char text[UNITS_SIZE];
	uint64_t life = 0;

	for (int c = 0; c < CLASS_NR; c++)
		life += l->ledger_ns[c];
	grid_row(g, false);
	grid_cell(g, "share");
	grid_cell(g, "%s", "");
	grid_cell(g, "%s", units_percent(text, life, life));
	for (int c = 0; c < CLASS_NR; c++)
		grid_cell(g, "%s",
			  l->ledger_ns[c] ? units_percent(text, l->ledger_ns[c], life) : "-");
}

static int print_times(const struct loaded *l, const struct report_rows *rows,
		       const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = time_columns();
	struct units_scale scale;
	uint64_t largest = 0;
	int r;

	for (size_t i = 0; i < rows->nr; i++)
		if (rows->row[i].nr_threads == 1 && rows->row[i].life_ns > largest)
			largest = rows->row[i].life_ns;
	scale = units_scale(largest);
	for (size_t i = 0; i < rows->nr; i++)
		time_cells(g, &rows->row[i], &scale);
	share_cells(g, l);
	fprintf(out, "Where each thread's time went, in %s; the columns sum to its life:\n",
		scale.name);
	r = grid_print(g, o->width, o->colour, out, err);
	if (r || o->no_legend)
		return r;
	fputc('\n', out);
	for (int c = 0; c < CLASS_NR; c++)
		if (grid_shows(g, class_name(c)))
			text_item(out, o->width, class_name(c), "%s", class_meaning(c));
	return 0;
}

static struct grid *scheduling_columns(void)
{
	struct grid *g = grid_new();

	grid_column(g, "process/thread", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "voluntary", GRID_RIGHT);
	grid_column(g, "involuntary", GRID_RIGHT);
	grid_column(g, "yields", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "yielded", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "migrations", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "audit", GRID_OPTIONAL);
	grid_column(g, "policy", GRID_OPTIONAL);
	grid_column(g, "nice", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "prio", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "CPUs", GRID_OPTIONAL);
	grid_column(g, "cgroup", GRID_OPTIONAL | GRID_CUT);
	return g;
}

static void policy_cells(struct grid *g, const struct loaded *l, const struct thread *t)
{
	char cpus[CPUS_SIZE], cgroup[256];
	const char *path = load_cgroup(l, t->cgroup);

	grid_cell(g, "%s", report_policy(t->policy));
	grid_cell(g, "%d", t->nice);
	if (t->rt_priority)
		grid_cell(g, "%u", t->rt_priority);
	else
		grid_cell(g, "-");
	grid_cell(g, "%s", units_cpus(cpus, sizeof(cpus), t->allowed, EV_CPUS_WORDS));
	if (path)
		grid_cell(g, "%s", escape_terminal(cgroup, sizeof(cgroup), path, SIZE_MAX, true));
	else if (t->cgroup)
		grid_cell(g, "#%" PRIu64, t->cgroup);
	else
		grid_cell(g, "-");
}

static void scheduling_cells(struct grid *g, const struct loaded *l, const struct report_row *row)
{
	char text[UNITS_SIZE];

	name_cells(g, row);
	grid_cell(g, "%" PRIu64, row->voluntary);
	grid_cell(g, "%" PRIu64, row->involuntary);
	if (row->yields)
		grid_cell(g, "%" PRIu64, row->yields);
	else
		grid_cell(g, "-");
	grid_cell(g, "%s", row->yielded_ns ? units_time(text, row->yielded_ns) : "-");
	if (l->from_books)
		grid_cell(g, "-");
	else
		grid_cell(g, "%" PRIu64, row->migrations);
	grid_cell(g, "%s", row->audit == AUDIT_NONE ? "-" : report_audit_name(row->audit));
	if (!row->thread || !row->thread->has_task)
		return;
	if (row->same_scheduling)
		policy_cells(g, l, row->thread);
	else
		grid_cell(g, "differ");
}

static int print_scheduling(const struct loaded *l, const struct report_rows *rows,
			    const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = scheduling_columns();
	int r;

	for (size_t i = 0; i < rows->nr; i++)
		scheduling_cells(g, l, &rows->row[i]);
	fprintf(out, "\nHow each was scheduled:\n");
	r = grid_print(g, o->width, o->colour, out, err);
	if (r || o->no_legend)
		return r;
	fputc('\n', out);
	text_item(out, o->width, "voluntary", "switches: it left its CPU in order to wait");
	text_item(out, o->width, "involuntary", "switches: it could have run on");
	if (grid_shows(g, "yields"))
		text_item(out, o->width, "yields",
			  "those of the involuntary ones that it asked for (sched_yield)");
	if (grid_shows(g, "yielded"))
		text_item(out, o->width, "yielded",
			  "the part of runq_preempted that followed a yield");
	if (grid_shows(g, "migrations"))
		text_item(out, o->width, "migrations", "moves to another CPU");
	if (grid_shows(g, "audit"))
		text_item(out, o->width, "audit",
			  "these figures against the kernel's own; see above");
	return 0;
}

static int print_table(const struct loaded *l, const struct report_options *o, FILE *out,
		       struct err *err)
{
	struct report_rows rows;
	int r;

	if (!l->nr_threads) {
		fprintf(out, "No thread was seen: nothing was recorded.\n");
		return 0;
	}
	r = rows_make(l, o->max_threads, &rows, err);
	if (!r)
		r = print_times(l, &rows, o, out, err);
	if (!r)
		r = print_scheduling(l, &rows, o, out, err);
	if (!r)
		r = runq_by_print(l, o, out, err);
	rows_free(&rows);
	return r;
}

const struct report_form form_table = {
	.name = "table",
	.help = "where the time of each thread went (the default)",
	.passes = PASS_RUNQ_WHO,
	.print = print_table,
};
