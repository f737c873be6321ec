/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of text that fits a width: libsmartcols, and what it lacks. Columns that are empty in every row may be left out. What
 * does not fit beside the key columns goes into further blocks below, each with the key columns again:
 *
 *   KEY  KEY2  a  b  c        <- block 1
 *   ...
 *   KEY  KEY2  d  e           <- block 2
 *
 * Errors are remembered (out of memory) and returned by grid_print(); so no call between needs to be checked.
 */
#ifndef WHYSCALE_REPORT_GRID_H
#define WHYSCALE_REPORT_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum grid_flags {
	GRID_KEY = 1, /* repeated in every block; keys come first */
	GRID_RIGHT = 2,
	GRID_OPTIONAL = 4, /* left out when every cell is "-" or "" */
	GRID_CUT =
		8, /* may be cut when it does not fit; at the latest at 32 characters when it is a key */
};

struct grid;

/* NULL when out of memory: the other calls take that. */
struct grid *grid_new(void);
void grid_free(struct grid *g);
void grid_free_p(struct grid **g);

/* All columns before the first row. The name must outlive the grid. */
void grid_column(struct grid *g, const char *name, unsigned int flags);

/* Begins a row; its cells follow from left to right, and missing ones are empty. */
void grid_row(struct grid *g, bool bold);
void grid_cell(struct grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether the column would be printed. */
bool grid_shows(const struct grid *g, const char *name);

int grid_print(const struct grid *g, int width, bool colour, FILE *out, struct err *err);

#endif
