/* SPDX-License-Identifier: GPL-2.0-only */
/* What a recording could not see, besides what is not there without BPF at all: which probes were missing, what that means, and why. */
#ifndef WHYSCALE_REPORT_LIMITS_H
#define WHYSCALE_REPORT_LIMITS_H

#include <jansson.h>
#include <stdio.h>

#include "analysis/load.h"
#include "report/report.h"

/* A line of the heading for each; none when nothing was missing. */
void limits_print(const struct loaded *l, const struct report_options *o, FILE *out);

/* {"maps": why, ...}: by the probe's name as in `check`, or "outside": of -a in a pid namespace; empty when nothing was missing. A new value, or NULL when out of memory. */
json_t *limits_json(const struct loaded *l);

#endif
