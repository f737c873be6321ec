// SPDX-License-Identifier: GPL-2.0-only
/* Who had each CPU, and when it was idle. */
#include <inttypes.h>

#include "base/cleanup.h"
#include "report/grid.h"
#include "report/report.h"
#include "report/text.h"
#include "report/units.h"

static uint64_t whole(const struct cpu_time *cpu)
{
	return cpu->idle_ns + cpu->tracked_ns + cpu->other_ns + cpu->unknown_ns;
}

static struct grid *columns(void)
{
	struct grid *g = grid_new();

	grid_column(g, "CPU", GRID_KEY | GRID_RIGHT);
	grid_column(g, "tracked", GRID_RIGHT);
	grid_column(g, "other", GRID_RIGHT);
	grid_column(g, "idle", GRID_RIGHT);
	grid_column(g, "unknown", GRID_RIGHT);
	grid_column(g, "tracked %", GRID_RIGHT);
	grid_column(g, "idle %", GRID_RIGHT);
	grid_column(g, "switches", GRID_RIGHT);
	return g;
}

static void cells(struct grid *g, const struct cpu_time *cpu, const struct units_scale *scale)
{
	char text[UNITS_SIZE];

	grid_cell(g, "%s", units_scaled(text, scale, cpu->tracked_ns));
	grid_cell(g, "%s", units_scaled(text, scale, cpu->other_ns));
	grid_cell(g, "%s", units_scaled(text, scale, cpu->idle_ns));
	grid_cell(g, "%s", units_scaled(text, scale, cpu->unknown_ns));
	grid_cell(g, "%s", units_percent(text, cpu->tracked_ns, whole(cpu)));
	grid_cell(g, "%s", units_percent(text, cpu->idle_ns, whole(cpu)));
	grid_cell(g, "%" PRIu64, cpu->switches);
}

static void legend(const struct report_options *o, FILE *out)
{
	fputc('\n', out);
	text_item(out, o->width, "tracked", "a recorded thread ran");
	text_item(out, o->width, "other", "another program's thread ran");
	text_item(out, o->width, "idle", "no thread ran");
	text_item(
		out, o->width, "unknown",
		"not recorded: only while a recorded thread runs or waits on a CPU are its switches "
		"recorded");
}

static int print_per_cpu(const struct loaded *l, const struct report_options *o, FILE *out,
			 struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = columns();
	struct cpu_time sum = {};
	struct units_scale scale;
	unsigned int nr, seen = 0;
	const struct cpu_time *cpus = ledger_cpus(l->ledger, &nr);
	int r;

	scale = units_scale(l->end_ns - l->begin_ns);
	for (unsigned int i = 0; i < nr; i++) {
		if (!cpus[i].seen)
			continue;
		grid_row(g, false);
		grid_cell(g, "%u", i);
		cells(g, &cpus[i], &scale);
		sum.tracked_ns += cpus[i].tracked_ns;
		sum.other_ns += cpus[i].other_ns;
		sum.idle_ns += cpus[i].idle_ns;
		sum.unknown_ns += cpus[i].unknown_ns;
		sum.switches += cpus[i].switches;
		seen++;
	}
	if (!seen) {
		fprintf(out, "No CPU was seen: nothing was recorded.\n");
		return 0;
	}
	grid_row(g, true);
	grid_cell(g, "all");
	cells(g, &sum, &scale);
	fprintf(out, "Who had each CPU, in %s:\n", scale.name);
	r = grid_print(g, o->width, o->colour, out, err);
	if (!r && !o->no_legend)
		legend(o, out);
	return r;
}

const struct report_form form_per_cpu = {
	.name = "per-cpu",
	.help = "who had each CPU, and its idle time",
	.print = print_per_cpu,
};
