/* SPDX-License-Identifier: GPL-2.0-only */
/* The ELF objects of the files that processes map, each opened once, when it is first asked for. A part of resolve.c. */
#ifndef WHYSCALE_SYMBOL_OBJECTS_H
#define WHYSCALE_SYMBOL_OBJECTS_H

#include "symbol/cfi.h"
#include "symbol/elf_symbols.h"
#include "symbol/space.h"

/* Where _PyRuntime is. */
struct object_runtime {
	uint64_t address, size; /* size 0: the object has none */
	int major, minor;
};

struct object {
	bool tried, tried_cfi, tried_runtime;
	struct elf_symbols *elf; /* NULL: not an ELF object, or it cannot be used */
	struct cfi *cfi;         /* NULL: none */
	struct object_runtime runtime;
	char *path;    /* of a file that cannot be used */
	char *problem; /* why it cannot be used, or NULL */
};

struct objects {
	struct object *objects; /* by space_file.index */
	size_t nr, cap;
	char *root, *debug; /* as in struct elf_where */
};

int objects_init(struct objects *o, const struct elf_where *where);
void objects_free(struct objects *o);

/* The object of a file, or NULL: it is none. Valid until the next call. */
struct object *objects_get(struct objects *o, const struct space_file *file);

/* The parts of an object that are not always needed. */
const struct cfi *object_cfi(struct object *obj);
const struct object_runtime *object_runtime(struct object *obj, const char *path);

/* Is it a name that the kernel made up, and no file system has? "", "[heap]", "//anon", "/memfd:x (deleted)", ... */
bool objects_path_is_special(const char *path);

#endif
