/* SPDX-License-Identifier: GPL-2.0-only */
/* A chunk as bytes: its header, its checksum, its zstd. What both the writer and the reader must agree on. */
#ifndef WHYSCALE_TRACE_CHUNK_H
#define WHYSCALE_TRACE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/format.h"

/* zstd never needs more for CHUNK_MAX_RAW bytes (ZSTD_COMPRESSBOUND, rounded up). */
#define CHUNK_MAX_STORED (CHUNK_MAX_RAW + (CHUNK_MAX_RAW >> 7))

/* Puts the checksum into the header at the front of `chunk`, behind which its stored bytes stand. */
void chunk_seal(uint8_t *chunk);

/* Whether that checksum is right. */
bool chunk_sound(const uint8_t *chunk);

/* Whether a header can be one, with `left` bytes behind it in the file. */
bool chunk_header_ok(const struct chunk_header *h, uint64_t left);

#endif
