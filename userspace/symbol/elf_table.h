/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Symbols of one sort (functions, or objects) of a file, sorted once and looked up by bisection.
 *
 * Several symbols at one address are one thing with several names. Which one is shown, first difference decides:
 *   1. one that has a type, before one that has none (NOTYPE);
 *   2. one that has a size;
 *   3. global or weak before local: a name that the outside knows;
 *   4. the one with fewer leading underscores ("_Z" and "_R" of mangled names do not count): `write`, not `__write`; then global
 *      before weak;
 *   5. one without a dot (`foo`, not `foo.localalias`);
 *   6. the shorter, then the first in the alphabet.
 * A version ("@@GLIBC_2.34") is cut off. A symbol without a size ends at the next symbol or with its section. Where one symbol
 * lies within another, an address belongs to the inner one.
 */
#ifndef WHYSCALE_SYMBOL_ELF_TABLE_H
#define WHYSCALE_SYMBOL_ELF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_TABLE_NAME_MAX 4096 /* bytes; a longer name is cut */

struct elf_symbol {
	const char *name; /* belongs to the table */
	uint64_t address; /* as in the file, without the load bias */
	uint64_t size;    /* bytes */
};

struct elf_table {
	struct elf_table_row *rows;
	size_t nr, cap;
	char *names;
	size_t names_len, names_cap;
};

struct elf_table_new {
	const char *name;
	size_t name_len;
	uint64_t address, size;
	uint64_t section_end; /* where it ends at the latest if it has no size */
	unsigned char type;   /* STT_* */
	unsigned char bind;   /* STB_* */
};

/* Adds one; 0, -ENOMEM or, when there are too many, -EFBIG. */
int elf_table_add(struct elf_table *t, const struct elf_table_new *symbol);

/* Call it once, after the last elf_table_add() and before the first look-up. */
void elf_table_sort(struct elf_table *t);

/* The symbol that contains the address; O(log n). */
bool elf_table_at(const struct elf_table *t, uint64_t address, struct elf_symbol *ret_symbol);

/* The first symbol of that name, aliases included; O(n): keep the answer. */
bool elf_table_find(const struct elf_table *t, const char *name, struct elf_symbol *ret_symbol);

void elf_table_free(struct elf_table *t);

#endif
