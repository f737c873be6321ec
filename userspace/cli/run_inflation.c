// SPDX-License-Identifier: GPL-2.0-only
/* What is known about a run's inflation: see run_inflation.h. */
#include "cli/run_inflation.h"

#include "cli/calibration.h"

bool run_inflation_costs(struct machine_costs *ret_costs)
{
	struct machine_identity machine;
	struct calibration kept;
	struct topology t = {};
	struct err ignored = {};
	bool has;

	if (calibration_topology(&t, &ignored))
		return false;
	calibration_identity(&t, &machine);
	has = !calibration_load(&machine, &kept, &ignored);
	if (has)
		calibration_costs(&kept, &t, ret_costs);
	topology_free(&t);
	return has;
}

void run_inflation_split(struct run_entry *e, const struct run_entry *reference,
			 const struct capacity *capacity, const struct machine_costs *costs)
{
	struct shared_capacity shared = {};

	if (capacity)
		shared = (struct shared_capacity){ capacity->cpus, capacity->inflation,
						   capacity->inflation_min,
						   capacity->inflation_max };
	inflation_make(&e->run, reference ? &reference->run : NULL, &e->stack, &shared, costs,
		       &e->inflation);
}
