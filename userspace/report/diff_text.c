// SPDX-License-Identifier: GPL-2.0-only
/* The differences for people: see diff.h. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/diff.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/text.h"
#include "report/units.h"

#define LOCKS_SHOWN 10

/* In the table: what stands out has words, the rest a dash. */
static const char *mark(enum diff_verdict verdict)
{
	return verdict == DIFF_BEYOND_NOISE ? "beyond noise" :
	       verdict == DIFF_WITHIN_NOISE ? "noise" :
	       verdict == DIFF_SAME         ? "same" :
					      "?";
}

static uint64_t whole(double v)
{
	return v > 0 ? (uint64_t)(v + 0.5) : 0;
}

/* "+12.3 ms", "-45 us", "0". */
static void change_cell(struct grid *g, const struct diff_value *v, bool time)
{
	double change = v->b - v->a;
	char text[UNITS_SIZE];

	if (change == 0)
		grid_cell(g, "0");
	else if (time)
		grid_cell(g, "%c%s", change < 0 ? '-' : '+', units_time(text, whole(fabs(change))));
	else
		grid_cell(g, "%+.10g", round(change * 10) / 10);
}

static void percent_cell(struct grid *g, const struct diff_value *v)
{
	if (v->a > 0 && v->b > 0)
		grid_cell(g, "%+.1f %%", (v->b / v->a - 1) * 100);
	else
		grid_cell(g, "-");
}

static void time_cells(struct grid *g, const struct diff_value *v)
{
	char text[UNITS_SIZE];

	grid_cell(g, "%s", units_time(text, whole(v->a)));
	grid_cell(g, "%s", units_time(text, whole(v->b)));
	change_cell(g, v, true);
	percent_cell(g, v);
}

static void time_row(struct grid *g, const char *name, const struct diff_value *v)
{
	grid_row(g, v->verdict == DIFF_BEYOND_NOISE);
	grid_cell(g, "%s", name);
	time_cells(g, v);
	grid_cell(g, "%s", mark(v->verdict));
}

static void count_row(struct grid *g, const char *name, const struct diff_value *v)
{
	grid_row(g, v->verdict == DIFF_BEYOND_NOISE);
	grid_cell(g, "%s", name);
	grid_cell(g, "%.10g", round(v->a * 10) / 10);
	grid_cell(g, "%.10g", round(v->b * 10) / 10);
	change_cell(g, v, false);
	percent_cell(g, v);
	grid_cell(g, "%s", mark(v->verdict));
}

static struct grid *new_grid(const char *first, bool shares)
{
	struct grid *g = grid_new();

	grid_column(g, first, GRID_KEY | GRID_CUT);
	grid_column(g, "A", GRID_RIGHT);
	grid_column(g, "B", GRID_RIGHT);
	grid_column(g, "CHANGE", GRID_RIGHT);
	grid_column(g, "B/A", GRID_RIGHT);
	if (shares) {
		grid_column(g, "SHARE A", GRID_RIGHT);
		grid_column(g, "SHARE B", GRID_RIGHT);
		grid_column(g, "WORKER A", GRID_RIGHT);
		grid_column(g, "WORKER B", GRID_RIGHT);
	}
	grid_column(g, "NOISE", 0);
	return g;
}

static int totals(const struct diff *d, const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = new_grid("WHAT", false);

	time_row(g, "wall time", &d->wall_ns);
	count_row(g, "threads", &d->threads);
	count_row(g, "workers", &d->workers);
	count_row(g, "voluntary switches", &d->voluntary);
	count_row(g, "involuntary switches", &d->involuntary);
	count_row(g, "migrations", &d->migrations);
	return grid_print(g, o->width, o->colour, out, err);
}

static int classes(const struct diff *d, const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = new_grid("CLASS", true);
	char text[UNITS_SIZE];

	for (int c = 0; c < CLASS_NR; c++) {
		const struct diff_class *v = &d->class[c];

		if (v->time.a == 0 && v->time.b == 0)
			continue;
		grid_row(g, v->time.verdict == DIFF_BEYOND_NOISE);
		grid_cell(g, "%s", class_name(c));
		time_cells(g, &v->time);
		grid_cell(g, "%.1f %%", v->share.a * 100);
		grid_cell(g, "%.1f %%", v->share.b * 100);
		grid_cell(g, "%s", units_time(text, whole(v->per_worker.a)));
		grid_cell(g, "%s", units_time(text, whole(v->per_worker.b)));
		grid_cell(g, "%s", mark(v->time.verdict));
	}
	return grid_print(g, o->width, o->colour, out, err);
}

static int locks(const struct diff *d, const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = new_grid("WAITS FOR", false);
	char name[ESCAPE_SIZE(ACCOUNT_NAME)];

	for (size_t i = 0; i < d->nr_locks && i < LOCKS_SHOWN; i++) {
		if (d->lock[i].wait_ns.a == 0 && d->lock[i].wait_ns.b == 0)
			continue;
		escape_terminal(name, sizeof(name), d->lock[i].name, ACCOUNT_NAME, false);
		time_row(g, name, &d->lock[i].wait_ns);
	}
	if (!d->nr_locks)
		return 0;
	fputc('\n', out);
	return grid_print(g, o->width, o->colour, out, err);
}

static int findings(const struct diff *d, const struct report_options *o, FILE *out,
		    struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = new_grid("LOST TO", false);
	char name[64];

	for (size_t i = 0; i < d->nr_findings; i++) {
		const struct diff_finding *f = &d->finding[i];

		snprintf(name, sizeof(name), "%s (%s)", f->cause, f->status);
		time_row(g, name, &f->lost_ns);
	}
	if (!d->nr_findings)
		return 0;
	fputc('\n', out);
	return grid_print(g, o->width, o->colour, out, err);
}

static void side(const struct diff_side *s, const char *name, const struct report_options *o,
		 FILE *out)
{
	char file[ESCAPE_SIZE(200)];

	for (size_t i = 0; i < s->nr; i++)
		text_field(out, o->width, i ? "" : name, "%s",
			   escape_terminal(file, sizeof(file), s->path[i], 200, false));
}

static void noise(const struct diff *d, const struct report_options *o, FILE *out)
{
	if (d->a.nr + d->b.nr == 2)
		text_field(
			out, o->width, "noise",
			"unknown: with one recording on each side a difference may be chance. Record each "
			"several times, and give the files of a side separated by commas.");
	else
		text_field(
			out, o->width, "noise",
			"known from %zu and %zu recordings; A and B are means. What is beyond it would come "
			"about by chance once in a thousand such rows (Student's t test).",
			d->a.nr, d->b.nr);
}

static void lost(const struct diff *d, const struct report_options *o, FILE *out)
{
	uint64_t a = 0, b = 0;

	for (size_t i = 0; i < d->a.nr; i++)
		a += d->a.account[i].lost_events;
	for (size_t i = 0; i < d->b.nr; i++)
		b += d->b.account[i].lost_events;
	if (a || b)
		text_field(out, o->width, "lost",
			   "%" PRIu64 " events in A and %" PRIu64
			   " in B: what they would have changed is untracked",
			   a, b);
}

int diff_text(const struct diff *d, const struct report_options *o, FILE *out, struct err *err)
{
	int r;

	side(&d->a, "A", o, out);
	side(&d->b, "B", o, out);
	noise(d, o, out);
	lost(d, o, out);
	fputc('\n', out);
	r = totals(d, o, out, err);
	fputc('\n', out);
	text_line(out, o->width,
		  "Time of all threads, their share of it, and time for each worker:");
	if (!r)
		r = classes(d, o, out, err);
	if (!r)
		r = locks(d, o, out, err);
	return r ?: findings(d, o, out, err);
}
