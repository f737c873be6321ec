/* SPDX-License-Identifier: GPL-2.0-only */
/* For `whyscale run`: what is known about a run's inflation (analysis/inflation.h), put together from where it is known. */
#ifndef WHYSCALE_CLI_RUN_INFLATION_H
#define WHYSCALE_CLI_RUN_INFLATION_H

#include "analysis/inflation.h"
#include "report/run_report.h"
#include "strategy/capacity.h"

/* What switches and migrations cost here. False: `whyscale calibrate` has not measured it on this machine. */
bool run_inflation_costs(struct machine_costs *ret_costs);

/* Fills in e->inflation. `reference`, `capacity` and `costs` may be NULL: not known. */
void run_inflation_split(struct run_entry *e, const struct run_entry *reference,
			 const struct capacity *capacity, const struct machine_costs *costs);

#endif
