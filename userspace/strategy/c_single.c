// SPDX-License-Identifier: GPL-2.0-only
/* c-single: one thread, the process's own, counts everything. The baseline of the C strategies. */
#include "base/clock.h"
#include "strategy/count_loop.h"
#include "strategy/strategy.h"
#include "strategy/strategy_result.h"

STRATEGY_RUN(c_single);

STRATEGY_RUN(c_single)
{
	int rc = strategy_result_init(ret, job->strategy->name, 1, job->count, err);

	if (rc)
		return rc;
	ret->t0_ns = monotonic_ns();
	count_worker_run(job->count, NULL, &ret->worker[0]);
	ret->counted = ret->worker[0].counted;
	ret->t1_ns = monotonic_ns();
	return 0;
}
