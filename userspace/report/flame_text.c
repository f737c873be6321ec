// SPDX-License-Identifier: GPL-2.0-only
/* Untrusted text into SVG: see flame_text.h. */
#include "report/flame_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/flame_tree.h"
#include "base/cleanup.h"
#include "report/escape.h"

/* Without control characters and valid; cut where a name would be. U+FFFE and U+FFFF, which XML refuses, become U+FFFD. */
static size_t harmless(char buf[ESCAPE_SIZE(FLAME_NAME_MAX)], const char *text, size_t len)
{
	size_t at = 0, room = ESCAPE_SIZE(FLAME_NAME_MAX);

	if (len > FLAME_NAME_MAX)
		len = FLAME_NAME_MAX;
	escape_terminal(buf, room, text, len, false);
	for (at = 0; buf[at]; at++)
		if ((unsigned char)buf[at] == 0xef && (unsigned char)buf[at + 1] == 0xbf &&
		    (unsigned char)buf[at + 2] >= 0xbe)
			buf[at + 2] = (char)0xbd;
	return at;
}

static void put_xml_bytes(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc_unlocked(text[i], out);
		}
	}
}

void flame_put_xml(FILE *out, const char *text, size_t len)
{
	char buf[ESCAPE_SIZE(FLAME_NAME_MAX)];

	len = harmless(buf, text, len);
	put_xml_bytes(out, buf, len);
}

void flame_put_json(FILE *out, const char *text, size_t len)
{
	char buf[ESCAPE_SIZE(FLAME_NAME_MAX)];

	len = harmless(buf, text, len);
	putc_unlocked('"', out);
	for (size_t i = 0; i < len; i++) {
		if (strchr("<>&\"\\", buf[i]))
			fprintf(out, "\\u%04x", buf[i]);
		else
			putc_unlocked(buf[i], out);
	}
	putc_unlocked('"', out);
}

static bool is_lead(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

void flame_put_fitting(FILE *out, const char *text, size_t len, size_t columns)
{
	char buf[ESCAPE_SIZE(FLAME_NAME_MAX)];
	size_t used = 0, cut = 0;

	len = harmless(buf, text, len);
	for (size_t i = 0; i < len; i++) {
		if (!is_lead(buf[i]))
			continue;
		if (used < columns)
			cut = i; /* all before it leave room for the mark */
		used += 1 + ((unsigned char)buf[i] >= 0xe3);
	}
	put_xml_bytes(out, buf, used <= columns ? len : cut);
	if (used > columns)
		fputs("\xe2\x80\xa6", out);
}
