// SPDX-License-Identifier: GPL-2.0-only
/* From a tree to boxes: see flame_layout.h. */
#include "report/flame_layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"

struct laying {
	const struct flame_tree *tree;
	const struct flame_node *nodes;
	uint64_t *widths; /* of each node; NULL: they are the values */
	struct flame_layout *l;
};

static uint64_t width_of(const struct laying *lay, uint32_t node)
{
	return lay->widths ? lay->widths[node] : lay->nodes[node].total.value;
}

static bool vanished(const struct flame_node *n)
{
	return !n->total.value && n->total.before;
}

static uint32_t innermost(const struct flame_node *nodes, uint32_t n)
{
	while (nodes[n].child)
		n = nodes[n].child;
	return n;
}

/*
 * Children before parents: what vanished has its old width, any other frame its value and what its children have beyond theirs.
 * Below a frame that vanished all has vanished, so its children's old widths are within its own.
 */
static int find_widths(struct laying *lay, size_t nr)
{
	const struct flame_node *nodes = lay->nodes;
	uint32_t n = innermost(nodes, 0);

	if (!nodes[0].total.before)
		return 0;
	lay->widths = malloc(nr * sizeof(*lay->widths));
	if (!lay->widths)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		lay->widths[i] = vanished(&nodes[i]) ? nodes[i].total.before : nodes[i].total.value;
	while (n) {
		if (!vanished(&nodes[nodes[n].parent]))
			lay->widths[nodes[n].parent] += lay->widths[n] - nodes[n].total.value;
		n = nodes[n].next ? innermost(nodes, nodes[n].next) : nodes[n].parent;
	}
	return 0;
}

static int put_box(struct flame_layout *l, const struct flame_box *box)
{
	if (vec_room(&l->boxes, &l->room, l->nr + 1))
		return -ENOMEM;
	l->boxes[l->nr++] = *box;
	if (box->depth > l->depth_max)
		l->depth_max = box->depth;
	return 0;
}

/* The children too narrow to be drawn, as one box. */
static void merge_small(const struct laying *lay, uint32_t parent, struct flame_box *box)
{
	for (uint32_t n = lay->nodes[parent].child; n; n = lay->nodes[n].next) {
		const struct flame_value *v = &lay->nodes[n].total;

		if (width_of(lay, n) >= lay->l->least)
			continue;
		box->smaller++;
		box->width += width_of(lay, n);
		box->value.value += v->value;
		box->value.count += v->count;
		box->value.before += v->before;
	}
}

/* A node's boxes, one for each frame of its run, from `at` and `depth` on; the root has one without a frame. */
static int put_node(struct laying *lay, uint32_t node, uint64_t at, uint32_t depth)
{
	const struct flame_node *n = &lay->nodes[node];
	struct flame_box box = { .at = at, .width = width_of(lay, node), .value = n->total };
	int r = node ? 0 : put_box(lay->l, &box);

	for (uint32_t i = 0; i < n->nr && !r; i++) {
		box.frame = flame_tree_frame(lay->tree, n->first + i);
		box.depth = depth + i;
		r = put_box(lay->l, &box);
	}
	return r;
}

/* A node whose children are being placed: the next of them, and where; the ones that vanished come in a second turn. */
struct place {
	uint32_t node, child, depth;
	bool second;
	uint64_t at;
};

/* The next child wide enough to be drawn, 0 when there is none left. */
static uint32_t next_child(const struct laying *lay, struct place *p)
{
	for (;;) {
		uint32_t n = p->child;

		if (!n && (p->second || !lay->widths))
			return 0;
		p->child = n ? lay->nodes[n].next : lay->nodes[p->node].child;
		p->second |= !n;
		if (n && vanished(&lay->nodes[n]) == p->second && width_of(lay, n) >= lay->l->least)
			return n;
	}
}

/* Places a node and all below it. A stack of places is as deep as the tree, FLAME_DEPTH_MAX at most. */
static int put_all(struct laying *lay)
{
	_cleanup_(free_p) struct place *stack = malloc((FLAME_DEPTH_MAX + 1) * sizeof(*stack));
	struct place *p = stack;
	int r = stack ? put_node(lay, 0, 0, 0) : -ENOMEM;

	if (r)
		return r;
	*p = (struct place){ 0, lay->nodes[0].child, 1, false, 0 };
	while (!r && lay->l->nr <= FLAME_BOXES_MAX) {
		uint32_t n = next_child(lay, p);

		if (n) {
			r = put_node(lay, n, p->at, p->depth);
			p[1] = (struct place){ n, lay->nodes[n].child, p->depth + lay->nodes[n].nr,
					       false, p->at };
			p->at += width_of(lay, n);
			p++;
			continue;
		}
		struct flame_box rest = { .at = p->at, .depth = p->depth };

		rest.frame.kind = FLAME_NOTE;
		merge_small(lay, p->node, &rest);
		if (rest.smaller)
			r = put_box(lay->l, &rest);
		if (p-- == stack)
			return r;
	}
	return r;
}

int flame_layout_make(const struct flame_tree *t, unsigned int pixels, struct flame_layout *ret)
{
	struct laying lay = { .tree = t, .l = ret };
	size_t nr;
	int r;

	*ret = (struct flame_layout){};
	lay.nodes = flame_tree_nodes(t, &nr);
	r = find_widths(&lay, nr);
	if (!r)
		ret->least = (width_of(&lay, 0) + 10ull * pixels - 1) / (10ull * pixels);
	if (!ret->least)
		ret->least = 1;
	ret->tenths = 1;
	while (!r) {
		r = put_all(&lay);
		if (r || ret->nr <= FLAME_BOXES_MAX)
			break;
		ret->nr = 0;
		ret->depth_max = 0;
		ret->least *= 2;
		ret->tenths *= 2;
	}
	free(lay.widths);
	if (r)
		flame_layout_free(ret);
	return r;
}

void flame_layout_free(struct flame_layout *l)
{
	free(l->boxes);
	*l = (struct flame_layout){};
}
