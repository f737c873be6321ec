// SPDX-License-Identifier: GPL-2.0-only
/* The words of a line: see trace_text_line.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "trace_text_line.h"

uint32_t who_of(const char *name)
{
	if (!strcmp(name, "idle"))
		return WHO_IDLE;
	if (name[0] == 'u')
		return WHO_UNTRACKED | (uint32_t)strtoul(name + 1, NULL, 10);
	if (name[0] < 'A' || name[0] > 'Z')
		fail_msg("no such thread: %s", name);
	return (uint32_t)(name[0] - 'A' + 1);
}

uint16_t *seq_of(const struct line *line, uint32_t who)
{
	static uint16_t none;

	return who & WHO_UNTRACKED ? &none : &line->seq[who];
}

bool has(const struct line *line, const char *word)
{
	for (unsigned int i = 0; i < line->nr; i++) {
		if (!strcmp(line->arg[i], word))
			return true;
	}
	return false;
}

uint64_t value(const struct line *line, const char *key, uint64_t otherwise)
{
	size_t len = strlen(key);

	for (unsigned int i = 0; i < line->nr; i++) {
		if (!strncmp(line->arg[i], key, len) && line->arg[i][len] == '=')
			return strtoull(line->arg[i] + len + 1, NULL, 0);
	}
	return otherwise;
}

void values(const struct line *line, const char *key, uint32_t *ret, unsigned int nr)
{
	size_t len = strlen(key);

	for (unsigned int i = 0; i < line->nr; i++) {
		char *at = line->arg[i] + len + 1;

		if (strncmp(line->arg[i], key, len) || line->arg[i][len] != '=')
			continue;
		for (unsigned int k = 0; k < nr && at[-1]; k++, at++)
			ret[k] = (uint32_t)strtoul(at, &at, 10);
	}
}

uint64_t number(const struct line *line, unsigned int i)
{
	return i < line->nr ? strtoull(line->arg[i], NULL, 10) : 0;
}

void put(const struct line *line, void *rec, unsigned int kind, unsigned int flags, size_t bytes)
{
	struct trace_event ev = { .time_ns = line->time, .cpu = line->cpu, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(line->time, bytes / 8, kind, flags);
	if (line->dropped)
		return;
	if (line->writer) {
		assert_int_equal(trace_writer_records(line->writer, line->cpu, rec, bytes,
						      &(struct err){}),
				 0);
		return;
	}
	if (line->locks)
		assert_int_equal(locks_before(line->locks, &ev), 0);
	if (line->passes)
		assert_int_equal(passes_event(line->passes, &ev), 0);
	assert_int_equal(ledger_event(line->ledger, &ev), 0);
	if (line->locks)
		assert_int_equal(locks_after(line->locks, &ev), 0);
}
