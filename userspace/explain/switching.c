// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads leave the CPU so often that hardly any time is left between. What that costs (the switch itself, caches that are cold
 * again) no event tells; the waiting that comes with it is told by others. So this is counts, and no loss.
 */
#include <inttypes.h>

#include "explain/finding.h"

/* Worth a sentence: pieces on a CPU shorter than this on average, and at least so many. */
#define PIECE_MAX_NS 100000.0
#define SWITCHES_MIN 1000

static int find(const struct facts *f, struct finding *ret)
{
	uint64_t switches = f->run->voluntary + f->run->involuntary;
	uint64_t oncpu_ns = f->run->ledger_ns[CLASS_ONCPU];
	double piece_ns = switches ? (double)oncpu_ns / (double)switches : 0;
	double piece_us = finding_tenths(piece_ns / 1e3), wall_s = (double)f->stack->wall_ns / 1e9;
	double rate = wall_s > 0 ? finding_tenths((double)switches / wall_s) : 0;
	double waited = finding_percent(finding_ratio(f->run->voluntary, switches));

	if (!f->run->bpf || switches < SWITCHES_MIN || piece_ns > PIECE_MAX_NS)
		return 0;
	return finding_make(
		ret, f, "switching", 0,
		json_pack("{s:I,s:I,s:I,s:f,s:f,s:f,s:I}", "switches", (json_int_t)switches,
			  "voluntary", (json_int_t)f->run->voluntary, "involuntary",
			  (json_int_t)f->run->involuntary, "switches_per_second", rate,
			  "oncpu_us_each", piece_us, "voluntary_percent", waited, "oncpu_ns",
			  (json_int_t)oncpu_ns),
		"hand over larger pieces of work, more rarely: collect several before waking another "
		"thread, or let one thread do both",
		"%s: its threads left a CPU %" PRIu64
		" times, %.1f times a second, after %.1f us on it on "
		"average, %.1f %% of the times because they waited for something; what the switches themselves "
		"cost is in no event.",
		f->name, switches, rate, piece_us, waited);
}

const struct cause cause_switching = { .name = "switching", .find = find };
