// SPDX-License-Identifier: GPL-2.0-only
/* The workers waited for pipes, sockets, files or the disk. */
#include "explain/finding.h"

static int find(const struct facts *f, struct finding *ret)
{
	int64_t ns = f->stack->part_ns[STACK_IO];
	double share = facts_share(f, ns);

	if (share < FINDING_MIN_SHARE)
		return 0;
	return finding_make(
		ret, f, "io", ns,
		json_pack("{s:I,s:f,s:f}", "io_ns", (json_int_t)ns, "share_of_workers_time", share,
			  "percent_of_workers_time", finding_percent(share)),
		"read and write in larger pieces, or while other work goes on",
		"%s: its workers spent %.1f %% of their time waiting for pipes, sockets, files or the disk.",
		f->name, finding_percent(share));
}

const struct cause cause_io = { .name = "io", .find = find };
