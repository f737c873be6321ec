// SPDX-License-Identifier: GPL-2.0-only
/* `whyscale sweep` for people: the curve, where the workers' time went, the fits, and the sentences. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/inflation_table.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/stack_table.h"
#include "report/sweep_report.h"
#include "report/text.h"
#include "report/units.h"

#define COMMAND_SIZE 1024
#define TELL_TOO 0.10 /* of the workers' time: a finding beside a point's largest */

const char *sweep_report_command(const struct sweep_report *r, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (char *const *word = r->argv; *word && len + 1 < size; word++) {
		snprintf(buf + len, size - len, "%s%s", len ? " " : "", *word);
		len = strlen(buf);
	}
	return buf;
}

static void head(const struct sweep_report *r, const struct report_options *o, FILE *out)
{
	char command[COMMAND_SIZE], shown[ESCAPE_SIZE(COMMAND_SIZE)];

	sweep_report_command(r, command, sizeof(command));
	text_field(out, o->width, "command", "%s",
		   escape_terminal(shown, sizeof(shown), command, sizeof(command), false));
	text_field(out, o->width, "n", "%s; %u CPU%s", r->how, r->sweep->cpus,
		   r->sweep->cpus == 1 ? "" : "s");
	if (r->repeats > 1)
		text_field(
			out, o->width, "repeats",
			"%u of each, in turns; the run with the median wall time (of an even number, the faster of the two in the middle) is shown",
			r->repeats);
	if (!r->sweep->bpf && r->why_not && *r->why_not)
		text_field(
			out, o->width, "limits",
			"no scheduler events: %s. On-CPU and run-queue time are the kernel's own counts of each thread; what the "
			"workers waited for cannot be told, and stands in untracked.",
			r->why_not);
	fputc('\n', out);
}

static bool left_out(const struct sweep *s)
{
	for (size_t i = 0; i < s->nr; i++)
		if (!s->point[i].failed && s->point[i].crowded)
			return true;
	return false;
}

static void point_cells(struct grid *g, const struct sweep_report *r, const struct sweep_point *p)
{
	char wall[UNITS_SIZE], low[UNITS_SIZE], high[UNITS_SIZE];

	grid_cell(g, "%s", units_time(wall, p->median.wall_ns));
	if (r->repeats > 1)
		grid_cell(g, "%s-%s", units_time(low, p->min_ns), units_time(high, p->max_ns));
	else
		grid_cell(g, "-");
	grid_cell(g, "%.2f", p->speedup);
	grid_cell(g, "%.0f %%", p->efficiency * 100);
	if (isnan(p->karp_flatt))
		grid_cell(g, "-");
	else
		grid_cell(g, "%.3f", p->karp_flatt);
	if (p->capacity > 0)
		grid_cell(g, "%.2f", p->capacity);
	else
		grid_cell(g, "-");
	grid_cell(g, "%s", p->crowded ? "no" : left_out(r->sweep) ? "yes" : "-");
	stack_table_switch_cells(g, &p->median.run);
}

static int times(const struct sweep_report *r, const struct report_options *o, FILE *out,
		 struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "N", GRID_KEY | GRID_RIGHT);
	grid_column(g, "WALL", GRID_RIGHT);
	grid_column(g, "SPREAD", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "SPEEDUP", GRID_RIGHT);
	grid_column(g, "EFFICIENCY", GRID_RIGHT);
	grid_column(g, "KARP-FLATT", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "CAPACITY", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "FITTED", GRID_OPTIONAL);
	stack_table_switch_columns(g);
	for (size_t i = 0; i < r->sweep->nr; i++) {
		const struct sweep_point *p = &r->sweep->point[i];

		grid_row(g, false);
		grid_cell(g, "%u", p->n);
		if (p->failed)
			grid_cell(g, "failed");
		else
			point_cells(g, r, p);
	}
	return grid_print(g, o->width, o->colour, out, err);
}

static bool shown(const struct sweep *s, enum stack_part part)
{
	for (size_t i = 0; i < s->nr; i++)
		if (!s->point[i].failed && !stack_table_negligible(&s->point[i].median.stack, part))
			return true;
	return part == STACK_USEFUL;
}

static int stacks(const struct sweep_report *r, const struct report_options *o, FILE *out,
		  struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "N", GRID_KEY | GRID_RIGHT);
	stack_table_columns(g);
	for (size_t i = 0; i < r->sweep->nr; i++) {
		const struct sweep_point *p = &r->sweep->point[i];

		if (p->failed)
			continue;
		grid_row(g, false);
		grid_cell(g, "%u", p->n);
		stack_table_cells(g, &p->median.stack);
	}
	return grid_print(g, o->width, o->colour, out, err);
}

static void legend(const struct sweep_report *r, const struct report_options *o, FILE *out)
{
	static const char *const parts[STACK_NR] = {
		[STACK_USEFUL] = "on a CPU, as long as the smallest n needed for the same work",
		[STACK_INFLATION] =
			"on a CPU beyond that: the same work took more CPU time (below 0: less)",
		[STACK_SYNC] =
			"waiting for another's work, or no thread there while just one worked",
		[STACK_SPAWN] = "no thread there yet, while others worked",
		[STACK_IMBALANCE] = "no thread there any more, while others still worked",
		[STACK_TEARDOWN] = "no thread there any more, nothing was worked at",
	};

	for (int part = 0; part < STACK_NR; part++)
		if (shown(r->sweep, (enum stack_part)part))
			text_item(out, o->width, stack_part_name((enum stack_part)part), "%s",
				  parts[part] ?: stack_table_meaning((enum stack_part)part));
	text_field(
		out, o->width, "",
		"SPEEDUP: how many times as fast as n=%u. EFFICIENCY: that for each of the n. KARP-FLATT: the share of "
		"the work that could only be done by one, if the speedup were due to that alone. CAPACITY: what a bare counting "
		"loop on as many CPUs at once was worth, around it.%s",
		r->sweep->base->n,
		left_out(r->sweep) ? " FITTED: whether the point is in the fits." : "");
}

/* ---- the fits ---- */

static void put_parameter(char *buf, size_t size, const char *name, const struct fit *f,
			  enum fit_parameter p)
{
	int digits = f->value[p] > 0 && f->value[p] < 0.01 ? 6 : 3;

	if (isnan(f->se[p]))
		snprintf(buf, size, "%s %.*f", name, digits, f->value[p]);
	else
		snprintf(buf, size, "%s %.*f +-%.*f%s", name, digits, f->value[p], digits, f->se[p],
			 f->bound[p] ? " (at its bound)" : "");
}

static void fit_line(const struct sweep *s, const struct report_options *o, FILE *out,
		     enum sweep_law law)
{
	static const char *const labels[LAW_NR] = { "Amdahl", "USL" };
	const struct fit *f = &s->fit[law], *d = &s->divided[law];
	char sigma[80], kappa[80] = "", divided[160] = "", word[80];
	double gamma;

	if (!f->ok) {
		text_field(out, o->width, labels[law], "not fitted: %s.", f->why);
		return;
	}
	gamma = sweep_curve(s, f, 1);
	put_parameter(sigma, sizeof(sigma), law == LAW_USL ? "sigma" : "serial share", f,
		      FIT_SIGMA);
	if (law == LAW_USL)
		put_parameter(kappa, sizeof(kappa), ", kappa", f, FIT_KAPPA);
	if (d->ok && fabs(d->value[FIT_SIGMA] - f->value[FIT_SIGMA]) >= 0.0005) {
		put_parameter(word, sizeof(word), law == LAW_USL ? "sigma" : "serial share", d,
			      FIT_SIGMA);
		snprintf(divided, sizeof(divided),
			 "; with what the CPUs were worth divided out: %s", word);
	}
	text_field(out, o->width, labels[law], "%s%s, gamma %.3f%s%s%s.", sigma, kappa, gamma,
		   divided, *f->why ? "; " : "", f->why);
}

static void fits(const struct sweep_report *r, const struct report_options *o, FILE *out)
{
	if (!r->sweep->base)
		return;
	for (int law = 0; law < LAW_NR; law++)
		fit_line(r->sweep, o, out, (enum sweep_law)law);
	if (r->sweep->fit[LAW_AMDAHL].ok)
		text_field(
			out, o->width, "",
			"Amdahl: speedup = gamma n / (1 + s (n-1)); USL: gamma n / (1 + sigma (n-1) + kappa n (n-1)); by least "
			"squares of the logarithms, +- is one standard error; gamma: the speed of one worker.");
}

/* ---- sentences ---- */

static void tell(const struct finding *f, const struct report_options *o, FILE *out)
{
	bool help = f->lost_ns > 0;

	text_field(out, o->width, f->cause, "%s%s%s%s%s", f->sentence, finding_mark(f),
		   help ? " What would help: " : "", help ? f->remedy : "", help ? "." : "");
}

static void sentences(const struct sweep_report *r, const struct report_options *o, FILE *out)
{
	const struct findings *curve = &r->findings->curve;
	bool marked = false;

	for (size_t i = 0; i < r->sweep->nr; i++) {
		const struct sweep_point *p = &r->sweep->point[i];
		const struct findings *all = &r->findings->point[i];
		double whole = (double)p->median.stack.wall_ns * p->n;

		if (p->failed)
			text_field(out, o->width, "failed", "n=%u: %s", p->n, p->failed);
		for (size_t k = 0; k < all->nr; k++)
			if (!k || (double)all->finding[k].lost_ns >= TELL_TOO * whole) {
				tell(&all->finding[k], o, out);
				marked |= *finding_mark(&all->finding[k]);
			}
	}
	if (marked)
		text_field(out, o->width, "", "%s", finding_marks_mean);
	if (curve->nr)
		fprintf(out, "\nThe curve:\n");
	for (size_t i = 0; i < curve->nr; i++)
		tell(&curve->finding[i], o, out);
}

static int inflations(const struct sweep_report *r, const struct report_options *o, FILE *out,
		      struct err *err)
{
	const struct sweep *s = r->sweep;
	_cleanup_(free_p) struct inflation_row *row = calloc(s->nr + 1, sizeof(*row));
	_cleanup_(free_p) char *names = calloc(s->nr + 1, 16);

	if (!row || !names)
		return err_sys(err, -ENOMEM, "cannot show the result");
	for (size_t i = 0; i < s->nr; i++) {
		const struct sweep_point *p = &s->point[i];

		snprintf(&names[16 * i], 16, "%u", p->n);
		row[i] = (struct inflation_row){ p->failed ? NULL : &names[16 * i],
						 &p->median.stack, &p->inflation };
	}
	return inflation_table("N", row, s->nr, s->calibrated, o, out, err);
}

int sweep_report_table(const struct sweep_report *r, const struct report_options *o, FILE *out,
		       struct err *err)
{
	int ret;

	head(r, o, out);
	ret = times(r, o, out, err);
	if (ret)
		return ret;
	if (r->sweep->base) {
		fprintf(out, "\nOf n workers, how many did what (they sum to n):\n");
		ret = stacks(r, o, out, err);
		if (ret)
			return ret;
		fputc('\n', out);
		legend(r, o, out);
		fputc('\n', out);
		ret = inflations(r, o, out, err);
		if (ret)
			return ret;
		fits(r, o, out);
		fputc('\n', out);
	}
	sentences(r, o, out);
	return 0;
}
