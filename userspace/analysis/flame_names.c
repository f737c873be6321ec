// SPDX-License-Identifier: GPL-2.0-only
/* The names of a flame tree: see flame_names.h. */
#include "analysis/flame_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/vec.h"

static size_t name_len(const struct flame_names *n, uint32_t number)
{
	return n->start[number + 1] - n->start[number] - 1;
}

/* The slots are at most half full. */
static int grow(struct flame_names *n)
{
	size_t size = n->size ? 2 * n->size : 1024;
	struct flame_name_slot *slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < n->size; i++) {
		size_t at = n->slots[i].hash;

		if (!n->slots[i].number)
			continue;
		while (slots[at & (size - 1)].number)
			at++;
		slots[at & (size - 1)] = n->slots[i];
	}
	free(n->slots);
	n->slots = slots;
	n->size = size;
	return 0;
}

/* Keeps the bytes; its number is n->nr. */
static int append(struct flame_names *n, const char *name, size_t len)
{
	if (n->nr == FLAME_NAMES_MAX || vec_room(&n->bytes, &n->room, n->used + len + 1) ||
	    vec_room(&n->start, &n->start_room, (size_t)n->nr + 2))
		return -ENOMEM;
	memcpy(n->bytes + n->used, name, len);
	n->bytes[n->used + len] = '\0';
	n->start[n->nr] = n->used;
	n->used += len + 1;
	n->start[++n->nr] = n->used;
	return 0;
}

int flame_names_number(struct flame_names *n, const char *name, size_t len, uint32_t *ret_number)
{
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(name, len, n->seed);
	struct flame_name_slot *slot;

	if (2 * ((size_t)n->nr + 1) > n->size && grow(n))
		return -ENOMEM;
	for (size_t at = hash;; at++) {
		slot = &n->slots[at & (n->size - 1)];
		if (!slot->number)
			break;
		if (slot->hash == hash && name_len(n, slot->number - 1) == len &&
		    !memcmp(n->bytes + n->start[slot->number - 1], name, len)) {
			*ret_number = slot->number - 1;
			return 0;
		}
	}
	if (append(n, name, len))
		return -ENOMEM;
	*slot = (struct flame_name_slot){ n->nr, hash };
	*ret_number = n->nr - 1;
	return 0;
}

static int compare_names(const void *a, const void *b, void *names)
{
	const struct flame_names *n = names;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	size_t x_len = name_len(n, x), y_len = name_len(n, y);
	int r = memcmp(n->bytes + n->start[x], n->bytes + n->start[y],
		       x_len < y_len ? x_len : y_len);

	return r ? r : (x_len > y_len) - (x_len < y_len);
}

uint32_t *flame_names_rank(const struct flame_names *n)
{
	_cleanup_(free_p) uint32_t *order = malloc(((size_t)n->nr + 1) * sizeof(*order));
	uint32_t *rank = malloc(((size_t)n->nr + 1) * sizeof(*rank));

	if (!order || !rank) {
		free(rank);
		return NULL;
	}
	for (uint32_t i = 0; i < n->nr; i++)
		order[i] = i;
	qsort_r(order, n->nr, sizeof(*order), compare_names, (void *)n);
	for (uint32_t i = 0; i < n->nr; i++)
		rank[order[i]] = i;
	return rank;
}

void flame_names_free(struct flame_names *n)
{
	free(n->bytes);
	free(n->start);
	free(n->slots);
	*n = (struct flame_names){ .seed = n->seed };
}
