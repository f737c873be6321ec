/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same stacks seen in another way, as a tree of their own:
 *
 *   merged     without FLAME_THREAD frames: all threads together
 *   reversed   from the innermost frame to the outermost: who called it. FLAME_THREAD frames stay at the root.
 */
#ifndef WHYSCALE_ANALYSIS_FLAME_VIEW_H
#define WHYSCALE_ANALYSIS_FLAME_VIEW_H

#include <stdbool.h>

#include "analysis/flame_tree.h"

struct flame_view {
	bool merged, reversed;
};

/* Whether any stack has a FLAME_THREAD frame: only then do the merged view and the other one differ. */
bool flame_view_has_threads(const struct flame_tree *t);

/* A finished tree with the names of t (finished), which has to outlive it. The caller frees it. -ENOMEM. */
int flame_view_make(struct flame_tree *t, const struct flame_view *view, bool by_value,
		    struct flame_tree **ret_tree);

#endif
