// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads are moved from CPU to CPU, and find cold caches there. How cold, no event tells: it is inside the time on a CPU. So this is
 * counts, and no loss; a bound is there where `whyscale calibrate` has measured what a move costs on this machine.
 */
#include <inttypes.h>
#include <math.h>

#include "explain/lock_words.h"

/* Worth a sentence: so many in a second of time on a CPU, and at least so many; or, of more than a few, so much to be gained. */
#define RATE_MIN 100.0
#define MIGRATIONS_MIN 100
#define FEW 10
#define GAIN_MIN 1.01

static bool worth_it(const struct facts *f, double rate, double bound)
{
	return (f->run->migrations >= MIGRATIONS_MIN && rate >= RATE_MIN) ||
	       (f->run->migrations > FEW && bound >= GAIN_MIN * facts_speedup(f));
}

/* What each costs here, and the limit without them. */
static int add_cost(const struct facts *f, struct finding *ret)
{
	const struct cost_range *cost = &f->replay->move_cost;
	double bound = finding_hundredths(ret->bound), us = finding_tenths(cost->ns / 1e3),
	       low_us = finding_tenths(fmax(0, cost->low_ns) / 1e3),
	       high_us = finding_tenths(cost->high_ns / 1e3);

	evidence_number(ret->evidence, "cost_us", us);
	evidence_number(ret->evidence, "cost_low_us", low_us);
	evidence_number(ret->evidence, "cost_high_us", high_us);
	evidence_number(ret->evidence, "bound", bound);
	json_object_set_new(ret->evidence, "moves_in_replay",
			    json_integer((json_int_t)f->replay->moves));
	return finding_add(
		ret,
		", %.1f us each on this machine (%.1f to %.1f, by the size of what is in the "
		"caches). Without them at most %.2fx%s",
		us, low_us, high_us, bound, f->baseline_ns ? "" : " as fast as this run");
}

static int find(const struct facts *f, struct finding *ret)
{
	uint64_t moves = f->run->migrations, oncpu_ns = f->run->ledger_ns[CLASS_ONCPU];
	double rate = oncpu_ns ? (double)moves / ((double)oncpu_ns / 1e9) : 0;
	double every_ms = moves ? finding_hundredths((double)oncpu_ns / (double)moves / 1e6) : 0;
	double bound = f->replay ? finding_bound_replayed(f, &f->replay->without[REPLAY_MOVES]) : 0;
	int r;

	if (!f->run->bpf || !moves || !worth_it(f, rate, bound))
		return 0;
	rate = finding_tenths(rate);
	r = finding_make(
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
	return r > 0 && bound > 0 ? add_cost(f, ret) : r;
}

const struct cause cause_migration = { .name = "migration", .find = find };
