// SPDX-License-Identifier: GPL-2.0-only
/* Finding the separate symbol table: see elf_debug.h. */
#include "symbol/elf_debug.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "symbol/debuginfod.h"

#define MAX_BUILD_ID 64
#define MAX_TO_UNPACK (64ull << 20)
#define MAX_RATIO 64 /* symbol tables are packed to a fourth or an eighth */
#define MAX_XZ_MEMORY (128ull << 20)

static bool same_build(const struct elf_image *image, const struct elf_image *debug)
{
	const void *its;
	ssize_t len = dwelf_elf_gnu_build_id(image->elf, &its);

	return len > 0 && elf_image_is_build(debug, its, (uint32_t)len);
}

/* The CRC-32 of .gnu_debuglink is zlib's. */
static bool has_crc(const struct elf_image *debug, GElf_Word expected)
{
	unsigned char buf[1 << 16];
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(debug->fd, buf, sizeof(buf), at)) > 0) {
		crc = crc32(crc, buf, (uInt)n);
		at += n;
	}
	return n == 0 && crc == expected;
}

static int by_build_id(const struct elf_image *image, const char *root, struct elf_image *ret)
{
	char path[PATH_MAX], hex[2 * MAX_BUILD_ID + 1];
	const uint8_t *id;
	const void *its;
	ssize_t len = dwelf_elf_gnu_build_id(image->elf, &its);
	struct err err;

	if (len < 2 || len > MAX_BUILD_ID)
		return -ENOENT;
	id = its;
	for (ssize_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	if (snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", root, hex, hex + 2) >=
		    (int)sizeof(path) ||
	    elf_image_open(path, ret, &err))
		return -ENOENT;
	if (same_build(image, ret))
		return 0;
	elf_image_close(ret);
	return -ENOENT;
}

static int open_link(const struct elf_image *image, const char *path, GElf_Word crc,
		     struct elf_image *ret)
{
	const void *its;
	struct err err;

	if (elf_image_open(path, ret, &err))
		return -ENOENT;
	if (dwelf_elf_gnu_build_id(image->elf, &its) > 0 ? same_build(image, ret) :
							   has_crc(ret, crc))
		return 0;
	elf_image_close(ret);
	return -ENOENT;
}

static int by_link(const struct elf_image *image, const char *image_path, const char *root,
		   struct elf_image *ret)
{
	/* What stands in front of the file's directory, and behind it. */
	const char *const around[][2] = { { "", "" }, { "", "/.debug" }, { root, "" } };
	const char *slash = strrchr(image_path, '/');
	int dir_len = slash ? (int)(slash - image_path) : 0;
	char dir[PATH_MAX], path[PATH_MAX];
	const char *name;
	GElf_Word crc;

	name = dwelf_elf_gnu_debuglink(image->elf, &crc);
	if (!name || !*name || strchr(name, '/') || !slash || dir_len >= PATH_MAX)
		return -ENOENT;
	snprintf(dir, sizeof(dir), "%.*s", dir_len, image_path);
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		if (snprintf(path, sizeof(path), "%s%s%s/%s", around[i][0], dir, around[i][1],
			     name) < (int)sizeof(path) &&
		    !open_link(image, path, crc, ret))
			return 0;
	}
	return -ENOENT;
}

static int from_server(const struct elf_image *image, struct elf_image *ret)
{
	char path[PATH_MAX];
	const void *its;
	ssize_t len = dwelf_elf_gnu_build_id(image->elf, &its);
	struct err err;

	if (len <= 0 || debuginfod_fetch(DEBUGINFOD_DEBUG, its, (uint32_t)len, path) ||
	    elf_image_open(path, ret, &err))
		return -ENOENT;
	if (same_build(image, ret))
		return 0;
	elf_image_close(ret);
	return -ENOENT;
}

/* What a few bytes of xz unpack to may be endless, so it is unpacked here, bounded, and not by dwelf_elf_begin(). */
static int unpack(const Elf_Data *packed, uint8_t **ret_bytes, size_t *ret_len)
{
	_cleanup_(free_p) uint8_t *bytes = NULL;
	size_t cap = packed->d_size * 8, len = 0;
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_stream_decoder(&stream, MAX_XZ_MEMORY, 0);

	stream.next_in = packed->d_buf;
	stream.avail_in = packed->d_size;
	while (ret == LZMA_OK && cap / MAX_RATIO <= packed->d_size) {
		uint8_t *more = realloc(bytes, cap);

		if (!more)
			break;
		bytes = more;
		stream.next_out = bytes + len;
		stream.avail_out = cap - len;
		ret = lzma_code(&stream, LZMA_FINISH);
		len = cap - stream.avail_out;
		if (stream.avail_out)
			break;
		cap *= 2;
	}
	lzma_end(&stream);
	if (ret != LZMA_STREAM_END || !len)
		return -ENOENT;
	*ret_bytes = take_ptr(bytes);
	*ret_len = len;
	return 0;
}

static int from_inside(const struct elf_image *image, struct elf_image *ret)
{
	GElf_Shdr shdr;
	Elf_Data *packed = elf_image_section(image, ".gnu_debugdata", MAX_TO_UNPACK, &shdr);
	uint8_t *bytes;
	struct err err;
	size_t len;

	if (!packed || unpack(packed, &bytes, &len))
		return -ENOENT;
	return elf_image_memory(bytes, len, ret, &err) ? -ENOENT : 0;
}

int elf_debug_open(const struct elf_image *image, const char *path, const char *debug,
		   struct elf_image *ret_debug)
{
	if (!by_build_id(image, debug, ret_debug) || !by_link(image, path, debug, ret_debug) ||
	    !from_server(image, ret_debug))
		return 0;
	return from_inside(image, ret_debug);
}
