/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What whyscale knows of one ELF file: its segments, and its symbols from .symtab (its own, or that of its separate debug file or
 * MiniDebugInfo: see elf_debug.h) and .dynsym. Which of several names is given: see elf_table.h.
 *
 * Addresses here are those of the file; at run time a load bias is added, which resolve.h knows. The file may be cut, made up or
 * another one than it was when it was recorded: that costs names, nothing else. The symbols are read at the first question. Not
 * for several threads at once.
 */
#ifndef WHYSCALE_SYMBOL_ELF_SYMBOLS_H
#define WHYSCALE_SYMBOL_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "symbol/elf_table.h"

struct elf_symbols;
struct elf_image;

/* Where files are looked for; NULL members, or a NULL pointer to it, mean what stands here. */
struct elf_where {
	const char *root;  /* put in front of every recorded path, as perf's --symfs; "" */
	const char *debug; /* separate debug files; "/usr/lib/debug" */
	const char *
		kernel; /* release of the kernel that was recorded (uname -r): if it is the running one, the [vdso] of
			       this process is that of all; NULL: [vdso] is not looked into */
};

/* One file, wherever it is. */
struct elf_source {
	const char *path;
	const char *debug;  /* as in struct elf_where; not NULL */
	const char *inside; /* a second such directory, looked into first; or NULL */
	bool hold; /* keep it open, and read its symbols now: the path may soon lead nowhere (/proc/PID/root) */
};

/* A PT_LOAD program header. */
struct elf_segment {
	uint64_t offset, file_bytes; /* in the file */
	uint64_t address,
		memory_bytes; /* in memory, without the bias; what exceeds file_bytes is zeros (.bss) */
	uint32_t flags;       /* PF_R | PF_W | PF_X */
};

/*
 * Opens the file recorded as `path` if its build-id is the given one (len 0: unknown, any will do). The caller closes it. Errors:
 * those of open(2); -ENOEXEC: not an ELF file for us; -ESTALE: another build than the recorded one.
 */
int elf_symbols_open(const char *path, const uint8_t *build_id, uint32_t build_id_len,
		     const struct elf_where *where, struct elf_symbols **ret_symbols,
		     struct err *err);
void elf_symbols_close(struct elf_symbols *s);

/* The same for a file of any build. */
int elf_symbols_open_source(const struct elf_source *source, struct elf_symbols **ret_symbols,
			    struct err *err);

/* The same for a copy of an ELF file in memory: the vdso. */
int elf_symbols_open_memory(const void *bytes, size_t len, const char *name,
			    struct elf_symbols **ret_symbols, struct err *err);

/* Is it that build (len 0: never), or the file with that inode (0: never)? */
bool elf_symbols_is_build(const struct elf_symbols *s, const uint8_t *build_id, uint32_t len);
bool elf_symbols_is_inode(const struct elf_symbols *s, uint32_t dev_major, uint32_t dev_minor,
			  uint64_t inode);

/* The function (FUNC, GNU_IFUNC, or a label without a type in code), or the object (OBJECT), that contains the address. The name
 * lives as long as `s`. O(log n). */
bool elf_symbols_function(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol);
bool elf_symbols_object(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol);

/* An object by its exact name. O(n): keep the answer. */
bool elf_symbols_find_object(struct elf_symbols *s, const char *name,
			     struct elf_symbol *ret_symbol);
bool elf_symbols_find_function(struct elf_symbols *s, const char *name,
			       struct elf_symbol *ret_symbol);

/* The PT_LOAD segments as they stand in the file. */
const struct elf_segment *elf_symbols_segments(const struct elf_symbols *s, size_t *ret_nr);

/* The address that a byte of the file is loaded at. */
bool elf_symbols_address(const struct elf_symbols *s, uint64_t offset, uint64_t *ret_address);

/* Copies `len` bytes of the file by their address. -EFAULT: they are not all in the file; -ESTALE: it is no longer the same. */
int elf_symbols_read(struct elf_symbols *s, uint64_t address, void *ret_bytes, size_t len);

/* EM_*, as in the ELF header. */
uint16_t elf_symbols_machine(const struct elf_symbols *s);

/* Opens the same file again, to read more of it: see elf_image.h. -ESTALE: it is no longer the same. */
int elf_symbols_image(const struct elf_symbols *s, struct elf_image *ret_image);

/* Opens the file beside it that has what was stripped from it: elf_debug_open(). `image` is the file's own. */
int elf_symbols_debug(const struct elf_symbols *s, const struct elf_image *image,
		      struct elf_image *ret_debug);

/* Where separate debug files are. */
const char *elf_symbols_debug_root(const struct elf_symbols *s);

#endif
