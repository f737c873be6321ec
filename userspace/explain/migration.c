// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads are moved from CPU to CPU, and find cold caches there. How cold, no event tells: it is inside the time on a CPU. So this is
 * counts, and no loss.
 */
#include <inttypes.h>

#include "explain/finding.h"

/* Worth a sentence: so many in a second of time on a CPU, and at least so many. */
#define RATE_MIN 100.0
#define MIGRATIONS_MIN 100

static int find(const struct facts *f, struct finding *ret)
{
	uint64_t moves = f->run->migrations, oncpu_ns = f->run->ledger_ns[CLASS_ONCPU];
	double rate = oncpu_ns ? (double)moves / ((double)oncpu_ns / 1e9) : 0;
	double every_ms = moves ? finding_hundredths((double)oncpu_ns / (double)moves / 1e6) : 0;

	if (!f->run->bpf || moves < MIGRATIONS_MIN || rate < RATE_MIN)
		return 0;
	rate = finding_tenths(rate);
	return finding_make(
		ret, f, "migration", 0,
		json_pack("{s:I,s:f,s:f,s:I}", "migrations", (json_int_t)moves,
			  "per_second_of_cpu_time", rate, "every_ms", every_ms, "oncpu_ns",
			  (json_int_t)oncpu_ns),
		"pin the threads (taskset, sched_setaffinity) and see whether the same work takes less CPU "
		"time",
		"%s: its threads were moved to another CPU %" PRIu64
		" times, %.1f times in each second on a CPU (every %.2f ms); what cold caches cost there is "
		"inside the time on a CPU.",
		f->name, moves, rate, every_ms);
}

const struct cause cause_migration = { .name = "migration", .find = find };
