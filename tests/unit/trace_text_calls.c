// SPDX-License-Identifier: GPL-2.0-only
/* Call stacks and mappings of traces as text: see trace_text.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "trace_text_line.h"

static void put_calls(const struct line *line)
{
	struct ev_calls rec = {
		.who = who_of(line->arg[0]),
		.kernel = value(line, "k", 0),
		.user = value(line, "u", 0),
		.python = value(line, "py", 0),
	};
	bool off = has(line, "off");
	unsigned int flags = off ? CL_OFF : has(line, "wake") ? CL_WAKE : CL_SAMPLE;

	rec.seq = (uint16_t)(*seq_of(line, rec.who) + off);
	flags |= has(line, "nokernel") ? CL_NO_KERNEL : 0;
	flags |= has(line, "nouser") ? CL_NO_USER : 0;
	flags |= has(line, "nopython") ? CL_NO_PYTHON : 0;
	put(line, &rec, EV_CALLS, flags, sizeof(rec));
}

/* Which of the words of a line are no "key=value" and no flag: the numbers. */
static size_t numbers(const struct line *line, uint64_t *ret, size_t max)
{
	size_t nr = 0;

	for (unsigned int i = 1; i < line->nr && nr < max; i++)
		if (line->arg[i][0] >= '0' && line->arg[i][0] <= '9')
			ret[nr++] = strtoull(line->arg[i], NULL, 0);
	return nr;
}

static void put_frames(const struct line *line, unsigned int kind)
{
	struct ev_frames rec = {
		.id = number(line, 0),
		.part = (uint8_t)value(line, "part", 0),
		.parts = (uint8_t)value(line, "parts", 1),
		.cut = has(line, "cut"),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};

	numbers(line, (uint64_t *)rec.address, FRAMES_WORDS);
	put(line, &rec, kind, 0, sizeof(rec));
}

/* "7@12!": code, instruction, PY_ENTRY. */
static void put_pystack(const struct line *line)
{
	struct ev_pystack rec = {
		.id = number(line, 0),
		.part = (uint8_t)value(line, "part", 0),
		.parts = (uint8_t)value(line, "parts", 1),
		.cut = has(line, "cut"),
		.version = (uint8_t)value(line, "version", 11),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};
	unsigned int nr = 0;

	for (unsigned int i = 1; i < line->nr && nr < PYSTACK_FRAMES; i++) {
		char *at = strchr(line->arg[i], '@');

		if (!at)
			continue;
		rec.frame[nr].code = strtoull(line->arg[i], NULL, 0);
		rec.frame[nr].at = (uint32_t)strtoul(at + 1, &at, 0);
		rec.frame[nr++].flags = *at == '!' ? PY_ENTRY : 0;
	}
	put(line, &rec, EV_PYSTACK, 0, sizeof(rec));
}

/* Name and file are the second and third word; "table" is in hexadecimal digits. */
static void put_pycode(const struct line *line)
{
	struct ev_pycode rec = {
		.id = number(line, 0),
		.parts = 1,
		.version = (uint8_t)value(line, "version", 11),
		.first_line = (uint32_t)value(line, "line", 1),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};
	const char *table = line->arg[line->nr - 1];
	unsigned int n;

	n = (unsigned int)snprintf((char *)rec.byte, PYCODE_BYTES, "%s%c%s", line->arg[1], 0,
				   line->arg[2]) +
	    1;
	if (!strncmp(table, "table=", 6))
		for (table += 6; table[0] && n < PYCODE_BYTES; table += 2)
			sscanf(table, "%2hhx", &rec.byte[n++]);
	rec.bytes = n;
	put(line, &rec, EV_PYCODE, 0, sizeof(rec));
}

/* "map START END PATH [tgid=N]" */
static void put_map(const struct line *line)
{
	const struct mapping m = {
		.time_ns = line->time,
		.kind = MAPPING_ADD,
		.tgid = (uint32_t)value(line, "tgid", 1),
		.prot = PROT_READ | PROT_EXEC,
		.flags = MAP_PRIVATE,
		.start = strtoull(line->arg[0], NULL, 0),
		.end = strtoull(line->arg[1], NULL, 0),
		.path = line->arg[2],
	};

	assert_non_null(line->writer);
	assert_int_equal(trace_writer_mapping(line->writer, &m, &(struct err){}), 0);
}

bool put_stack(const struct line *line, const char *event)
{
	if (!strcmp(event, "calls"))
		put_calls(line);
	else if (!strcmp(event, "kstack"))
		put_frames(line, EV_KSTACK);
	else if (!strcmp(event, "uframes"))
		put_frames(line, EV_UFRAMES);
	else if (!strcmp(event, "pystack"))
		put_pystack(line);
	else if (!strcmp(event, "pycode"))
		put_pycode(line);
	else if (!strcmp(event, "map"))
		put_map(line);
	else
		return false;
	return true;
}
