/* SPDX-License-Identifier: GPL-2.0-only */
/* The ELF objects of the files that processes map, each opened once, when it is first asked for. A part of resolve.c. */
#ifndef WHYSCALE_SYMBOL_OBJECTS_H
#define WHYSCALE_SYMBOL_OBJECTS_H

#include "symbol/cfi.h"
#include "symbol/elf_dwarf.h"
#include "symbol/elf_symbols.h"
#include "symbol/space.h"

/* Where _PyRuntime is. */
struct object_runtime {
	uint64_t address, size; /* size 0: the object has none */
	int major, minor;
};

struct object {
	bool done, tried_cfi, tried_runtime, tried_dwarf;
	unsigned int tries; /* processes in whose root directory it was looked for */
	uint32_t tgid;      /* the last one */
	bool guessed;  /* the file may be another one than was mapped: no build-id, another inode */
	bool replaced; /* another build is there now */
	struct elf_symbols *elf; /* NULL: not an ELF object, or it cannot be used */
	struct cfi *cfi;         /* NULL: none */
	struct elf_dwarf *dwarf; /* NULL: none */
	struct object_runtime runtime;
	char *path;    /* as recorded */
	char *problem; /* why the file cannot be used, or NULL */
	bool no_alt;   /* a part of its DWARF is in a file that is not there */
};

struct objects {
	struct object *objects; /* by space_file.index */
	size_t nr, cap;
	char *root, *debug, *kernel; /* as in struct elf_where; kernel may be NULL */
	unsigned int held;           /* files that are kept open */
};

int objects_init(struct objects *o, const struct elf_where *where);
void objects_free(struct objects *o);

/*
 * The object of the file that a process maps, or NULL: it is none. Valid until the next call. Where it is looked for, until one is
 * the recorded one (by its build-id; if none was recorded, by its inode):
 *   1. ROOT + path;
 *   2. without a ROOT, as the process itself sees it, if it still lives: /proc/TGID/root + path, and, deleted or not,
 *      /proc/TGID/map_files;
 *   3. debuginfod, by the build-id;
 *   4. ROOT + path again, if no build-id was recorded: then `guessed` is set.
 */
struct object *objects_get(struct objects *o, const struct space_mapping *m, uint32_t tgid);

/* What is known of the file, an ELF object or not; NULL: it was never asked for. */
const struct object *objects_known(const struct objects *o, const struct space_file *file);

/* The parts of an object that are not always needed. */
const struct cfi *object_cfi(struct object *obj);
struct elf_dwarf *object_dwarf(struct object *obj);
const struct object_runtime *object_runtime(struct object *obj, const char *path);

/* Is it a name that the kernel made up, and no file system has? "", "[heap]", "//anon", "/memfd:x (deleted)", ... */
bool objects_path_is_special(const char *path);

#endif
