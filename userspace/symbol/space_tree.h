/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ranges of addresses that cover each other in the course of time: of those with a number below a limit, the highest-numbered one
 * that contains an address. A segment tree over the ranges' ends; each of its nodes lists, in ascending order, the ranges that cover
 * it whole:
 *
 *         [ 0 ......................... 8 )      3
 *         [ 0 ........ 4 )[ 4 ........ 8 )       1, 5  |  2
 *         [ 0 . 2 )[ 2 . 4 )[ 4 . 6 )[ 6 . 8 )   -  |  4  |  -  |  6
 *
 * A question goes from a leaf to the root and bisects each list: O(log^2 n). Built once, in O(n log n) time and memory.
 */
#ifndef WHYSCALE_SYMBOL_SPACE_TREE_H
#define WHYSCALE_SYMBOL_SPACE_TREE_H

#include <stddef.h>
#include <stdint.h>

struct space_tree;

#define SPACE_TREE_NONE UINT32_MAX

/* range(arg, i) gives the i-th of nr ranges; start < end. -EINVAL: there is none. -ENOMEM. */
typedef void (*space_tree_range_fn)(const void *arg, uint32_t i, uint64_t *ret_start,
				    uint64_t *ret_end);
int space_tree_new(space_tree_range_fn range, const void *arg, uint32_t nr,
		   struct space_tree **ret_tree);

/* The highest i < limit whose range contains the address, or SPACE_TREE_NONE. */
uint32_t space_tree_find(const struct space_tree *t, uint64_t address, uint32_t limit);

void space_tree_free(struct space_tree *t);

#endif
