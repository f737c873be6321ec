// SPDX-License-Identifier: GPL-2.0-only
/*
 * From addresses to places: see resolve.h.
 *
 *   file      [ text | rodata |  data ]          PT_LOAD segments; .bss has memory but no bytes in the file
 *   process   [ text | rodata |  data | .bss ] [anonymous: the rest of .bss] ...
 *                                          ^ the last page of the file mapping
 *
 * The load bias follows from a mapping and the segment whose bytes it maps: bias = (start - offset) - (address - offset of the
 * segment). Page rounding lets a mapping show bytes of two segments; then the bias is the one by which also the code or the first segment is
 * where it should be.
 */
#include "symbol/resolve.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "symbol/objects.h"

#define MAX_BELOW \
	4 /* anonymous mappings between an address in .bss and the object's last file mapping */

struct resolve {
	struct space *space;
	struct objects objects;
};

/* A moment in the life of a process. */
struct moment {
	struct resolve *r;
	uint32_t tgid;
	uint64_t time_ns;
};

int resolve_new(struct space *space, const struct elf_where *where, struct resolve **ret_resolve)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->space = space;
	if (objects_init(&r->objects, where)) {
		resolve_free(r);
		return -ENOMEM;
	}
	*ret_resolve = r;
	return 0;
}

void resolve_free(struct resolve *r)
{
	if (!r)
		return;
	objects_free(&r->objects);
	free(r);
}

static bool find(const struct moment *at, uint64_t address, struct space_mapping *ret)
{
	return space_find(at->r->space, at->tgid, at->time_ns, address, ret);
}

static bool overlaps(const struct space_mapping *m, const struct elf_segment *seg)
{
	uint64_t end = m->offset + (m->end - m->start);

	return m->offset < seg->offset + seg->file_bytes && seg->offset < end;
}

static bool segment_fits(const struct moment *at, const struct space_file *file,
			 const struct elf_segment *seg, uint64_t bias)
{
	struct space_mapping m;

	return find(at, bias + seg->address, &m) && !strcmp(m.file->path, file->path) &&
	       m.start - m.offset == bias + seg->address - seg->offset;
}

/* Is the object's code, or its first segment, where this bias says? Not all of a file's mappings need be known. */
static bool bias_fits(const struct moment *at, const struct space_file *file,
		      const struct elf_segment *segs, size_t nr, uint64_t bias)
{
	for (size_t i = 0; i < nr; i++)
		if ((!i || segs[i].flags & PF_X) && segment_fits(at, file, &segs[i], bias))
			return true;
	return false;
}

static bool bias_of(const struct moment *at, const struct space_mapping *m, struct elf_symbols *elf,
		    uint64_t *ret_bias)
{
	size_t nr;
	const struct elf_segment *segs = elf_symbols_segments(elf, &nr);
	bool found = false, sure = false;

	for (size_t i = 0; i < nr && !sure; i++) {
		uint64_t bias = (m->start - m->offset) - (segs[i].address - segs[i].offset);

		if (!overlaps(m, &segs[i]) || (found && bias == *ret_bias))
			continue;
		sure = bias_fits(at, m->file, segs, nr, bias);
		if (!found || sure)
			*ret_bias = bias;
		found = true;
	}
	return found;
}

static struct object *object_of(const struct moment *at, const struct space_mapping *m,
				uint64_t *ret_bias)
{
	/* the vdso of a 32-bit process bears the same name, and is another one */
	bool foreign = m->end <= UINT32_MAX && !strcmp(m->file->path, "[vdso]");
	struct object *obj = foreign ? NULL : objects_get(&at->r->objects, m, at->tgid);

	return obj && bias_of(at, m, obj->elf, ret_bias) ? obj : NULL;
}

/* Memory that may hold an object's .bss; without address randomization the heap follows it in one mapping. */
static bool may_be_bss(const struct space_mapping *m)
{
	const char *path = m->file->path;

	return !m->shared && !m->file->inode &&
	       (!*path || !strcmp(path, "//anon") || !strcmp(path, "[heap]") ||
		!strncmp(path, "[anon:", 6));
}

static bool in_bss(struct elf_symbols *elf, uint64_t address)
{
	size_t nr;
	const struct elf_segment *segs = elf_symbols_segments(elf, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t in = address - segs[i].address;

		if (in >= segs[i].file_bytes && in < segs[i].memory_bytes)
			return true;
	}
	return false;
}

/* The object whose .bss an anonymous mapping holds at this address; its file is given too. */
static struct object *object_below(const struct moment *at, uint64_t address,
				   const struct space_mapping *anon, uint64_t *ret_bias,
				   const struct space_file **ret_file)
{
	struct space_mapping m = *anon;

	for (int i = 0; i < MAX_BELOW && may_be_bss(&m) && m.start; i++) {
		struct object *obj;

		if (!find(at, m.start - 1, &m))
			return NULL;
		obj = object_of(at, &m, ret_bias);
		if (obj) {
			*ret_file = m.file;
			return in_bss(obj->elf, address - *ret_bias) ? obj : NULL;
		}
	}
	return NULL;
}

/* The object at an address, by its own mapping or, if that is anonymous, by what lies below. */
static struct object *object_at(const struct moment *at, uint64_t address,
				const struct space_mapping *m, uint64_t *ret_bias,
				const struct space_file **ret_file)
{
	*ret_file = m->file;
	return may_be_bss(m) ? object_below(at, address, m, ret_bias, ret_file) :
			       object_of(at, m, ret_bias);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static enum place_kind kind_of(const struct space_mapping *m)
{
	const char *path = m->file->path;

	if (begins(path, "[heap]"))
		return PLACE_HEAP;
	if (begins(path, "[stack"))
		return PLACE_STACK;
	if (m->shared || begins(path, "[anon_shmem"))
		return objects_path_is_special(path) || begins(path, "/dev/shm/") ? PLACE_SHARED :
										    PLACE_FILE;
	if (*path == '[' && !begins(path, "[anon"))
		return PLACE_FILE; /* [vdso] and the like */
	return objects_path_is_special(path) ? PLACE_ANON : PLACE_FILE;
}

static void identify(const struct space_mapping *m, uint64_t address, struct place *ret)
{
	ret->path = m->file->path;
	ret->shared = m->shared;
	ret->dev_major = m->file->dev_major;
	ret->dev_minor = m->file->dev_minor;
	ret->inode = m->file->inode;
	ret->file_offset = m->offset + (address - m->start);
	ret->identified = m->shared && m->file->inode;
	ret->kind = kind_of(m);
	ret->offset = ret->kind == PLACE_FILE || ret->kind == PLACE_SHARED ? ret->file_offset :
									     address - m->start;
}

void resolve_data(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct place *ret_place)
{
	struct moment at = { r, tgid, time_ns };
	const struct space_file *file;
	struct elf_symbol symbol;
	struct space_mapping m;
	struct object *obj;
	uint64_t bias;

	*ret_place = (struct place){ .path = "", .offset = address };
	if (!find(&at, address, &m))
		return;
	identify(&m, address, ret_place);
	obj = object_at(&at, address, &m, &bias, &file);
	if (!obj)
		return;
	ret_place->kind = PLACE_OBJECT;
	ret_place->path = file->path;
	ret_place->offset = may_be_bss(&m) ? address - bias : ret_place->file_offset;
	if (elf_symbols_object(obj->elf, address - bias, &symbol)) {
		ret_place->name = symbol.name;
		ret_place->offset = address - bias - symbol.address;
		ret_place->size = symbol.size;
	}
}

void resolve_code(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct code_place *ret_place)
{
	struct moment at = { r, tgid, time_ns };
	struct elf_symbol symbol;
	struct space_mapping m;
	struct object *obj;
	uint64_t bias;

	*ret_place = (struct code_place){ .offset = address };
	if (!find(&at, address, &m))
		return;
	ret_place->path = m.file->path;
	ret_place->offset = address - m.start;
	obj = object_of(&at, &m, &bias);
	if (!obj)
		return;
	ret_place->offset = address - bias;
	if (elf_symbols_function(obj->elf, address - bias, &symbol)) {
		ret_place->name = symbol.name;
		ret_place->offset = address - bias - symbol.address;
	}
}

void resolve_site(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct code_site *ret_site)
{
	struct moment at = { r, tgid, time_ns };
	const struct object *known;
	struct space_mapping m;
	struct object *obj;
	uint64_t bias;

	*ret_site = (struct code_site){ .address = address };
	if (!find(&at, address, &m))
		return;
	obj = object_of(&at, &m, &bias);
	known = objects_known(&r->objects, m.file);
	ret_site->file = m.file;
	ret_site->elf = obj ? obj->elf : NULL;
	ret_site->guessed = obj && obj->guessed;
	ret_site->replaced = known && known->replaced;
	ret_site->address = obj ? address - bias : m.offset + (address - m.start);
}

struct elf_dwarf *resolve_dwarf(struct resolve *r, const struct code_site *site)
{
	return site->elf ? object_dwarf(&r->objects.objects[site->file->index]) : NULL;
}

uint64_t resolve_began(struct resolve *r, uint32_t tgid, uint64_t time_ns)
{
	return space_began(r->space, tgid, time_ns);
}

bool resolve_runtime(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		     struct runtime_place *ret_place)
{
	struct moment at = { r, tgid, time_ns };
	const struct object_runtime *rt;
	const struct space_file *file;
	struct space_mapping m;
	struct object *obj;
	uint64_t bias;

	if (!find(&at, address, &m))
		return false;
	obj = object_at(&at, address, &m, &bias, &file);
	rt = obj ? object_runtime(obj, file->path) : NULL;
	if (!rt || address - bias - rt->address >= rt->size)
		return false;
	*ret_place = (struct runtime_place){ .offset = address - bias - rt->address,
					     .size = rt->size,
					     .major = rt->major,
					     .minor = rt->minor,
					     .path = file->path };
	return true;
}

bool place_same_shared(const struct place *a, const struct place *b)
{
	return a->identified && b->identified && a->inode == b->inode &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->file_offset == b->file_offset;
}

struct elf_symbols *resolve_object(struct resolve *r, uint32_t tgid, uint64_t time_ns,
				   uint64_t address, uint64_t *ret_bias)
{
	struct moment at = { r, tgid, time_ns };
	const struct space_file *file;
	struct space_mapping m;
	struct object *obj = NULL;

	if (find(&at, address, &m))
		obj = object_at(&at, address, &m, ret_bias, &file);
	return obj ? obj->elf : NULL;
}

const struct cfi *resolve_cfi(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
			      uint64_t *ret_bias)
{
	struct moment at = { r, tgid, time_ns };
	struct space_mapping m;
	struct object *obj = NULL;

	if (find(&at, address, &m))
		obj = object_of(&at, &m, ret_bias);
	return obj ? object_cfi(obj) : NULL;
}

bool resolve_mapping(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		     struct space_mapping *ret_mapping)
{
	return space_find(r->space, tgid, time_ns, address, ret_mapping);
}

void resolve_problems(const struct resolve *r, resolve_problem_fn fn, void *arg)
{
	for (size_t i = 0; i < r->objects.nr; i++) {
		const struct object *obj = &r->objects.objects[i];

		if (!obj->path)
			continue;
		if (obj->problem)
			fn(arg, obj->path, obj->problem);
		if (obj->no_alt)
			fn(arg, obj->path,
			   "its debug information is incomplete: the file that dwz has moved a part of it to is missing");
		if (obj->dwarf && elf_dwarf_tired(obj->dwarf))
			fn(arg, obj->path,
			   "its debug information was given up half-way: it takes too long to read, or is damaged");
	}
}
