/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that print events as lines share: script.c has the table of printers. */
#ifndef WHYSCALE_REPORT_SCRIPT_IMPL_H
#define WHYSCALE_REPORT_SCRIPT_IMPL_H

#include "analysis/counts.h"
#include "analysis/keymap.h"
#include "report/script.h"

struct script {
	FILE *out;
	enum syscall_arch arch;
	uint64_t base_ns;
	struct who_table *names;
	struct counter_info counters[COUNTERS_MAX]; /* the names of EV_COUNTS's values */
	unsigned int nr_counters;
	bool kernel_addresses; /* script_show_kernel_addresses() */
	const json_t *symbols; /* META's names of kernel code by address */
	struct keymap locks;   /* kernel locks by address: their numbers */
};

/* One line in the making. */
struct line {
	struct script *script;
	FILE *out;
	const struct trace_event *ev;
	unsigned int flags;
};

/* "time cpuN comm/tid ": how the line of an event of a thread begins. */
void script_put_head(const struct line *l, uint32_t who);

/* " name=1" if the event has the flag. */
void script_put_flag(const struct line *l, unsigned int flag, const char *name);

/* script_counts.c: 0 */
int script_put_counts(const struct line *l);

/* script_calls.c: 0 */
int script_put_calls(const struct line *l);
int script_put_frames(const struct line *l);
int script_put_ustack(const struct line *l);
int script_put_pystack(const struct line *l);
int script_put_pycode(const struct line *l);

#endif
