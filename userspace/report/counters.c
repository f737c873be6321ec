// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the counters counted for each thread: one column for each counter, instructions per cycle where both are there. "~": scaled, the
 * counter had to share the hardware; "+": at least that, a part is not known.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/report.h"
#include "report/rows.h"
#include "report/text.h"
#include "report/units.h"

#define NAME_SIZE 64

struct sheet {
	const struct loaded *loaded;
	char names[COUNTERS_MAX][NAME_SIZE];
	unsigned int nr;
	bool scaled, partial, none; /* what the legend has to explain */
	bool ipc;
};

static struct grid *columns(struct sheet *s)
{
	struct grid *g = grid_new();

	grid_column(g, "process/thread", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "oncpu", GRID_RIGHT);
	grid_column(g, "slices", GRID_RIGHT);
	for (unsigned int i = 0; i < s->nr; i++) {
		escape_terminal(s->names[i], NAME_SIZE, counts_info(s->loaded->counts, i)->name, 48,
				true);
		grid_column(g, s->names[i], GRID_RIGHT);
	}
	grid_column(g, "per cycle", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "not known", GRID_RIGHT | GRID_OPTIONAL);
	return g;
}

static void value_cell(struct grid *g, struct sheet *s, const struct counted *of,
		       const struct counted_value *v)
{
	char text[UNITS_SIZE];

	s->none |= v->none;
	s->partial |= v->lacks;
	s->scaled |= v->scaled && !v->none;
	if (v->none)
		grid_cell(g, "?");
	else
		grid_cell(g, "%s%s%s", v->scaled ? "~" : "", units_grouped(text, v->value),
			  of->partial || v->lacks ? "+" : "");
}

static void cells(struct grid *g, struct sheet *s, const struct report_row *row)
{
	const struct counted *of = &row->counted;
	char name[ROW_NAME_SIZE], id[16], text[UNITS_SIZE];
	double ipc;

	grid_row(g, row->kind == ROW_PROCESS || row->kind == ROW_SINGLE);
	grid_cell(g, "%s", row_name(row, name));
	grid_cell(g, "%s", row_id(row, id));
	grid_cell(g, "%s", units_time(text, row->ledger_ns[CLASS_ONCPU]));
	grid_cell(g, "%s", units_grouped(text, of->slices));
	for (unsigned int i = 0; i < s->nr; i++)
		value_cell(g, s, of, &of->counter[i]);
	if (counted_ipc(s->loaded->counts, of, &ipc))
		grid_cell(g, "%.2f", ipc);
	else
		grid_cell(g, "-");
	s->partial |= of->partial;
	if (of->unknown + of->lost)
		grid_cell(g, "%" PRIu64, of->unknown + of->lost);
	else
		grid_cell(g, "-");
}

static void legend(const struct sheet *s, const struct grid *g, const struct report_options *o,
		   FILE *out)
{
	fputc('\n', out);
	text_item(out, o->width, "slices",
		  "times that it had a CPU; each one's own values: whyscale script");
	if (grid_shows(g, "per cycle"))
		text_item(out, o->width, "per cycle", "instructions for each cycle");
	if (s->scaled)
		text_item(
			out, o->width, "~",
			"the counter had to share the hardware with others: counted for a part of "
			"the time and extrapolated");
	if (s->partial)
		text_item(out, o->width, "+",
			  "at least that: it was not seen how so many slices (not known) began, "
			  "their records were lost, or the hardware was never free");
	if (s->none)
		text_item(out, o->width, "?",
			  "other counters had the hardware all the time: ask for fewer");
	for (unsigned int i = 0; i < s->nr; i++)
		if (counts_info(s->loaded->counts, i)->user_only)
			text_item(out, o->width, s->names[i], "only what happened in user space");
}

/* "Not counted: a, b: reason." for all that have this one. */
static void show_reason(const json_t *counters, const char *reason, const struct report_options *o,
			FILE *out)
{
	_cleanup_(free_p) char *names = NULL;
	char clean[NAME_SIZE], clean_reason[300];
	const json_t *one;
	const char *name;
	size_t len;
	FILE *f = open_memstream(&names, &len);

	if (!f)
		return;
	json_object_foreach((json_t *)counters, name, one) {
		const char *why = json_string_value(json_object_get(one, "unavailable"));

		if (why && !strcmp(why, reason))
			fprintf(f, "%s%s", ftell(f) ? ", " : "",
				escape_terminal(clean, sizeof(clean), name, 48, true));
	}
	fclose(f);
	text_line(out, o->width, "Not counted: %s: %s.", names,
		  escape_terminal(clean_reason, sizeof(clean_reason), reason, 240, false));
}

/* Those that this machine did not have, with the reason. */
static void show_missing(const struct loaded *l, const struct report_options *o, FILE *out)
{
	const json_t *counters = json_object_get(l->raw_meta, "counters"), *one;
	const char *name, *last = NULL;

	json_object_foreach((json_t *)counters, name, one) {
		const char *why = json_string_value(json_object_get(one, "unavailable"));

		if (!why || (last && !strcmp(why, last)))
			continue;
		if (!last)
			fputc('\n', out);
		show_reason(counters, why, o, out);
		last = why;
	}
}

static int print_counters(const struct loaded *l, const struct report_options *o, FILE *out,
			  struct err *err)
{
	struct sheet s = { .loaded = l, .nr = counts_nr(l->counts) };
	_cleanup_(grid_free_p) struct grid *g = columns(&s);
	struct report_rows rows = {};
	int r;

	if (!s.nr) {
		fprintf(out,
			"No counter was read for each thread: record with -e or --counters.\n");
		show_missing(l, o, out);
		return 0;
	}
	r = rows_make(l, o->max_threads, &rows, err);
	if (r)
		return r;
	for (size_t i = 0; i < rows.nr; i++)
		cells(g, &s, &rows.row[i]);
	fprintf(out, "What the counters counted while each thread had a CPU:\n");
	r = grid_print(g, o->width, o->colour, out, err);
	if (!r && !o->no_legend)
		legend(&s, g, o, out);
	if (!r)
		show_missing(l, o, out);
	rows_free(&rows);
	return r;
}

const struct report_form form_counters = {
	.name = "counters",
	.help = "cycles, instructions, misses, page faults ... of each thread",
	.print = print_counters,
};
