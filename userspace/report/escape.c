// SPDX-License-Identifier: GPL-2.0-only
/* Untrusted names made harmless: see escape.h. */
#include "report/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The length of the valid UTF-8 sequence at text, 0 when there is none; its character in *ret_char. */
static size_t utf8_next(const char *text, size_t max, uint32_t *ret_char)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);

	if (!len || len > max || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret_char = c;
	return len;
}

/* Controls, and characters that change the direction of what follows (or are no characters). */
static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb);
}

/* Appends one character, or each of its bytes as \xNN; false when there is no room. */
static bool put(char *buf, size_t size, size_t *at, const char *from, size_t len, bool hex)
{
	if (*at + (hex ? 4 * len : len) >= size)
		return false;
	if (!hex)
		memcpy(buf + *at, from, len);
	for (size_t i = 0; hex && i < len; i++)
		snprintf(buf + *at + 4 * i, 5, "\\x%02x", (unsigned char)from[i]);
	*at += hex ? 4 * len : len;
	return true;
}

const char *escape_terminal(char *buf, size_t size, const char *text, size_t max, bool word)
{
	size_t at = 0, len = strnlen(text, max);
	bool fits = true;

	for (size_t i = 0; i < len && fits;) {
		uint32_t c = 0;
		size_t n = utf8_next(text + i, len - i, &c);
		bool hex = !n || is_harmful(c) || (word && (c == ' ' || c == 0xa0));

		n = n ? n : 1;
		if (c == '\\' && word)
			fits = put(buf, size, &at, "\\\\", 2, false);
		else
			fits = put(buf, size, &at, text + i, n, hex);
		i += n;
	}
	if (word && !len)
		put(buf, size, &at, "-", 1, false);
	buf[at] = '\0';
	return buf;
}

json_t *escape_json(const char *text, size_t max)
{
	size_t at = 0, len = strnlen(text, max);
	_cleanup_(free_p) char *valid = malloc(3 * len + 1);

	if (!valid)
		return NULL;
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_next(text + i, len - i, &c);

		memcpy(valid + at, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
		at += n ? n : 3;
		i += n ? n : 1;
	}
	return json_stringn(valid, at);
}
