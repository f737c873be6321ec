/* SPDX-License-Identifier: GPL-2.0-only */
/* Paragraphs within a width. */
#ifndef WHYSCALE_REPORT_TEXT_H
#define WHYSCALE_REPORT_TEXT_H

#include <stdio.h>

/*
 * "label      text", broken between words at `width` (never between a number and its unit), the following lines indented as far
 * as the text. Writes nothing when the text cannot be made (out of memory).
 */
void text_field(FILE *out, int width, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same as an item of a legend: "  label           text". */
void text_item(FILE *out, int width, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same without a label or an indent. */
void text_line(FILE *out, int width, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
