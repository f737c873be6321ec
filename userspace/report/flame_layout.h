/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a tree to the boxes of a flame graph, the outer before the inner ones, siblings from left to right.
 *
 *   at  0       4  6    depth        width: what a box takes; `value` of it is its own tree's, the rest (only in a comparison) is
 *       main    main    0            what vanished in it or below it: frames that had a value before and have none now. These
 *       work            1            take the width that they had, at the right of their siblings.
 *       a    b (2 smaller)
 *
 * Boxes narrower than `least` are merged, those of one parent into one, which is the last: "(N smaller)". So at every depth the
 * widths of a box's children, and what ended in it, are its own width: no time gets lost.
 */
#ifndef WHYSCALE_REPORT_FLAME_LAYOUT_H
#define WHYSCALE_REPORT_FLAME_LAYOUT_H

#include "analysis/flame_tree.h"

#define FLAME_BOXES_MAX 300000 /* of one view: `least` is doubled until there are no more */

struct flame_box {
	struct flame_frame frame;
	uint32_t depth;
	uint32_t smaller; /* how many frames were merged; then it has no name. 0: it is a frame */
	uint64_t at, width;
	struct flame_value value;
};

struct flame_layout {
	struct flame_box *
		boxes; /* the first is the root, depth 0, without a frame; its children have depth 1 */
	size_t nr, room;
	uint64_t least; /* in the tree's unit */
	unsigned int
		tenths; /* what that is, in tenths of a pixel: 1 unless there were too many boxes */
	uint32_t depth_max; /* the largest depth of a box */
};

/*
 * Lays out a finished tree for a graph of `pixels` across: least is a tenth of one. The caller frees it with
 * flame_layout_free(). -ENOMEM.
 */
int flame_layout_make(const struct flame_tree *t, unsigned int pixels, struct flame_layout *ret);
void flame_layout_free(struct flame_layout *l);

#endif
