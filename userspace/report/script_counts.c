// SPDX-License-Identifier: GPL-2.0-only
/* An EV_COUNTS as a line: "counts cycles=123 page-faults=4 seq=7", of a slice or (total=1) of all slices so far. */
#include <inttypes.h>

#include "report/escape.h"
#include "report/script_impl.h"

/* Without a name in META, c0, c1 ... */
static void put_value(const struct line *l, unsigned int i, const char *suffix, uint64_t value)
{
	char name[64];

	if (i < l->script->nr_counters)
		fprintf(l->out, " %s",
			escape_terminal(name, sizeof(name), l->script->counters[i].name, 40, true));
	else
		fprintf(l->out, " c%u", i);
	fprintf(l->out, "%s=%" PRIu64, suffix, value);
}

int script_put_counts(const struct line *l)
{
	const struct ev_counts *e = (const void *)l->ev->rec;
	unsigned int values = EV_WORDS(e->w0) - COUNTS_WORDS(0, 0);
	bool shared = l->flags & CT_SHARED;
	unsigned int nr = shared ? values / 3 : values;

	script_put_head(l, e->who);
	fprintf(l->out, "counts");
	for (unsigned int i = 0; i < nr && !(l->flags & CT_UNKNOWN); i++) {
		put_value(l, i, "", e->value[i]);
		if (!shared || e->value[nr + i] == e->value[2 * nr + i])
			continue;
		put_value(l, i, ":enabled_ns", e->value[nr + i]);
		put_value(l, i, ":running_ns", e->value[2 * nr + i]);
	}
	fprintf(l->out, " seq=%u", e->seq);
	if (l->flags & CT_TOTAL)
		fprintf(l->out, " unknown_slices=%u", e->unknown);
	script_put_flag(l, CT_TOTAL, "total");
	script_put_flag(l, CT_EXEC, "exec");
	script_put_flag(l, CT_UNKNOWN, "unknown");
	return 0;
}
