/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tables of `run` and of `sweep` have in common: where the workers' time went, and how often a run was switched. */
#ifndef WHYSCALE_REPORT_STACK_TABLE_H
#define WHYSCALE_REPORT_STACK_TABLE_H

#include "analysis/experiment.h"
#include "analysis/stack.h"
#include "report/grid.h"

/* Whether a part rounds to 0.000 workers: it is not shown. */
bool stack_table_negligible(const struct stack *s, enum stack_part part);

/* A column for each part of the stack, and what a run has in them. */
void stack_table_columns(struct grid *g);
void stack_table_cells(struct grid *g, const struct stack *s);

/* What a part is, by the class that it has in the ledger; "": it has none. */
const char *stack_table_meaning(enum stack_part part);

/* Switches, migrations, and whether they are those that the kernel counted; nothing where a run was made without BPF. */
void stack_table_switch_columns(struct grid *g);
void stack_table_switch_cells(struct grid *g, const struct experiment *run);

#endif
