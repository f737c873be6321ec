// SPDX-License-Identifier: GPL-2.0-only
/* Chunk headers and checksums: see chunk.h. */
#include "trace/chunk.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t chunk_checksum(const uint8_t *chunk)
{
	XXH3_state_t state;
	struct chunk_header h;

	memcpy(&h, chunk, sizeof(h));
	h.checksum = 0;
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, &h, sizeof(h));
	XXH3_64bits_update(&state, chunk + sizeof(h), h.stored_bytes);
	return XXH3_64bits_digest(&state);
}

void chunk_seal(uint8_t *chunk)
{
	uint64_t sum = chunk_checksum(chunk);

	memcpy(chunk + offsetof(struct chunk_header, checksum), &sum, sizeof(sum));
}

bool chunk_sound(const uint8_t *chunk)
{
	uint64_t sum = chunk_checksum(chunk);

	return !memcmp(chunk + offsetof(struct chunk_header, checksum), &sum, sizeof(sum));
}

bool chunk_header_ok(const struct chunk_header *h, uint64_t left)
{
	return h->magic == CHUNK_MAGIC && h->stored_bytes <= left &&
	       h->stored_bytes <= CHUNK_MAX_STORED && h->raw_bytes <= CHUNK_MAX_RAW;
}
