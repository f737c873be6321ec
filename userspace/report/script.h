/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every event as a line, for grep and awk:
 *
 *   SECONDS.NANOSECONDS cpuN COMM/TID EVENT key=value ...
 *
 * COMM/TID is the thread that the event is about (a switch: the one that left; a wake-up: the one woken). Fields are separated
 * by one blank and contain none; keys are written in the same order in every line of a kind. What is not known is "?" or
 * left out at the line's end.
 */
#ifndef WHYSCALE_REPORT_SCRIPT_H
#define WHYSCALE_REPORT_SCRIPT_H

#include <stdio.h>

#include "analysis/class.h"
#include "analysis/ledger.h"

struct script;

/* meta: the trace's, which must outlive it: it has the counters' names. base_ns is added to every time: 0 for times since the recording began. NULL when out of memory. */
struct script *script_new(FILE *out, enum syscall_arch arch, const json_t *meta, uint64_t base_ns);
void script_free(struct script *s);

/* Addresses of kernel locks and kernel code are printed. By default they are not: a lock has a number, in the order in which they are met, code
 * the name of its function if META has it. */
void script_show_kernel_addresses(struct script *s);

/* A trace_event_fn; arg is the struct script. 0, -ENOMEM, or -EIO when `out` takes no more. */
int script_event(void *arg, const struct trace_event *ev);

#endif
