// SPDX-License-Identifier: GPL-2.0-only
/* Paragraphs within a width: see text.h. */
#include "report/text.h"

#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"

/* The length of what goes on a line of `room` characters: whole words, but at least one. */
static size_t break_at(const char *text, size_t room)
{
	size_t len = strcspn(text, " ");

	while (text[len]) {
		size_t next = len + 1 + strcspn(text + len + 1, " ");

		if (next > room)
			break;
		len = next;
	}
	return len;
}

void text_field(FILE *out, int width, const char *label, const char *fmt, ...)
{
	size_t room = width > TEXT_INDENT + 20 ? (size_t)width - TEXT_INDENT : 20;
	_cleanup_(free_p) char *text = NULL;
	const char *rest;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		return;
	}
	for (rest = text; *rest || rest == text;) {
		size_t n = break_at(rest, room);

		fprintf(out, "%-*s%.*s\n", TEXT_INDENT, rest == text ? label : "", (int)n, rest);
		rest += n;
		if (!*rest)
			break;
		rest += strspn(rest, " ");
	}
}
