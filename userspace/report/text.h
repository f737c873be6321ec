/* SPDX-License-Identifier: GPL-2.0-only */
/* Paragraphs within a width. */
#ifndef WHYSCALE_REPORT_TEXT_H
#define WHYSCALE_REPORT_TEXT_H

#include <stdio.h>

/*
 * "label      text", broken between words at `width`, the following lines indented as far as the text. Writes nothing when the text
 * cannot be made (out of memory).
 */
void text_field(FILE *out, int width, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* How far text_field() indents. */
#define TEXT_INDENT 10

#endif
