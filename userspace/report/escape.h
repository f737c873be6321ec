/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names are untrusted: a thread may call itself "\x1b[2J". Every output form passes names through here.
 *
 * For a terminal, a byte that is a control character, belongs to a C1 control or a character that turns the direction of writing, or
 * is not valid UTF-8, becomes \xNN.
 */
#ifndef WHYSCALE_REPORT_ESCAPE_H
#define WHYSCALE_REPORT_ESCAPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Room that a name of `len` bytes needs when every byte is escaped. */
#define ESCAPE_SIZE(len) (4 * (len) + 1)

/*
 * Writes at most `max` bytes of `text` (it ends earlier at a 0) to buf of `size` bytes, cut between two characters where it does not
 * fit; returns buf. As a word (`word`), for programs: blanks are escaped too, a backslash is \\ and an empty text "-".
 */
const char *escape_terminal(char *buf, size_t size, const char *text, size_t max, bool word);

/* A JSON string; bytes that are not valid UTF-8 become U+FFFD. NULL when out of memory. */
json_t *escape_json(const char *text, size_t max);

#endif
