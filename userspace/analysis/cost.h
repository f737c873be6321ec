/* SPDX-License-Identifier: GPL-2.0-only */
/* What this machine charges for a switch and for a move to another CPU: measured by `whyscale calibrate`, kept by cli/calibration.h. */
#ifndef WHYSCALE_ANALYSIS_COST_H
#define WHYSCALE_ANALYSIS_COST_H

#include <stdbool.h>

/* A cost in ns, with an interval. */
struct cost_range {
	bool known;
	double ns, low_ns, high_ns;
};

struct machine_costs {
	struct cost_range one_switch, migration;
};

#endif
