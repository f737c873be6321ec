/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of counters, as perf has them: "cycles,L1-dcache-load-misses:u,r01c2,cpu/event=0x3c,umask=1/k".
 *
 *   hardware, software   cycles, page-faults, ... and perf's short names for them (branches, faults, cs)
 *   caches               L1-dcache, L1-icache, LLC, dTLB, iTLB, branch, node, each with -loads, -load-misses, -stores ...
 *   raw                  rNNN: hexadecimal, what the processor's manual calls the event
 *
 *   counting units       cpu/event=0x3c,umask=1/, cpu/mem-loads/, or the bare name of an event that a unit lists (counter_pmu.h)
 *
 * Behind a name, ":u" counts only what happens in user space and ":k" only what happens in the kernel ("u" or "k" behind the last slash).
 * Groups, {a,b}, are refused with a sentence: what shares the hardware is extrapolated, and marked.
 */
#ifndef WHYSCALE_PROBES_COUNTER_NAMES_H
#define WHYSCALE_PROBES_COUNTER_NAMES_H

#include "base/err.h"
#include "bpf/events.h"
#include "probes/counter_event.h"

#define COUNTER_NAME 128
struct counter_list {
	struct event_kind kind[COUNTERS_MAX]; /* their names point into `name` */
	size_t nr;
	char name[COUNTERS_MAX][COUNTER_NAME];
};

/*
 * Takes the names in `list` apart; it points into itself, so it is not to be copied. "": those worth having on any machine, be they there
 * or not. -EINVAL and a sentence that says which name is wrong and which there are: unknown, empty, twice, too many.
 */
int counter_list_parse(struct counter_list *list, const char *names, struct err *err);

/* The same with the counting units of another directory than COUNTER_PMU_ROOT. */
int counter_list_parse_in(struct counter_list *list, const char *names, const char *root,
			  struct err *err);

#endif
