// SPDX-License-Identifier: GPL-2.0-only
/* Two trees into one: see flame_diff.h. */
#include "analysis/flame_diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct joining {
	struct flame_tree *after;
	uint32_t *names;     /* of before: their numbers in after */
	uint64_t from, into; /* scaled from this total to that one */
	uint64_t sum;        /* so far, unscaled */
};

static uint64_t scaled(const struct joining *j, uint64_t value)
{
	return (uint64_t)(((unsigned __int128)value * j->into + j->from / 2) / j->from);
}

static int add_before(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		      void *arg)
{
	struct joining *j = arg;
	struct flame_frame renamed[FLAME_DEPTH_MAX];
	uint64_t low = scaled(j, j->sum);

	j->sum += value->value;

	for (size_t i = 0; i < nr; i++)
		renamed[i] = (struct flame_frame){ j->names[frames[i].name], frames[i].kind };
	return flame_tree_add_value(j->after, renamed, nr,
				    &(struct flame_value){ .before = scaled(j, j->sum) - low });
}

static uint64_t total(const struct flame_tree *t)
{
	size_t nr;
	const struct flame_node *root = flame_tree_nodes(t, &nr);

	return nr ? root->total.value : 0;
}

int flame_diff(const struct flame_tree *before, struct flame_tree *after, bool normalize)
{
	uint32_t nr = flame_tree_nr_names(before);
	_cleanup_(free_p) uint32_t *names = malloc(((size_t)nr + 1) * sizeof(*names));
	struct joining j = { .after = after, .names = names, .from = 1, .into = 1 };
	int r = names ? 0 : -ENOMEM;

	if (normalize && total(before) && total(after)) {
		j.from = total(before);
		j.into = total(after);
	}

	for (uint32_t i = 0; i < nr && !r; i++) {
		size_t len;
		const char *name = flame_tree_string(before, i, &len);

		r = flame_tree_name(after, name, len, &names[i]);
	}
	if (!r)
		r = flame_tree_each(before, add_before, &j);
	if (!r)
		flame_tree_finish(after, false);
	return r;
}
