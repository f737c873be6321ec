// SPDX-License-Identifier: GPL-2.0-only
/* The stack of a run as cells: see stack_table.h. */
#include "report/stack_table.h"

#include <inttypes.h>

#include "report/report.h"

bool stack_table_negligible(const struct stack *s, enum stack_part part)
{
	double share = stack_share(s, part);

	return share > -0.0005 && share < 0.0005;
}

void stack_table_columns(struct grid *g)
{
	static const char *const heads[STACK_NR] = {
		"USEFUL",         "INFLATION",   "LOCK",      "GIL",      "KLOCK",    "SYNC",
		"RUNQ_PREEMPTED", "RUNQ_WAKEUP", "THROTTLED", "IO",       "SLEEP",    "STOPPED",
		"BLOCKED_OTHER",  "SPAWN",       "IMBALANCE", "TEARDOWN", "UNTRACKED"
	};

	for (int part = 0; part < STACK_NR; part++)
		grid_column(g, heads[part],
			    GRID_RIGHT | (part == STACK_USEFUL ? 0 : GRID_OPTIONAL));
}

void stack_table_cells(struct grid *g, const struct stack *s)
{
	for (int part = 0; part < STACK_NR; part++) {
		if (stack_table_negligible(s, part))
			grid_cell(g, "-");
		else
			grid_cell(g, "%.3f", stack_share(s, part));
	}
}

const char *stack_table_meaning(enum stack_part part)
{
	for (int class = 0; class < CLASS_NR; class ++)
		if (stack_part_of((enum ledger_class) class) == part)
			return class_meaning((enum ledger_class) class);
	return "";
}

void stack_table_switch_columns(struct grid *g)
{
	grid_column(g, "VOL", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "INVOL", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "MIGR", GRID_RIGHT | GRID_OPTIONAL);
	grid_column(g, "AUDIT", GRID_OPTIONAL);
}

void stack_table_switch_cells(struct grid *g, const struct experiment *run)
{
	if (!run->bpf)
		return;
	grid_cell(g, "%" PRIu64, run->voluntary);
	grid_cell(g, "%" PRIu64, run->involuntary);
	grid_cell(g, "%" PRIu64, run->migrations);
	grid_cell(g, "%s", report_audit_name(run->audit.sum.all));
}
