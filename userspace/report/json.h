/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the JSON report that other outputs use as well. Each returns a new value, or NULL when out of memory (json_pack()
 * makes NULL of a NULL part).
 */
#ifndef WHYSCALE_REPORT_JSON_H
#define WHYSCALE_REPORT_JSON_H

#include <jansson.h>

#include "analysis/load.h"

/* {"oncpu": ns, ...}: every class. */
json_t *json_ledger(const uint64_t *ledger_ns);

/* {"result", "switches":{...}, "migrations":{...}, "time":{...}}, ours beside the kernel's. */
json_t *json_audit(const struct audit *a);

/* The same of all threads, with the number of threads of each result and the sentence. */
json_t *json_audit_total(const struct loaded *l);

/* {"events", "missed", "spans":[...], causes}. */
json_t *json_lost(const struct loaded *l);

/* {"page-faults": {"value", "unit", "scaled", ...}, "cycles": {"unavailable": why}}: of all threads together; null without counters. */
json_t *json_counters(const struct loaded *l);

/* Gives `into` what these counters counted, "counters": {name: {"value", "scaled", ...}}, where the trace has any. 0 or -1. */
int json_add_counted(const struct loaded *l, const struct counted *of, json_t *into);

/* The number of a foreign who or process (foreign_id()); null outside of the pid namespace. */
json_t *json_foreign_id(uint32_t id);

/* BPF run time, recorder CPU time; null when the recording was not closed. */
json_t *json_cost(const struct loaded *l);

#endif
