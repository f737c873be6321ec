// SPDX-License-Identifier: GPL-2.0-only
/* The segment tree of ranges: see space_tree.h. Node 1 is the root, node n's children are 2n and 2n + 1, the leaves come last. */
#include "symbol/space_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct space_tree {
	uint64_t *ends; /* all starts and ends, ascending, each once; leaf i is from ends[i] to ends[i + 1] */
	size_t nr_leaves;
	uint32_t *list;  /* the nodes' lists, one behind the other */
	uint64_t *begin; /* node n's list is from begin[n] to begin[n + 1] */
};

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static int collect_ends(struct space_tree *t, space_tree_range_fn range, const void *arg,
			uint32_t nr)
{
	size_t kept = 0;

	t->ends = malloc(2 * (size_t)nr * sizeof(*t->ends));
	if (!t->ends)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		range(arg, i, &t->ends[2 * (size_t)i], &t->ends[2 * (size_t)i + 1]);
	qsort(t->ends, 2 * (size_t)nr, sizeof(*t->ends), compare);
	for (size_t i = 0; i < 2 * (size_t)nr; i++) {
		if (!kept || t->ends[kept - 1] != t->ends[i])
			t->ends[kept++] = t->ends[i];
	}
	if (kept < 2)
		return -EINVAL;
	t->nr_leaves = kept - 1;
	return 0;
}

/* The index of the last end at or below the address; nr_leaves + 1: there is none. */
static size_t leaf_of(const struct space_tree *t, uint64_t address)
{
	size_t low = 0, high = t->nr_leaves + 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->ends[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : t->nr_leaves + 1;
}

/* For all nodes that together are just the range: counts it in fill[node], or puts it into the list at fill[node]. */
static void cover(struct space_tree *t, uint64_t start, uint64_t end, uint32_t i, uint64_t *fill)
{
	size_t left = leaf_of(t, start) + t->nr_leaves, right = leaf_of(t, end) + t->nr_leaves;

	for (; left < right; left /= 2, right /= 2) {
		size_t nodes[2], nr = 0;

		if (left & 1)
			nodes[nr++] = left++;
		if (right & 1)
			nodes[nr++] = --right;
		while (nr--) {
			if (t->list)
				t->list[fill[nodes[nr]]] = i;
			fill[nodes[nr]]++;
		}
	}
}

static void cover_all(struct space_tree *t, space_tree_range_fn range, const void *arg, uint32_t nr,
		      uint64_t *fill)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t start, end;

		range(arg, i, &start, &end);
		cover(t, start, end, i, fill);
	}
}

static int fill_lists(struct space_tree *t, space_tree_range_fn range, const void *arg, uint32_t nr)
{
	size_t nodes = 2 * t->nr_leaves;
	uint64_t *fill = calloc(nodes, sizeof(*fill));

	t->begin = calloc(nodes + 1, sizeof(*t->begin));
	if (fill && t->begin) {
		cover_all(t, range, arg, nr, fill);
		for (size_t n = 0; n < nodes; n++)
			t->begin[n + 1] = t->begin[n] + fill[n];
		memcpy(fill, t->begin, nodes * sizeof(*fill));
		t->list = malloc(t->begin[nodes] * sizeof(*t->list));
		if (t->list)
			cover_all(t, range, arg, nr, fill);
	}
	free(fill);
	return t->list ? 0 : -ENOMEM;
}

int space_tree_new(space_tree_range_fn range, const void *arg, uint32_t nr,
		   struct space_tree **ret_tree)
{
	struct space_tree *t = calloc(1, sizeof(*t));

	int code = t ? collect_ends(t, range, arg, nr) : -ENOMEM;

	if (!code)
		code = fill_lists(t, range, arg, nr);
	if (code) {
		space_tree_free(t);
		return code;
	}
	*ret_tree = t;
	return 0;
}

/* The highest entry of a node's list below the limit. */
static uint32_t below(const struct space_tree *t, size_t node, uint32_t limit)
{
	uint64_t low = t->begin[node], high = t->begin[node + 1];

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (t->list[middle] < limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low > t->begin[node] ? t->list[low - 1] : SPACE_TREE_NONE;
}

uint32_t space_tree_find(const struct space_tree *t, uint64_t address, uint32_t limit)
{
	size_t leaf = leaf_of(t, address);
	uint32_t best = SPACE_TREE_NONE;

	if (leaf >= t->nr_leaves)
		return SPACE_TREE_NONE;
	for (size_t node = leaf + t->nr_leaves; node; node /= 2) {
		uint32_t one = below(t, node, limit);

		if (one != SPACE_TREE_NONE && (best == SPACE_TREE_NONE || one > best))
			best = one;
	}
	return best;
}

void space_tree_free(struct space_tree *t)
{
	if (!t)
		return;
	free(t->ends);
	free(t->list);
	free(t->begin);
	free(t);
}
