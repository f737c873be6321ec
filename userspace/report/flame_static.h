/* SPDX-License-Identifier: GPL-2.0-only */
/* The first view of a flame graph as SVG elements, for viewers without scripts (an <img>, a printer): see flame_svg.h. */
#ifndef WHYSCALE_REPORT_FLAME_STATIC_H
#define WHYSCALE_REPORT_FLAME_STATIC_H

#include "report/flame_layout.h"
#include "report/flame_svg.h"

#define FLAME_ROW 18 /* pixels; as in flame.js */
#define FLAME_PAD 10

/* The boxes as elements, within a group that begins at 0, 0. used: of each name, its number in the file + 1: its shade. */
void flame_static_write(const struct flame_tree *t, const struct flame_layout *l,
			const struct flame_svg *o, const uint32_t *used, FILE *out);

/* "1.2 s", "3 samples". */
void flame_amount(char *buf, size_t size, enum flame_unit unit, uint64_t value);

#endif
