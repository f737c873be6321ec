// SPDX-License-Identifier: GPL-2.0-only
#include "replay_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_sim.h"

static const struct machine_costs move_costs = { .migration = { true, 10, 5, 20 } };

void replay_made_begin(struct replay_made *m)
{
	struct err err;

	*m = (struct replay_made){ .costs = &move_costs };
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &m->ledger, &err), 0);
	ledger_epoch(m->ledger, SIM_EPOCH);
	assert_int_equal(passes_new(m->ledger, SIM_CPUS, PASS_HISTORY, &m->passes, &err), 0);
	assert_int_equal(replay_listen(m->ledger, &m->source), 0);
	assert_int_equal(locks_new(m->ledger, ARCH_X86_64, NULL, m->passes->history, &m->locks), 0);
}

void replay_made_end(struct replay_made *m, uint64_t end_ns, unsigned int cpus)
{
	assert_int_equal(passes_end(m->passes, end_ns), 0);
	ledger_finish(m->ledger, end_ns);
	assert_int_equal(locks_finish(m->locks), 0);
	assert_int_equal(replay_make(m->source, m->passes->history, m->locks, m->work, cpus,
				     m->costs, &m->replay),
			 0);
}

void replay_made_free(struct replay_made *m)
{
	replay_source_free(m->source);
	replay_free(&m->replay);
	passes_free(m->passes);
	locks_free(m->locks);
	ledger_free(m->ledger);
}
