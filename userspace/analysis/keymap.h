/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hash from 64-bit keys to numbers of the owner's own array: open addressing, linear probing, at most half full.
 *
 * Keys come from traces, which are untrusted: each map mixes a random number into its hash, so that no trace can be made to
 * collide. Nothing is ever in the order of the hash, so results do not depend on it.
 */
#ifndef WHYSCALE_ANALYSIS_KEYMAP_H
#define WHYSCALE_ANALYSIS_KEYMAP_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

struct keymap_slot {
	uint64_t key;
	uint32_t value; /* 0: free */
};

/* All zeros is an empty map. */
struct keymap {
	struct keymap_slot *slots;
	size_t size, used; /* size is 0 or a power of two */
	uint64_t seed;
};

/* The finalizer of MurmurHash3 (Appleby, public domain). */
static inline uint64_t keymap_hash(const struct keymap *m, uint64_t key)
{
	key ^= m->seed;
	key = (key ^ key >> 33) * 0xff51afd7ed558ccdull;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ull;
	return key ^ key >> 33;
}

static inline struct keymap_slot *keymap_slot(const struct keymap *m, uint64_t key)
{
	size_t i = keymap_hash(m, key);

	while (m->slots[i & (m->size - 1)].value && m->slots[i & (m->size - 1)].key != key)
		i++;
	return &m->slots[i & (m->size - 1)];
}

/* The value of a key, 0: none. */
static inline uint32_t keymap_get(const struct keymap *m, uint64_t key)
{
	return m->size ? keymap_slot(m, key)->value : 0;
}

static inline int keymap_grow(struct keymap *m)
{
	struct keymap larger = { .size = m->size ? 2 * m->size : 64,
				 .used = m->used,
				 .seed = m->seed };

	if (!m->size && getrandom(&larger.seed, sizeof(larger.seed), GRND_NONBLOCK) < 0)
		larger.seed = (uintptr_t)m;
	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->size; i++)
		if (m->slots[i].value)
			*keymap_slot(&larger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = larger;
	return 0;
}

/* Sets the value, not 0, of a key. 0 or -ENOMEM. */
static inline int keymap_set(struct keymap *m, uint64_t key, uint32_t value)
{
	struct keymap_slot *slot;

	if (2 * (m->used + 1) > m->size && keymap_grow(m))
		return -ENOMEM;
	slot = keymap_slot(m, key);
	m->used += !slot->value;
	*slot = (struct keymap_slot){ key, value };
	return 0;
}

static inline void keymap_free(struct keymap *m)
{
	free(m->slots);
	*m = (struct keymap){};
}

#endif
