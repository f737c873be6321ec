/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events by what the kernel tells of the machine's counting units, as perf names them:
 *
 *   /sys/bus/event_source/devices/cpu/type             4                       struct perf_event_attr: type
 *                                .../format/umask       config:8-15             where a term's value goes
 *                                .../events/mem-loads   event=0xcd,umask=0x1    a name, by terms
 *
 *   cpu/event=0xcd,umask=0x1/   cpu/mem-loads,ldlat=3/   cpu/config=0x1cd/   mem-loads        the last one in whichever unit has it
 */
#ifndef WHYSCALE_PROBES_COUNTER_PMU_H
#define WHYSCALE_PROBES_COUNTER_PMU_H

#include "base/err.h"
#include "probes/counter_event.h"

#define COUNTER_PMU_ROOT "/sys/bus/event_source/devices"

/*
 * "unit/terms/", without what may follow the second slash. -EINVAL and a sentence: no such unit, term or event, a value that does not fit,
 * a unit that counts for whole packages and not for threads. kind's name and `only` stay as they are.
 */
int counter_pmu_terms(const char *root, const char *text, struct event_kind *kind, struct err *err);

/* A name from the events of any unit that counts for threads. 1: found; 0: there is none of that name; -EINVAL as above. */
int counter_pmu_event(const char *root, const char *name, struct event_kind *kind, struct err *err);

#endif
