/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace's META objects (format.h): what a reader elsewhere must know of this machine and this recording. */
#ifndef WHYSCALE_RECORD_META_H
#define WHYSCALE_RECORD_META_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The first one. argv: of the recorded command, or NULL. NULL when out of memory. */
json_t *meta_start(char *const *argv, pid_t target, unsigned int nr_cpus, const bool *online,
		   uint64_t epoch_ns);

/* {"id": "path"} of the cgroups that govern CPU time, by the kernfs id of each. NULL when out of memory. */
json_t *meta_cgroups(void);

#endif
