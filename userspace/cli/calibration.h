/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's own costs, as `whyscale calibrate` measures them, kept in the file calibration.json of the state directory
 * (state_file.h) for as long as the machine is the same one:
 *
 *   {"schema": "whyscale.calibration/1", "machine": {"cpu", "cpus", "kernel", "arch", "topology"}, "measured_at": SECONDS,
 *    "quick": false, "direct": {"yield": {"ns", "low_ns", "high_ns", "nr"}, ...}, "migration": [{"distance", "bytes", ...}]}
 *
 * What two or more CPUs are worth together is not in it: that changes with the hour.
 */
#ifndef WHYSCALE_CLI_CALIBRATION_H
#define WHYSCALE_CLI_CALIBRATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "analysis/inflation.h"
#include "base/err.h"
#include "strategy/direct_cost.h"
#include "strategy/migration_cost.h"
#include "strategy/topology.h"

#define CALIBRATION_FILE "calibration.json"

/* What makes it another machine when it changes. */
struct machine_identity {
	char cpu[128];  /* the model's name */
	char cpus[128]; /* that this process may use, "0-3" */
	char kernel[128], arch[32];
	char topology[17]; /* topology_hash() */
};

struct calibration {
	struct machine_identity machine;
	int64_t measured_at; /* seconds since 1970 */
	bool quick;
	struct direct_costs direct;
	struct migration_costs migration;
};

/* Who this machine is, of the CPUs in `t`. */
void calibration_identity(const struct topology *t, struct machine_identity *ret);

/* The CPUs that this process may use and how they are connected; topology_free() it. */
int calibration_topology(struct topology *ret, struct err *err);

/* Measures everything that is kept, now. */
int calibration_measure(const struct topology *t, bool quick, struct calibration *ret,
			struct err *err);

/* 0; -ENOENT: none is kept; -ESTALE: of another machine; else the file cannot be used. All but -ENOENT with a sentence. */
int calibration_load(const struct machine_identity *machine, struct calibration *ret,
		     struct err *err);
int calibration_save(const struct calibration *c, struct err *err);

/* From and to the file's text. Untrusted: -EINVAL and a sentence for anything that calibration_encode() cannot have made. */
json_t *calibration_encode(const struct calibration *c);
int calibration_decode(const char *text, size_t len, struct calibration *ret, struct err *err);

/* The names of the direct costs, in order; `ret` has room for CALIBRATION_DIRECT. "wakeup_cache" is the one at that distance. */
#define CALIBRATION_DIRECT (6 + 2 * DISTANCE_NR)
struct named_estimate {
	char name[32];
	struct estimate *estimate;
};
void calibration_direct(struct direct_costs *d, struct named_estimate ret[CALIBRATION_DIRECT]);

/*
 * What a switch and a migration cost a program, for analysis/inflation.h. A migration: as measured with 64 KiB, between the least and
 * the most of all working sets that the caches of one core (level 2) can hold: what a program's is, no event says.
 */
void calibration_costs(const struct calibration *c, const struct topology *t,
		       struct machine_costs *ret);

#endif
