// SPDX-License-Identifier: GPL-2.0-only
/* Mappings as bytes: see maps.h. */
#include "trace/maps.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct map_record) == 72, "format.h says so");
_Static_assert(MAP_MAX_BYTES <= UINT16_MAX, "map_record.bytes holds it");

static bool known_kind(uint32_t kind)
{
	return kind == MAPPING_ADD || kind == MAPPING_EXEC || kind == MAPPING_FORK;
}

static bool sound(const struct map_record *r)
{
	return r->build_id_len <= MAPPING_BUILD_ID_MAX && r->path_len <= MAP_MAX_PATH &&
	       r->time <= INT64_MAX && (r->kind != MAPPING_ADD || r->start < r->end);
}

size_t maps_pack(const struct mapping *m, uint8_t *out)
{
	size_t path_len = m->path ? strlen(m->path) : 0, id_len = m->build_id_len;
	struct map_record r = {
		.kind = (uint8_t)m->kind,
		.build_id_len = (uint8_t)id_len,
		.tgid = m->tgid,
		.time = m->time_ns,
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.inode = m->inode,
		.parent_tgid = m->parent_tgid,
		.prot = m->prot,
		.flags = m->flags,
		.dev_major = m->dev_major,
		.dev_minor = m->dev_minor,
		.path_len = (uint16_t)path_len,
	};

	if (!known_kind(m->kind) || path_len > MAP_MAX_PATH || id_len > MAPPING_BUILD_ID_MAX ||
	    !sound(&r))
		return 0;
	r.bytes = (uint16_t)(sizeof(r) + id_len + path_len);
	memcpy(out, &r, sizeof(r));
	memcpy(out + sizeof(r), m->build_id, id_len);
	if (path_len)
		memcpy(out + sizeof(r) + id_len, m->path, path_len);
	return r.bytes;
}

static void fill(const struct map_record *r, const uint8_t *behind, struct maps_read *ret)
{
	ret->m = (struct mapping){
		.time_ns = r->time,
		.kind = r->kind,
		.tgid = r->tgid,
		.parent_tgid = r->parent_tgid,
		.prot = r->prot,
		.flags = r->flags,
		.start = r->start,
		.end = r->end,
		.offset = r->offset,
		.dev_major = r->dev_major,
		.dev_minor = r->dev_minor,
		.inode = r->inode,
		.build_id_len = r->build_id_len,
		.path = ret->path,
	};
	memcpy(ret->m.build_id, behind, r->build_id_len);
	memcpy(ret->path, behind + r->build_id_len, r->path_len);
	ret->path[r->path_len] = '\0';
}

int maps_unpack(const uint8_t *raw, size_t raw_bytes, size_t *at, struct maps_read *ret)
{
	const uint8_t *behind = raw + *at + sizeof(struct map_record);
	size_t left = raw_bytes - *at;
	struct map_record r;

	if (left < sizeof(r))
		return -EBADMSG;
	memcpy(&r, raw + *at, sizeof(r));
	if (r.bytes < sizeof(r) || r.bytes > left)
		return -EBADMSG;
	*at += r.bytes;
	if (!known_kind(r.kind))
		return 0;
	if (!sound(&r) || r.bytes < sizeof(r) + r.build_id_len + r.path_len ||
	    memchr(behind + r.build_id_len, '\0', r.path_len))
		return -EBADMSG;
	fill(&r, behind, ret);
	return 1;
}
