/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Untrusted text into SVG: what is not UTF-8, controls a terminal, or turns the direction of writing becomes \xNN (escape.h), then
 * what XML and JSON need. JSON is written so that it may stand in XML and in HTML as it is: without <, > and &.
 */
#ifndef WHYSCALE_REPORT_FLAME_TEXT_H
#define WHYSCALE_REPORT_FLAME_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* For a text node or a quoted attribute. */
void flame_put_xml(FILE *out, const char *text, size_t len);

/* A JSON string with its quotes. */
void flame_put_json(FILE *out, const char *text, size_t len);

/* As flame_put_xml(), what fits into so many columns of a monospaced font, "…" behind what is cut; wide characters take two. */
void flame_put_fitting(FILE *out, const char *text, size_t len, size_t columns);

#endif
