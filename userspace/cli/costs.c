// SPDX-License-Identifier: GPL-2.0-only
/* What is kept of this machine: see costs.h. */
#include "cli/costs.h"

#include "cli/calibration.h"

bool costs_here(struct machine_costs *ret_costs)
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
