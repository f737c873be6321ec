/* SPDX-License-Identifier: GPL-2.0-only */
/* A mapping as bytes of a MAPS chunk, and back (format.h draws them). */
#ifndef WHYSCALE_TRACE_MAPS_H
#define WHYSCALE_TRACE_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/mapping.h"
#include "trace/format.h"

#define MAP_MAX_BYTES (sizeof(struct map_record) + MAPPING_BUILD_ID_MAX + MAP_MAX_PATH)

/* Packs one into `out`, which has room for MAP_MAX_BYTES; returns its bytes, or 0 when it is not one (maps_valid). */
size_t maps_pack(const struct mapping *m, uint8_t *out);

/* A mapping that was read, and the memory of its path. */
struct maps_read {
	struct mapping m; /* its path is `path` */
	char path[MAP_MAX_PATH + 1];
};

/*
 * Takes the record at raw[*at], which is moved on behind it. 1: here it is; 0: a kind that this version does not know, to be left
 * out; -EBADMSG: malformed, and nothing behind it can be found.
 */
int maps_unpack(const uint8_t *raw, size_t raw_bytes, size_t *at, struct maps_read *ret);

#endif
