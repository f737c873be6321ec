// SPDX-License-Identifier: GPL-2.0-only
/* Paragraphs within a width: see text.h. */
#include "report/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_INDENT 10
#define ITEM_INDENT 18
#define ROOM_MIN 20

/* Whether the text at `space` (a blank) stands between a number and its unit. */
static bool before_unit(const char *text, size_t space)
{
	static const char *const units[] = { "s", "ms", "us", "ns", "%", "B", "kB", "MB", "GB" };
	size_t len = strcspn(text + space + 1, " ,;:.)]");

	if (!space || !isdigit((unsigned char)text[space - 1]))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i]) == len && !strncmp(text + space + 1, units[i], len))
			return true;
	return false;
}

/* The length of the first word, a number's unit included. */
static size_t word_length(const char *text)
{
	size_t len = strcspn(text, " ");

	while (text[len] && before_unit(text, len))
		len += 1 + strcspn(text + len + 1, " ");
	return len;
}

/* The length of what goes on a line of `room` characters: whole words, but at least one. */
static size_t break_at(const char *text, size_t room)
{
	size_t len = word_length(text);

	while (text[len]) {
		size_t next = len + 1 + word_length(text + len + 1);

		if (next > room)
			break;
		len = next;
	}
	return len;
}

/* prefix: "  " in front of an item's label. */
static void write_lines(FILE *out, int width, size_t indent, const char *prefix, const char *label,
			const char *text)
{
	size_t room = (size_t)width > indent + ROOM_MIN ? (size_t)width - indent : ROOM_MIN;
	int pad = (int)(indent - strlen(prefix));

	do {
		size_t n = break_at(text, room);

		fprintf(out, "%s%-*s%.*s\n", prefix, pad, label, (int)n, text);
		text += n;
		text += strspn(text, " ");
		label = "";
	} while (*text);
}

static void write_format(FILE *out, int width, size_t indent, const char *prefix, const char *label,
			 const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	write_lines(out, width, indent, prefix, label, text);
	free(text);
}

void text_field(FILE *out, int width, const char *label, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_format(out, width, FIELD_INDENT, "", label, fmt, ap);
	va_end(ap);
}

void text_item(FILE *out, int width, const char *label, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_format(out, width, ITEM_INDENT, "  ", label, fmt, ap);
	va_end(ap);
}

void text_line(FILE *out, int width, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_format(out, width, 0, "", "", fmt, ap);
	va_end(ap);
}
