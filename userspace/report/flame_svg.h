/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Draws a tree as a flame graph: one self-contained SVG, or the same in an HTML page.
 *
 *   style        flame/flame.css
 *   static       the first view as elements, for viewers without scripts
 *   views        boxes as arrays (flame_layout.h): forward and reversed, merged and per thread where there are threads
 *   data         title, unit, names
 *   script       flame/flame.js, flame/flame_ui.js: draw what is visible, zoom, search, keys
 *
 * Only frames of a tenth of a pixel or more are in the file, so it is small whatever the tree is.
 */
#ifndef WHYSCALE_REPORT_FLAME_SVG_H
#define WHYSCALE_REPORT_FLAME_SVG_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/flame_tree.h"
#include "base/err.h"

#define FLAME_WIDTH_DEFAULT 1200
#define FLAME_WIDTH_MIN 320
#define FLAME_WIDTH_MAX 20000

enum flame_unit { FLAME_NS, FLAME_SAMPLES };

/* Texts are untrusted and may be NULL. */
struct flame_svg {
	const char *title, *subtitle;
	const char *const *notes; /* a line each, e.g. "3 % of the time has no stack" */
	size_t nr_notes;
	const char *counted; /* one of what `count` counts, "sample" or "wait" */
	enum flame_unit unit;
	unsigned int
		width; /* pixels; 0: as wide as the window, FLAME_WIDTH_DEFAULT without a script */
	bool inverted; /* an icicle graph: the root on top */
	bool reversed; /* the first view: from the innermost frame */
	bool per_thread; /* the first view: with the FLAME_THREAD frames */
	bool by_value;   /* siblings: the largest first, not by name */
	bool diff; /* colours tell the change since `before` (flame_diff.h), and what vanished is shown */
	bool html;
};

/* Writes the graph of a finished tree. Errors of writing are left to be found by ferror(out). -ENOMEM. */
int flame_svg_write(struct flame_tree *t, const struct flame_svg *o, FILE *out, struct err *err);

#endif
