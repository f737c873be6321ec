/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests: a small trace, played again. */
#ifndef TESTS_UNIT_REPLAY_HELP_H
#define TESTS_UNIT_REPLAY_HELP_H

#include "analysis/passes.h"
#include "analysis/replay.h"
#include "analysis/work.h"

struct replay_made {
	struct ledger *ledger;
	struct passes *passes;
	struct locks *locks;
	struct replay_source *source;
	struct replay replay;
	const struct machine_costs *costs; /* NULL: not known */
	const struct work *work;           /* NULL: all work all the time */
};

/* Then events are fed (trace_text_feed_locks()), and costs and work may be changed. */
void replay_made_begin(struct replay_made *m);
/* The recording ends; on so many CPUs. */
void replay_made_end(struct replay_made *m, uint64_t end_ns, unsigned int cpus);
void replay_made_free(struct replay_made *m);

#endif
