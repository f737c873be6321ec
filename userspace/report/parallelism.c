// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many threads ran at once, which of them the rest waited for, and how evenly the work was shared (analysis/parallelism.h).
 *
 * Levels are shown one by one as far as there are CPUs, those above by powers of two, so that 800 ready threads are ten rows.
 */
#include "analysis/parallelism.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

/* The last level of the row that begins at `first`. */
static size_t row_end(const struct loaded *l, size_t first)
{
	size_t single = l->meta.nr_online > 8 ? l->meta.nr_online : 8, width = 1;

	if (first <= single)
		return first;
	while (2 * width < first)
		width *= 2;
	return first + width - 1;
}

static uint64_t sum_levels(const uint64_t *levels, size_t nr, size_t first, size_t last)
{
	uint64_t sum = 0;

	for (size_t k = first; k <= last && k < nr; k++)
		sum += levels[k];
	return sum;
}

static void level_row(struct grid *g, const struct parallelism *p, size_t first, size_t last,
		      const struct units_scale *scale)
{
	const uint64_t *const lists[] = { p->running_ns, p->ready_ns, p->active_ns };
	uint64_t wall = p->end_ns - p->begin_ns;
	char text[UNITS_SIZE];

	grid_row(g, false);
	if (last > first)
		grid_cell(g, "%zu-%zu", first, last < p->levels ? last : p->levels - 1);
	else
		grid_cell(g, "%zu", first);
	for (size_t i = 0; i < 3; i++) {
		uint64_t ns = sum_levels(lists[i], p->levels, first, last);

		grid_cell(g, "%s", units_scaled(text, scale, ns));
		grid_cell(g, "%s", ns ? units_percent(text, ns, wall) : "-");
	}
}

static int print_profile(const struct loaded *l, const struct parallelism *p,
			 const struct report_options *o, FILE *out, struct err *err)
{
	static const char *const names[] = { "running", "%", "ready", "% ", "either", "%  " };
	struct units_scale scale = units_scale(p->end_ns - p->begin_ns);
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "threads", GRID_KEY | GRID_RIGHT);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		grid_column(g, names[i], GRID_RIGHT);
	for (size_t k = 0, last; k < p->levels; k = last + 1) {
		last = row_end(l, k);
		level_row(g, p, k, last, &scale);
	}
	fprintf(out,
		"For how long so many threads at once ran, or were ready without a CPU, in %s:\n",
		scale.name);
	return grid_print(g, o->width, o->colour, out, err);
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static void thread_row(struct grid *g, const struct parallelism *p,
		       const struct parallelism_thread *one, const struct units_scale *scale)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)], text[UNITS_SIZE];

	grid_row(g, false);
	grid_cell(g, "%s",
		  escape_terminal(name, sizeof(name), one->thread->comm, EV_COMM_LEN, false));
	grid_cell(g, "%" PRIu32, one->thread->tid);
	grid_cell(g, "%s", units_scaled(text, scale, one->running_ns));
	grid_cell(g, "%s", units_scaled(text, scale, one->criticality_ns));
	grid_cell(g, "%s",
		  one->criticality_ns ? units_percent(text, one->criticality_ns, p->busy_ns) : "-");
	if (one->criticality_ns)
		grid_cell(g, "%.2f", ratio(one->running_ns, one->criticality_ns));
	else
		grid_cell(g, "-");
	grid_cell(g, "%s", one->coordinator ? "coordinator" : "");
}

static int print_threads(const struct parallelism *p, const struct report_options *o, FILE *out,
			 struct err *err)
{
	struct units_scale scale = units_scale(p->end_ns - p->begin_ns);
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	size_t shown = p->nr < o->max_threads ? p->nr : o->max_threads;
	int r;

	grid_column(g, "thread", GRID_KEY | GRID_CUT);
	grid_column(g, "tid", GRID_KEY | GRID_RIGHT);
	grid_column(g, "ran", GRID_RIGHT);
	grid_column(g, "criticality", GRID_RIGHT);
	grid_column(g, "%", GRID_RIGHT);
	grid_column(g, "at once", GRID_RIGHT);
	grid_column(g, "", GRID_OPTIONAL);
	for (size_t i = 0; i < shown; i++)
		thread_row(g, p, &p->thread[i], &scale);
	fprintf(out, "\nWhom the run hung on, in %s:\n", scale.name);
	r = grid_print(g, o->width, o->colour, out, err);
	if (!r && shown < p->nr)
		fprintf(out, "(%zu more threads: --all)\n", p->nr - shown);
	return r;
}

static void print_sums(const struct parallelism *p, uint64_t oncpu_ns,
		       const struct report_options *o, FILE *out)
{
	uint64_t wall = p->end_ns - p->begin_ns;
	struct parallelism_pop pop;
	char a[UNITS_SIZE], b[UNITS_SIZE], c[UNITS_SIZE];

	parallelism_pop(p, &pop);
	fputc('\n', out);
	if (p->untracked_ns)
		text_field(
			out, o->width, "untracked",
			"for %s of it, it is not known what some thread did: it counts as neither running "
			"nor ready there.",
			units_time(a, p->untracked_ns));
	if (!p->exact && p->work_ns != oncpu_ns)
		text_field(
			out, o->width, "missed",
			"threads ran for %s as seen here, for %s by the ledger, which corrects afterwards what lost "
			"or missed events made unknown at the time.",
			units_time(a, p->work_ns), units_time(b, oncpu_ns));
	text_field(out, o->width, "average",
		   "%.2f threads ran at once in %s, %.2f in the %s in which any ran.",
		   ratio(p->work_ns, wall), units_time(a, wall), ratio(p->work_ns, p->busy_ns),
		   units_time(b, p->busy_ns));
	if (!pop.workers)
		return;
	text_field(
		out, o->width, "workers",
		"%zu, on a CPU for %s on average and %s at most: load balance %.1f %%, "
		"communication efficiency %.1f %%, so parallel efficiency %.1f %% (of %zu CPUs' worth of %s).",
		pop.workers, units_time(a, pop.average_ns), units_time(b, pop.maximum_ns),
		100 * pop.load_balance, 100 * pop.communication, 100 * pop.parallel, pop.workers,
		units_time(c, wall));
}

static void legend(const struct report_options *o, FILE *out)
{
	fputc('\n', out);
	text_item(out, o->width, "ready", "could run, but had no CPU");
	text_item(
		out, o->width, "criticality",
		"the thread's part of the time in which any ran: all of a moment in which it ran alone, half "
		"of one that it shared with another thread, and so on; they sum to that time");
	text_item(out, o->width, "at once",
		  "how many threads ran on average while this one did, itself included");
	text_item(out, o->width, "coordinator",
		  "made other threads and hardly ran itself: not counted among the workers");
	text_item(out, o->width, "load balance",
		  "average of the workers' time on a CPU over the longest one's");
	text_item(
		out, o->width, "comm. eff.",
		"the longest of the workers' times on a CPU over the wall time: below 100 %%, even the busiest one "
		"waited (\"communication efficiency\", as the POP project calls it)");
}

static int print_parallelism(const struct loaded *l, const struct report_options *o, FILE *out,
			     struct err *err)
{
	const struct parallelism *p = l->passes ? l->passes->parallelism : NULL;
	int r;

	if (!p || l->from_books || !p->levels) {
		fprintf(out,
			"How many threads ran at once is not known: no scheduler event was recorded.\n");
		return 0;
	}
	r = print_profile(l, p, o, out, err);
	if (!r)
		r = print_threads(p, o, out, err);
	if (r)
		return r;
	print_sums(p, l->ledger_ns[CLASS_ONCPU], o, out);
	if (!o->no_legend)
		legend(o, out);
	return 0;
}

const struct report_form form_parallelism = {
	.name = "parallelism",
	.help = "how many threads ran at once, which of them the run hung on, how even the work was",
	.passes = PASS_PARALLELISM,
	.print = print_parallelism,
};
