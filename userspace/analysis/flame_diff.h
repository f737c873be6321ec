/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two trees, before and after: the stacks of `before` become the `before` values of `after`, which keeps its own values. A
 * frame that vanished is then a node with the value 0.
 */
#ifndef WHYSCALE_ANALYSIS_FLAME_DIFF_H
#define WHYSCALE_ANALYSIS_FLAME_DIFF_H

#include "analysis/flame_tree.h"

/*
 * `before` must be finished; `after` is finished (in order of names) on return. normalize: the values of before are scaled so that their
 * total is that of after, exactly: each stack's is a difference of two scaled and rounded running sums. Where one of the two has no
 * value there is nothing to scale. -ENOMEM, -EOVERFLOW.
 */
int flame_diff(const struct flame_tree *before, struct flame_tree *after, bool normalize);

#endif
