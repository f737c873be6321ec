/* SPDX-License-Identifier: GPL-2.0-only */
/* Times summed up by key: sparse. What a path is made of, by thread and class. */
#ifndef WHYSCALE_ANALYSIS_SUMS_H
#define WHYSCALE_ANALYSIS_SUMS_H

#include "analysis/keymap.h"
#include "base/vec.h"

struct sum {
	uint64_t key, ns;
};

/* All zeros is empty. The order of `list` is that in which keys were met first. */
struct sums {
	struct keymap index;
	struct sum *list;
	size_t nr, cap;
};

static inline int sums_add(struct sums *s, uint64_t key, uint64_t ns)
{
	uint32_t i = keymap_get(&s->index, key);

	if (i) {
		s->list[i - 1].ns += ns;
		return 0;
	}
	if (vec_room(&s->list, &s->cap, s->nr + 1) ||
	    keymap_set(&s->index, key, (uint32_t)s->nr + 1))
		return -ENOMEM;
	s->list[s->nr++] = (struct sum){ key, ns };
	return 0;
}

static inline int sums_add_all(struct sums *to, const struct sums *from)
{
	for (size_t i = 0; i < from->nr; i++)
		if (sums_add(to, from->list[i].key, from->list[i].ns))
			return -ENOMEM;
	return 0;
}

static inline int sum_larger_first(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return (x->key > y->key) - (x->key < y->key);
}

/* A copy of the list, the largest first; the caller's to free. NULL when out of memory. */
static inline struct sum *sums_sorted(const struct sums *s)
{
	struct sum *list = calloc(s->nr + 1, sizeof(*list));

	for (size_t i = 0; list && i < s->nr; i++)
		list[i] = s->list[i];
	if (list)
		qsort(list, s->nr, sizeof(*list), sum_larger_first);
	return list;
}

static inline void sums_free(struct sums *s)
{
	keymap_free(&s->index);
	free(s->list);
	*s = (struct sums){};
}

#endif
