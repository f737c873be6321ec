// SPDX-License-Identifier: GPL-2.0-only
/* Lines of CPython's code: see python_lines.h. */
#include "symbol/python_lines.h"

#include <limits.h>
#include <stdbool.h>

/* Lines are what the sums give, if they can be lines. */
static int line_or_none(int64_t line)
{
	return line > 0 && line <= INT_MAX ? (int)line : 0;
}

/* Each pair: so many bytes further, so many lines on. The line holds from there to the next pair. */
static int line_of_lnotab(const uint8_t *table, size_t bytes, uint32_t first_line, uint32_t at)
{
	uint64_t address = 0;
	int64_t line = first_line;

	for (size_t i = 0; i + 1 < bytes; i += 2) {
		address += table[i];
		if (address > at)
			break;
		line += (int8_t)table[i + 1];
	}
	return line_or_none(line);
}

/* Each pair: so many bytes whose line is so much further; the delta -128 says that they have none. */
static int line_of_linetable(const uint8_t *table, size_t bytes, uint32_t first_line, uint32_t at)
{
	uint64_t end = 0;
	int64_t line = first_line;

	for (size_t i = 0; i + 1 < bytes; i += 2) {
		int8_t delta = (int8_t)table[i + 1];

		end += table[i];
		line += delta == -128 ? 0 : delta;
		if (at < end)
			return delta == -128 ? 0 : line_or_none(line);
	}
	return 0;
}

/* A number in groups of 6 bits, the lowest first; bit 6 says that another byte follows. Bit 7 begins the next entry. */
static uint64_t take_varint(const uint8_t *table, size_t bytes, size_t *at)
{
	uint64_t value = 0;
	unsigned int shift = 0;

	while (*at < bytes && !(table[*at] & 0x80)) {
		uint8_t byte = table[(*at)++];

		if (shift < 32) /* more is no line */
			value |= (uint64_t)(byte & 0x3f) << shift;
		shift += 6;
		if (!(byte & 0x40))
			break;
	}
	return value;
}

static int64_t take_signed_varint(const uint8_t *table, size_t bytes, size_t *at)
{
	uint64_t value = take_varint(table, bytes, at);

	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* The kinds of entries: 0 to 9 hold columns only, 10 to 12 a line delta in the kind itself. */
enum {
	ENTRY_ONE_LINE_0 = 10,
	ENTRY_ONE_LINE_2 = 12,
	ENTRY_NO_COLUMNS = 13,
	ENTRY_LONG = 14,
	ENTRY_NONE = 15,
};

static int line_of_locations(const uint8_t *table, size_t bytes, uint32_t first_line, uint32_t at)
{
	uint64_t end = 0;
	int64_t line = first_line;

	for (size_t i = 0; i < bytes;) {
		unsigned int kind = table[i] >> 3 & 15;

		end += 2 * ((table[i++] & 7u) + 1);
		if (kind == ENTRY_NO_COLUMNS || kind == ENTRY_LONG)
			line += take_signed_varint(table, bytes, &i);
		else if (kind >= ENTRY_ONE_LINE_0 && kind <= ENTRY_ONE_LINE_2)
			line += kind - ENTRY_ONE_LINE_0;
		if (at < end)
			return kind == ENTRY_NONE ? 0 : line_or_none(line);
		/* what else it holds is of no matter: the next one has bit 7 set */
		while (i < bytes && !(table[i] & 0x80))
			i++;
	}
	return 0;
}

int python_line(unsigned int minor, const uint8_t *table, size_t bytes, uint32_t first_line,
		uint32_t at)
{
	switch (minor) {
	case 8:
	case 9:
		return line_of_lnotab(table, bytes, first_line, at);
	case 10:
		return line_of_linetable(table, bytes, first_line, at);
	case 11:
	case 12:
	case 13:
		return line_of_locations(table, bytes, first_line, at);
	default:
		return 0;
	}
}
