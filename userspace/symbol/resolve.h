/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From an address in a recorded process to what is there: the ELF object and the symbol, or the heap, a stack, shared memory.
 * Files are opened when they are first needed and kept; what could not be used, and why, is told by resolve_problems(). Not for
 * several threads at once.
 */
#ifndef WHYSCALE_SYMBOL_RESOLVE_H
#define WHYSCALE_SYMBOL_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "symbol/elf_symbols.h"
#include "symbol/space.h"

struct resolve;
struct cfi;
struct elf_dwarf;

enum place_kind {
	PLACE_UNKNOWN, /* nothing is known to be mapped there */
	PLACE_OBJECT, /* in the data (.data, .bss, ...) of an ELF object; `name` is NULL if no symbol contains it */
	PLACE_FILE, /* in a mapped file that is not such an object, or cannot be read; in [vdso] and the like */
	PLACE_HEAP,   /* the brk heap */
	PLACE_STACK,  /* the first thread's stack; those of other threads are anonymous mappings */
	PLACE_SHARED, /* shared memory: anonymous, memfd, System V, POSIX (/dev/shm) */
	PLACE_ANON,   /* private anonymous memory: malloc's arenas, thread stacks, mmap */
};

struct place {
	enum place_kind kind;
	const char *path; /* the mapped file or the kernel's name of the mapping; "": none */
	const char *name; /* PLACE_OBJECT: the symbol, or NULL */
	uint64_t offset; /* in the symbol; without one: in the file (object, file, shared), in the mapping (heap, stack, anon) */
	uint64_t size;   /* of the symbol, bytes; or 0 */
	bool shared;     /* MAP_SHARED: other processes may have it at other addresses */
	bool identified; /* the following says which byte of which file it is */
	uint32_t dev_major, dev_minor;
	uint64_t inode, file_offset;
};

struct code_place {
	const char *
		path; /* the mapped file, or the kernel's name of the mapping ("[vdso]"); "": none; NULL: nothing is mapped there */
	const char *name; /* the function, or NULL */
	uint64_t offset; /* in the function; without one the address in the object as its file has it, or in the mapping */
};

struct runtime_place {
	uint64_t offset;  /* in _PyRuntime, bytes */
	uint64_t size;    /* of _PyRuntime */
	int major, minor; /* the interpreter's version; 0, 0: it could not be told */
	const char *path; /* the object that holds it */
};

/* `space` must outlive it; `where` is read now only. The caller frees it. -ENOMEM. */
int resolve_new(struct space *space, const struct elf_where *where, struct resolve **ret_resolve);
void resolve_free(struct resolve *r);

/* All strings given out live as long as `r` and its space. Each of these is O(log^2 n) and opens a file at most once. */

/* What a data address is. Always answers; PLACE_UNKNOWN at worst. */
void resolve_data(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct place *ret_place);

/* What a code address is. A return address is to be looked up at address - 1 (see struct unwind_frame). */
void resolve_code(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct code_place *ret_place);

/* Where code is, for frames.h, which finds out what it is. */
struct code_site {
	const struct space_file *file; /* NULL: nothing is mapped there */
	struct elf_symbols *elf;       /* NULL: it is no ELF object, or one that cannot be used */
	uint64_t address; /* in the object, without the load bias; without an object in the file or, of memory, of the mapping */
	bool guessed;  /* no build-id was recorded, and the file at this path has another inode */
	bool replaced; /* another build is at this path now */
};
void resolve_site(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		  struct code_site *ret_site);

/* The object's DWARF, or NULL: there is none. Opened at the first question. */
struct elf_dwarf *resolve_dwarf(struct resolve *r, const struct code_site *site);

/* space_began() in the space that `r` is for. */
uint64_t resolve_began(struct resolve *r, uint32_t tgid, uint64_t time_ns);

/*
 * Does the data address lie in a CPython's _PyRuntime (3.7 to 3.13 at least), where its global interpreter lock is? The version comes
 * from the object's Py_Version (3.11 on), else from its file's name ("python3.10", "libpython3.8.so.1.0").
 */
bool resolve_runtime(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		     struct runtime_place *ret_place);

/* Are two places the same byte of shared memory, in whatever processes? */
bool place_same_shared(const struct place *a, const struct place *b);

/* The ELF object mapped at an address, and its load bias (address in the process less address in the file); NULL: none that
 * can be used. For data also where only the object's .bss is. The object belongs to `r`. */
struct elf_symbols *resolve_object(struct resolve *r, uint32_t tgid, uint64_t time_ns,
				   uint64_t address, uint64_t *ret_bias);

/* The call frame information of the object that a code address is in, and its load bias; NULL: there is none. */
const struct cfi *resolve_cfi(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
			      uint64_t *ret_bias);

/* space_find() in the space that `r` is for. */
bool resolve_mapping(struct resolve *r, uint32_t tgid, uint64_t time_ns, uint64_t address,
		     struct space_mapping *ret_mapping);

/* Calls fn for every file that was asked for and could not be used, with the reason: one sentence. */
typedef void (*resolve_problem_fn)(void *arg, const char *path, const char *reason);
void resolve_problems(const struct resolve *r, resolve_problem_fn fn, void *arg);

#endif
