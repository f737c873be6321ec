/* SPDX-License-Identifier: GPL-2.0-only */
/* What switches and migrations cost on this machine, as far as `whyscale calibrate` has measured it: for the commands that explain. */
#ifndef WHYSCALE_CLI_COSTS_H
#define WHYSCALE_CLI_COSTS_H

#include "analysis/cost.h"

/* False: it has not been measured on this machine. */
bool costs_here(struct machine_costs *ret_costs);

#endif
