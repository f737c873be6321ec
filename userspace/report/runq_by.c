// SPDX-License-Identifier: GPL-2.0-only
/* Who had the CPU while threads waited for it: a block below the table of threads. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/runq_who.h"
#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

#define OTHERS_SHOWN 10

struct block {
	struct grid *grid;
	struct units_scale scale;
	uint64_t all_ns;
};

static void row(const struct block *b, const char *name, const char *id, const char *what,
		uint64_t ns)
{
	char text[UNITS_SIZE];

	if (!ns)
		return;
	grid_row(b->grid, false);
	grid_cell(b->grid, "%s", name);
	grid_cell(b->grid, "%s", id);
	grid_cell(b->grid, "%s", units_scaled(text, &b->scale, ns));
	grid_cell(b->grid, "%s", units_percent(text, ns, b->all_ns));
	grid_cell(b->grid, "%s", what);
}

static const char *kind_of(const struct runq_occupant *o)
{
	return o->tracked ? "another recorded process" : "not recorded";
}

static void other_rows(const struct block *b, const struct runq_occupant *list, size_t nr)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)], id[16];
	uint64_t rest_ns = 0;

	for (size_t i = 0; i < nr; i++) {
		if (i >= OTHERS_SHOWN) {
			rest_ns += list[i].ns;
			continue;
		}
		escape_terminal(name, sizeof(name), list[i].comm, EV_COMM_LEN, false);
		snprintf(id, sizeof(id), "%" PRIu32, list[i].pid);
		if (list[i].pid)
			row(b, *name ? name : "?", id, kind_of(&list[i]), list[i].ns);
		else
			row(b, "(processes without a name)", "", kind_of(&list[i]), list[i].ns);
	}
	snprintf(name, sizeof(name), "(%zu more)", nr > OTHERS_SHOWN ? nr - OTHERS_SHOWN : 0);
	row(b, name, "", "", rest_ns);
}

static void legend(const struct runq_split *s, const struct report_options *o, FILE *out)
{
	fputc('\n', out);
	if (s->part_ns[RUNQ_OWN])
		text_item(out, o->width, "own",
			  "threads of the same process as the one that waited");
	if (s->part_ns[RUNQ_IDLE])
		text_item(out, o->width, "idle",
			  "no thread had it: it was being given to the one that waited, which "
			  "takes longest when a sleeping CPU must wake up first");
	if (s->part_ns[RUNQ_UNKNOWN])
		text_item(out, o->width, "unknown",
			  "events were lost, or never reached a probe, on the CPU or about the "
			  "wait");
	text_line(out, o->width,
		  "Interrupts are not seen apart: their time is in the part of whom they "
		  "interrupted.");
}

static int print_block(const struct runq_split *s, const struct runq_occupant *list, size_t nr,
		       const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	struct block b = { g, units_scale(s->wait_ns), s->wait_ns };
	char text[UNITS_SIZE], share[UNITS_SIZE];
	int r;

	grid_column(g, "who had the CPU", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "time", GRID_RIGHT);
	grid_column(g, "share", GRID_RIGHT);
	grid_column(g, "which is", GRID_OPTIONAL);
	row(&b, "own", "", "the same process", s->part_ns[RUNQ_OWN]);
	other_rows(&b, list, nr);
	row(&b, "idle", "", "nobody", s->part_ns[RUNQ_IDLE]);
	row(&b, "unknown", "", "", s->part_ns[RUNQ_UNKNOWN]);
	fputc('\n', out);
	text_line(out, o->width, "While threads waited for a CPU (%s in all), who had it, in %s:",
		  units_time(text, s->wait_ns), b.scale.name);
	r = grid_print(g, o->width, o->colour, out, err);
	if (r)
		return r;
	text_line(out, o->width,
		  "For %s of it (%s), another CPU that the waiting thread may use stood idle.",
		  units_time(text, s->nobody_ns), units_percent(share, s->nobody_ns, s->wait_ns));
	if (!o->no_legend)
		legend(s, o, out);
	return 0;
}

int runq_by_print(const struct loaded *l, const struct report_options *o, FILE *out,
		  struct err *err)
{
	const struct runq_who *w = l->passes ? l->passes->runq_who : NULL;
	_cleanup_(free_p) struct runq_occupant *list = NULL;
	size_t nr;

	if (!w || !runq_who_all(w)->wait_ns)
		return 0;
	if (runq_who_others(w, &list, &nr))
		return err_set(err, -ENOMEM, "out of memory while printing who had the CPUs");
	return print_block(runq_who_all(w), list, nr, o, out, err);
}
