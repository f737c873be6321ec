/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading little-endian data that may end anywhere: past the end everything is 0, and `bad` stays set. */
#ifndef WHYSCALE_SYMBOL_CURSOR_H
#define WHYSCALE_SYMBOL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *bytes;
	size_t at, end; /* offsets in bytes */
	bool bad;
};

static inline bool cursor_more(const struct cursor *c)
{
	return !c->bad && c->at < c->end;
}

static inline void cursor_skip(struct cursor *c, uint64_t len)
{
	if (c->bad || len > c->end - c->at) {
		c->bad = true;
		c->at = c->end;
		return;
	}
	c->at += len;
}

/* An unsigned number of `len` bytes, at most 8. */
static inline uint64_t cursor_uint(struct cursor *c, size_t len)
{
	size_t from = c->at;
	uint64_t value = 0;

	cursor_skip(c, len);
	if (c->bad)
		return 0;
	for (size_t i = len; i-- > 0;)
		value = value << 8 | c->bytes[from + i];
	return value;
}

static inline uint64_t cursor_int(struct cursor *c, size_t len)
{
	uint64_t value = cursor_uint(c, len), sign = UINT64_C(1) << (8 * len - 1);

	return (value ^ sign) - sign;
}

static inline uint64_t cursor_leb(struct cursor *c, bool is_signed)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)cursor_uint(c, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += shift < 64 ? 7 : 0;
	} while (byte & 0x80);
	if (is_signed && shift < 64 && (byte & 0x40))
		value |= ~UINT64_C(0) << shift;
	return value;
}

static inline uint64_t cursor_uleb(struct cursor *c)
{
	return cursor_leb(c, false);
}

static inline uint64_t cursor_sleb(struct cursor *c)
{
	return cursor_leb(c, true);
}

#endif
