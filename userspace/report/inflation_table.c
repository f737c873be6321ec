// SPDX-License-Identifier: GPL-2.0-only
/* What the inflation of runs was, as far as it is known. In units of workers, as the stack has it, so that a row sums to that. */
#include "report/inflation_table.h"

#include <math.h>

#include "base/cleanup.h"
#include "report/grid.h"
#include "report/text.h"

/* What rounds to 0.00 of a worker is not worth a row. */
#define WORTH_A_ROW 0.005

static double workers_of(const struct inflation_row *e, int64_t ns)
{
	return e->stack->wall_ns > 0 ? (double)ns / (double)e->stack->wall_ns : 0;
}

static bool has_row(const struct inflation_row *e)
{
	return e->name && e->split->known && fabs(workers_of(e, e->split->total_ns)) >= WORTH_A_ROW;
}

/* "0.012 (0.003 to 0.020)"; never "-0.000". */
static void piece_cell(struct grid *g, const struct inflation_row *e,
		       const struct inflation_piece *p)
{
	double value = workers_of(e, p->ns) + 0.0, low = workers_of(e, p->low_ns);
	double high = workers_of(e, p->high_ns);

	if (!p->known) {
		grid_cell(g, "?");
		return;
	}
	value = fabs(value) < 0.0005 ? 0 : value;
	low = fabs(low) < 0.0005 ? 0 : low;
	high = fabs(high) < 0.0005 ? 0 : high;
	if (p->estimate)
		grid_cell(g, "%.3f (%.3f to %.3f)", value, low, high);
	else
		grid_cell(g, "%.3f", value);
}

static void legend(bool calibrated, const struct report_options *o, FILE *out)
{
	text_item(
		out, o->width, "shared",
		"CPUs that work at once slow each other down, as measured around this run: they share a core, a "
		"cache or a host (estimate)");
	text_item(out, o->width, "switches",
		  "more switches than the baseline had, times the cost of one (estimate)%s",
		  calibrated ? "" : ": unknown until `whyscale calibrate` has measured that cost");
	text_item(out, o->width, "migrations",
		  "more moves to another CPU, times what the caches lose in one (estimate)%s",
		  calibrated ? "" : ": unknown, as above");
	text_item(out, o->width, "steal", "the host had the CPU, by the kernel's count");
	text_item(
		out, o->width, "instructions",
		"more instructions were executed; ipc: fewer in each cycle, for other reasons than those above. Both need "
		"hardware counters: ? where there are none");
	text_item(
		out, o->width, "unexplained",
		"what remains; numbers in brackets are intervals, below 0 is less than the baseline had");
	fputc('\n', out);
}

int inflation_table(const char *head, const struct inflation_row *row, size_t nr, bool calibrated,
		    const struct report_options *o, FILE *out, struct err *err)
{
	static const char *const heads[INFLATION_NR] = { "SHARED",     "SWITCHES",     "MIGRATIONS",
							 "STEAL",      "INSTRUCTIONS", "IPC",
							 "UNEXPLAINED" };
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	bool any = false;
	int ret;

	grid_column(g, head, GRID_KEY);
	grid_column(g, "INFLATION", GRID_RIGHT);
	for (int part = 0; part < INFLATION_NR; part++)
		grid_column(g, heads[part], GRID_RIGHT);
	for (size_t i = 0; i < nr; i++) {
		const struct inflation_row *e = &row[i];

		if (!has_row(e))
			continue;
		any = true;
		grid_row(g, false);
		grid_cell(g, "%s", e->name);
		grid_cell(g, "%.3f", workers_of(e, e->split->total_ns));
		for (int part = 0; part < INFLATION_NR; part++)
			piece_cell(g, e, &e->split->piece[part]);
	}
	if (!any)
		return 0;
	text_line(
		out, o->width,
		"What the inflation was, in workers, as far as it is known (the parts sum to it):");
	ret = grid_print(g, o->width, o->colour, out, err);
	if (ret)
		return ret;
	fputc('\n', out);
	legend(calibrated, o, out);
	return 0;
}

static json_t *piece_json(const struct inflation_piece *p)
{
	if (!p->known)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:b}", "ns", (json_int_t)p->ns, "low_ns",
			 (json_int_t)p->low_ns, "high_ns", (json_int_t)p->high_ns, "estimate",
			 (int)p->estimate);
}

json_t *inflation_json(const struct inflation_split *s)
{
	json_t *o;

	if (!s->known)
		return json_null();
	o = json_pack("{s:I}", "total_ns", (json_int_t)s->total_ns);
	if (s->capacity.cpus)
		json_object_set_new(o, "cpu_time_together",
				    json_pack("{s:i, s:f, s:f, s:f}", "cpus", (int)s->capacity.cpus,
					      "times", s->capacity.times, "min",
					      s->capacity.times_min, "max", s->capacity.times_max));
	for (int part = 0; part < INFLATION_NR; part++)
		json_object_set_new(o, inflation_part_name(part), piece_json(&s->piece[part]));
	return o;
}
