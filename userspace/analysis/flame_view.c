// SPDX-License-Identifier: GPL-2.0-only
/* The same stacks seen in another way: see flame_view.h. */
#include "analysis/flame_view.h"

#include <errno.h>

struct making {
	struct flame_view view;
	struct flame_tree *tree;
};

bool flame_view_has_threads(const struct flame_tree *t)
{
	size_t nr;
	const struct flame_node *nodes = flame_tree_nodes(t, &nr);

	for (size_t i = 0; i < nr; i++)
		for (uint32_t j = 0; j < nodes[i].nr; j++)
			if (flame_tree_frame(t, nodes[i].first + j).kind == FLAME_THREAD)
				return true;
	return false;
}

static int add_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		     void *arg)
{
	struct flame_frame turned[FLAME_DEPTH_MAX];
	const struct making *m = arg;
	size_t n = 0;

	for (size_t i = 0; i < nr && m->view.reversed && !m->view.merged; i++)
		if (frames[i].kind == FLAME_THREAD)
			turned[n++] = frames[i];
	for (size_t i = 0; i < nr; i++) {
		const struct flame_frame *f = &frames[m->view.reversed ? nr - 1 - i : i];

		if (f->kind != FLAME_THREAD || !(m->view.merged || m->view.reversed))
			turned[n++] = *f;
	}
	return flame_tree_add_value(m->tree, turned, n, value);
}

int flame_view_make(struct flame_tree *t, const struct flame_view *view, bool by_value,
		    struct flame_tree **ret_tree)
{
	struct making m = { *view, NULL };
	int r = flame_tree_new_like(t, &m.tree);

	if (r)
		return r;
	r = flame_tree_each(t, add_stack, &m);
	if (r) {
		flame_tree_free(m.tree);
		return r;
	}
	flame_tree_finish(m.tree, by_value);
	*ret_tree = m.tree;
	return 0;
}
