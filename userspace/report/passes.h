/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The results of the passes (analysis/passes.h) for programs. Each returns a new value, JSON null when the pass was not made, or NULL
 * when out of memory. And the text block that the table shows.
 */
#ifndef WHYSCALE_REPORT_PASSES_H
#define WHYSCALE_REPORT_PASSES_H

#include <jansson.h>

#include "analysis/load.h"
#include "report/report.h"

/* {"count", "delay_ns", ..., "pairs":[{"waker":{...}, "context", "wakee":{...}, ...}], "others":{...}} */
json_t *json_wakeups(const struct loaded *l);

/* {"wait_ns", "own_ns", ..., "idle_elsewhere_ns", "by":[...], "threads":[...]} */
json_t *json_runq_by(const struct loaded *l);

/* {"wall_ns", "by_thread":[...], "by_class":{...}, "outside":[...], "steps", ...} */
json_t *json_critical_path(const struct loaded *l);

/* {"wall_ns", "busy_ns", "running_ns":[ns with 0, 1, ... at once], "threads":[...], "pop":{...}, ...} */
json_t *json_parallelism(const struct loaded *l);

/* [{"kind", "class", "name", "wait_ns", "holders":[...], ...}]: each lock, the longest wait first; empty without PASS_LOCKS. */
json_t *json_locks(const struct loaded *l);

/* [{"name", "address", "count", "oncpu_ns"}]: locks of the kernel that were spun for. */
json_t *json_spins(const struct loaded *l);

/* "While threads waited for a CPU, who had it". Nothing when the pass was not made. */
int runq_by_print(const struct loaded *l, const struct report_options *o, FILE *out,
		  struct err *err);

#endif
