// SPDX-License-Identifier: GPL-2.0-only
/* One ELF file's segments and symbols: see elf_symbols.h. */
#include "symbol/elf_symbols.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "symbol/elf_debug.h"
#include "symbol/elf_image.h"
#include "symbol/elf_load.h"

#define MAX_SEGMENTS 256
#define BUILD_ID_MAX 64
#define DEBUG_DIR "/usr/lib/debug"

struct elf_symbols {
	char *path;   /* where the file is */
	char *debug;  /* where separate debug files are */
	char *inside; /* or, before that, there: NULL */
	int fd;       /* kept open; -1 */
	void *memory; /* the file's bytes, if it is none; NULL */
	size_t memory_bytes;
	uint32_t build_id_len; /* 0: it has none */
	uint8_t build_id[BUILD_ID_MAX];
	struct elf_identity identity;
	uint16_t machine;
	struct elf_segment *segments;
	size_t nr_segments;
	bool loaded;
	struct elf_table functions, objects;
};

static int read_segments(struct elf_symbols *s, const struct elf_image *image)
{
	size_t nr, cap = 0;

	if (elf_getphdrnum(image->elf, &nr))
		return 0;
	for (size_t i = 0; i < nr && s->nr_segments < MAX_SEGMENTS; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(image->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    ph.p_filesz > ph.p_memsz || ph.p_offset + ph.p_filesz < ph.p_offset ||
		    ph.p_vaddr + ph.p_memsz < ph.p_vaddr)
			continue;
		if (vec_room(&s->segments, &cap, s->nr_segments + 1))
			return -ENOMEM;
		s->segments[s->nr_segments++] = (struct elf_segment){
			.offset = ph.p_offset,
			.file_bytes = ph.p_filesz,
			.address = ph.p_vaddr,
			.memory_bytes = ph.p_memsz,
			.flags = ph.p_flags,
		};
	}
	return 0;
}

static void read_build_id(struct elf_symbols *s, const struct elf_image *image)
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(image->elf, &id);

	if (len <= 0 || len > BUILD_ID_MAX)
		return;
	memcpy(s->build_id, id, (size_t)len);
	s->build_id_len = (uint32_t)len;
}

/* Keeps of the image what is always needed. */
static int note(struct elf_symbols *s, const struct elf_image *image, struct err *err)
{
	s->identity = image->identity;
	s->machine = image->ehdr.e_machine;
	read_build_id(s, image);
	return read_segments(s, image) ? err_set(err, -ENOMEM, "no memory for %s", s->path) : 0;
}

static void load(struct elf_symbols *s);

static int open_noted(struct elf_symbols *s, bool hold, struct err *err)
{
	struct elf_image image;
	int code = elf_image_open(s->path, &image, err);

	if (code)
		return code;
	code = note(s, &image, err);
	if (hold)
		s->fd = fcntl(image.fd, F_DUPFD_CLOEXEC, 0);
	elf_image_close(&image);
	/* what lies beside it may be gone, too */
	if (!code && s->fd >= 0)
		load(s);
	return code;
}

int elf_symbols_open_source(const struct elf_source *source, struct elf_symbols **ret_symbols,
			    struct err *err)
{
	struct elf_symbols *s = calloc(1, sizeof(*s));
	int code;

	if (s)
		s->fd = -1;
	if (!s || !(s->path = strdup(source->path)) || !(s->debug = strdup(source->debug)) ||
	    (source->inside && !(s->inside = strdup(source->inside)))) {
		elf_symbols_close(s);
		return err_set(err, -ENOMEM, "no memory for %s", source->path);
	}
	code = open_noted(s, source->hold, err);
	if (code) {
		elf_symbols_close(s);
		return code;
	}
	*ret_symbols = s;
	return 0;
}

int elf_symbols_open(const char *path, const uint8_t *build_id, uint32_t build_id_len,
		     const struct elf_where *where, struct elf_symbols **ret_symbols,
		     struct err *err)
{
	const char *root = where && where->root ? where->root : "";
	_cleanup_(free_p) char *full = NULL;
	struct elf_source source = { .debug = where && where->debug ? where->debug : DEBUG_DIR };
	int code;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return err_set(err, -ENOMEM, "no memory for %s", path);
	}
	source.path = full;
	code = elf_symbols_open_source(&source, ret_symbols, err);
	if (code || !build_id_len || elf_symbols_is_build(*ret_symbols, build_id, build_id_len))
		return code;
	elf_symbols_close(*ret_symbols);
	*ret_symbols = NULL;
	return err_set(err, -ESTALE, "%s is another build than the recorded one", full);
}

int elf_symbols_open_memory(const void *bytes, size_t len, const char *name,
			    struct elf_symbols **ret_symbols, struct err *err)
{
	struct elf_symbols *s = calloc(1, sizeof(*s));
	struct elf_image image;
	int code = -ENOMEM;

	if (s)
		s->fd = -1;
	if (s && (s->path = strdup(name)) && (s->debug = strdup(DEBUG_DIR)) &&
	    (s->memory = malloc(len))) {
		memcpy(s->memory, bytes, len);
		s->memory_bytes = len;
		code = elf_symbols_image(s, &image);
	}
	if (!code) {
		code = note(s, &image, err);
		elf_image_close(&image);
	}
	if (code) {
		elf_symbols_close(s);
		return err_set(err, code, "%s is not an ELF image that can be used", name);
	}
	*ret_symbols = s;
	return 0;
}

void elf_symbols_close(struct elf_symbols *s)
{
	if (!s)
		return;
	elf_table_free(&s->functions);
	elf_table_free(&s->objects);
	if (s->fd >= 0)
		close(s->fd);
	free(s->segments);
	free(s->memory);
	free(s->inside);
	free(s->debug);
	free(s->path);
	free(s);
}

bool elf_symbols_is_build(const struct elf_symbols *s, const uint8_t *build_id, uint32_t len)
{
	return len && s->build_id_len == len && !memcmp(s->build_id, build_id, len);
}

bool elf_symbols_is_inode(const struct elf_symbols *s, uint32_t dev_major, uint32_t dev_minor,
			  uint64_t inode)
{
	return inode && s->identity.inode == inode &&
	       s->identity.dev == makedev(dev_major, dev_minor);
}

static int image_of_memory(const struct elf_symbols *s, struct elf_image *ret_image)
{
	void *copy = malloc(s->memory_bytes);
	struct err err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, s->memory, s->memory_bytes);
	return elf_image_memory(copy, s->memory_bytes, ret_image, &err);
}

int elf_symbols_image(const struct elf_symbols *s, struct elf_image *ret_image)
{
	char held[32];
	struct err err;
	int code;

	if (s->memory)
		return image_of_memory(s, ret_image);
	snprintf(held, sizeof(held), "/proc/self/fd/%d", s->fd);
	code = elf_image_open(s->fd >= 0 ? held : s->path, ret_image, &err);
	if (code || !memcmp(&ret_image->identity, &s->identity, sizeof(s->identity)))
		return code;
	elf_image_close(ret_image);
	return -ESTALE;
}

int elf_symbols_debug(const struct elf_symbols *s, const struct elf_image *image,
		      struct elf_image *ret_debug)
{
	if (s->inside && !elf_debug_open(image, s->path, s->inside, ret_debug))
		return 0;
	return elf_debug_open(image, s->path, s->debug, ret_debug);
}

const char *elf_symbols_debug_root(const struct elf_symbols *s)
{
	return s->debug;
}

/* What cannot be read is not there: every later question finds what could. */
static void load(struct elf_symbols *s)
{
	struct elf_load l = { &s->functions, &s->objects, s->identity.bytes };
	struct elf_image image, debug;

	if (s->loaded)
		return;
	s->loaded = true;
	if (elf_symbols_image(s, &image))
		return;
	if (!elf_load_section(&l, &image, SHT_SYMTAB) && !elf_symbols_debug(s, &image, &debug)) {
		elf_load_section(&l, &debug, SHT_SYMTAB);
		elf_image_close(&debug);
	}
	elf_load_section(&l, &image, SHT_DYNSYM);
	elf_image_close(&image);
	elf_table_sort(&s->functions);
	elf_table_sort(&s->objects);
}

bool elf_symbols_function(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_at(&s->functions, address, ret_symbol);
}

bool elf_symbols_object(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_at(&s->objects, address, ret_symbol);
}

bool elf_symbols_find_object(struct elf_symbols *s, const char *name, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_find(&s->objects, name, ret_symbol);
}

bool elf_symbols_find_function(struct elf_symbols *s, const char *name,
			       struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_find(&s->functions, name, ret_symbol);
}

const struct elf_segment *elf_symbols_segments(const struct elf_symbols *s, size_t *ret_nr)
{
	*ret_nr = s->nr_segments;
	return s->segments;
}

bool elf_symbols_address(const struct elf_symbols *s, uint64_t offset, uint64_t *ret_address)
{
	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct elf_segment *seg = &s->segments[i];

		if (offset - seg->offset >= seg->file_bytes)
			continue;
		*ret_address = seg->address + (offset - seg->offset);
		return true;
	}
	return false;
}

static int read_at(const struct elf_symbols *s, const struct elf_image *image, uint64_t offset,
		   void *ret_bytes, size_t len)
{
	if (!s->memory)
		return pread(image->fd, ret_bytes, len, (off_t)offset) == (ssize_t)len ? 0 :
											 -EFAULT;
	if (offset > s->memory_bytes || len > s->memory_bytes - offset)
		return -EFAULT;
	memcpy(ret_bytes, (const char *)s->memory + offset, len);
	return 0;
}

int elf_symbols_read(struct elf_symbols *s, uint64_t address, void *ret_bytes, size_t len)
{
	struct elf_image image;
	int code = -EFAULT;

	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct elf_segment *seg = &s->segments[i];
		uint64_t in = address - seg->address;

		if (in >= seg->file_bytes || seg->file_bytes - in < len)
			continue;
		code = elf_symbols_image(s, &image);
		if (code)
			return code;
		code = read_at(s, &image, seg->offset + in, ret_bytes, len);
		elf_image_close(&image);
		return code;
	}
	return code;
}

uint16_t elf_symbols_machine(const struct elf_symbols *s)
{
	return s->machine;
}
