// SPDX-License-Identifier: GPL-2.0-only
/* Names kept once: see names.h. */
#include "symbol/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "symbol/demangle.h"

#define BLOCK_BYTES (64u << 10)

struct names_block {
	struct names_block *next;
	size_t used, size;
	char bytes[];
};

static int grow(struct names *n)
{
	size_t nr_slots = n->nr_slots ? n->nr_slots * 2 : 256;
	struct name *slots = calloc(nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < n->nr_slots; i++) {
		size_t at = n->slots[i].hash;

		if (!n->slots[i].text)
			continue;
		while (slots[at & (nr_slots - 1)].text)
			at++;
		slots[at & (nr_slots - 1)] = n->slots[i];
	}
	free(n->slots);
	n->slots = slots;
	n->nr_slots = nr_slots;
	return 0;
}

static const char *copy(struct names *n, const char *text, size_t len)
{
	struct names_block *b = n->blocks;
	char *at;

	if (!b || b->size - b->used < len + 1) {
		size_t size = len + 1 > BLOCK_BYTES ? len + 1 : BLOCK_BYTES;

		b = malloc(sizeof(*b) + size);
		if (!b)
			return NULL;
		*b = (struct names_block){ .next = n->blocks, .size = size };
		n->blocks = b;
	}
	at = b->bytes + b->used;
	memcpy(at, text, len + 1);
	b->used += len + 1;
	return at;
}

/* The name's slot, filled; NULL: no memory. Valid until the next call. */
static struct name *slot_of(struct names *n, const char *text)
{
	size_t len = strlen(text);
	uint64_t hash = XXH64(text, len, 0);

	if (2 * (n->nr + 1) > n->nr_slots && grow(n))
		return NULL;
	for (size_t at = hash;; at++) {
		struct name *name = &n->slots[at & (n->nr_slots - 1)];

		if (name->text && (name->hash != hash || strcmp(name->text, text)))
			continue;
		if (!name->text) {
			const char *own = copy(n, text, len);

			if (!own)
				return NULL;
			*name = (struct name){ .hash = hash, .text = own };
			n->nr++;
		}
		return name;
	}
}

const char *names_keep(struct names *n, const char *text)
{
	struct name *name = slot_of(n, text);

	return name ? name->text : NULL;
}

const char *names_demangled(struct names *n, const char *text)
{
	struct name *name = slot_of(n, text);
	char plain[DEMANGLE_MAX];
	const char *kept;

	if (!name || name->demangled)
		return name ? name->demangled : NULL;
	if (!demangle(text, plain)) {
		name->demangled = name->text;
		return name->text;
	}
	kept = names_keep(n, plain);
	name = slot_of(n, text); /* the table may have grown */
	if (name)
		name->demangled = kept;
	return kept;
}

void names_free(struct names *n)
{
	while (n->blocks) {
		struct names_block *next = n->blocks->next;

		free(n->blocks);
		n->blocks = next;
	}
	free(n->slots);
	*n = (struct names){ 0 };
}
