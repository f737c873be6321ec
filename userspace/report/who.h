/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of whos (bpf/events.h) as far as the events told them. Whos are untrusted numbers: kept in a hash, never an index. */
#ifndef WHYSCALE_REPORT_WHO_H
#define WHYSCALE_REPORT_WHO_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"

struct who_table;

struct who_table *who_new(void);
void who_free(struct who_table *table);

/* Sets the tid (0: keep what is known) and the name of a who. 0 or -ENOMEM. */
int who_set(struct who_table *table, uint32_t who, uint32_t tid, const char *comm);

/*
 * "comm/tid", escaped, without blanks: "idle/0", "?/1234" for an untracked thread without a name, "?/#7" for a serial not met,
 * "comm/outside" for one outside of the pid namespace in which was recorded.
 */
#define WHO_TEXT_SIZE 96
const char *who_text(const struct who_table *table, uint32_t who, char *buf);

#endif
