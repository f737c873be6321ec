// SPDX-License-Identifier: GPL-2.0-only
/* Two trees into one: see flame_diff.h. */
#include "analysis/flame_diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct joining {
	struct flame_tree *after;
	uint32_t *names; /* of before: their numbers in after */
};

static int add_before(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		      void *arg)
{
	const struct joining *j = arg;
	struct flame_frame renamed[FLAME_DEPTH_MAX];

	for (size_t i = 0; i < nr; i++)
		renamed[i] = (struct flame_frame){ j->names[frames[i].name], frames[i].kind };
	return flame_tree_add_value(j->after, renamed, nr,
				    &(struct flame_value){ .before = value->value });
}

int flame_diff(const struct flame_tree *before, struct flame_tree *after)
{
	uint32_t nr = flame_tree_nr_names(before);
	_cleanup_(free_p) uint32_t *names = malloc(((size_t)nr + 1) * sizeof(*names));
	struct joining j = { after, names };
	int r = names ? 0 : -ENOMEM;

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
