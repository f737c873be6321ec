// SPDX-License-Identifier: GPL-2.0-only
/* Who did what from when on: see turns.h. */
#include "analysis/turns.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

int turns_add(struct turns *t, uint64_t time_ns, uint32_t serial, uint8_t doing)
{
	if (t->full)
		return 0;
	if (t->nr == TURNS_MAX) {
		turns_free(t);
		t->full = true;
		return 0;
	}
	if (vec_room(&t->at, &t->cap, t->nr + 1))
		return -ENOMEM;
	t->at[t->nr] = (struct turn){ time_ns, (uint32_t)t->nr, serial, doing };
	t->nr++;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->came < y->came ? -1 : x->came > y->came;
}

void turns_sort(struct turns *t)
{
	if (t->nr)
		qsort(t->at, t->nr, sizeof(*t->at), by_time);
}

void turns_free(struct turns *t)
{
	free(t->at);
	*t = (struct turns){};
}
