/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A growing array is three variables: the items, how many are used and how many have room. vec_room(&items, &cap, need)
 * makes room for `need` items, doubling; 0 or -ENOMEM, and then the array is as it was. The owner frees the items.
 */
#ifndef WHYSCALE_BASE_VEC_H
#define WHYSCALE_BASE_VEC_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int vec_room_bytes(void *items, size_t *cap, size_t need, size_t item_bytes)
{
	size_t room = *cap ? *cap : 16;
	void *old, *more;

	if (need <= *cap)
		return 0;
	while (room < need) {
		if (room > SIZE_MAX / 2 / item_bytes)
			return -ENOMEM;
		room *= 2;
	}
	memcpy(&old, items, sizeof(old));
	more = realloc(old, room * item_bytes);
	if (!more)
		return -ENOMEM;
	memcpy(items, &more, sizeof(more));
	*cap = room;
	return 0;
}

#define vec_room(items, cap, need) vec_room_bytes((items), (cap), (need), sizeof(**(items)))

#endif
