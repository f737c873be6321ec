/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inlined functions and source lines of an ELF object, from the DWARF in it, in its separate debug file (elf_debug.h) and in the file
 * that dwz has moved common parts to (.gnu_debugaltlink), by libdw.
 *
 *   address --bisect--> compilation unit --bisect--> function (DW_TAG_subprogram) --walk--> its inlined functions
 *              by the units' ranges,      by the functions' ranges, found when           (DW_TAG_inlined_subroutine)
 *              read at the first question the unit is first met
 *
 * The file is untrusted. libdw checks bounds, but counts nothing: so sections that unpack to more than MAX_RATIO times the file, units
 * and line tables beyond any compiler's, and walks that go backwards are refused here, and all steps are counted: when a file has
 * cost too many, its answers end, which elf_dwarf_tired() says.
 */
#ifndef WHYSCALE_SYMBOL_ELF_DWARF_H
#define WHYSCALE_SYMBOL_ELF_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_symbols.h"

struct elf_dwarf;

struct elf_dwarf_frame {
	const char *
		name; /* as the linker sees it if DWARF tells that, else the plain one; NULL: it has none */
	const char *file; /* of the instruction; of the call, if a frame follows; NULL: unknown */
	int line;         /* in the file; 0: unknown */
};

/* Reads the object's DWARF into memory. -ENOENT: it has none that can be used; -ENODATA: parts are in a file of dwz's that is not there;
 * -ENOMEM; -ESTALE: the file is no longer the same. */
int elf_dwarf_open(const struct elf_symbols *symbols, struct elf_dwarf **ret_dwarf);
void elf_dwarf_close(struct elf_dwarf *d);

/*
 * The function at an address (of the file, without the load bias) and what is inlined there, outermost first; returns how many, at
 * most `max`; 0: unknown. With `lines` also the line of the instruction itself. Strings live as long as `d`.
 */
size_t elf_dwarf_at(struct elf_dwarf *d, uint64_t address, bool lines, struct elf_dwarf_frame *ret,
		    size_t max);

/* Was it given up, because the file's DWARF is made up, or larger than what is worth reading? */
bool elf_dwarf_tired(const struct elf_dwarf *d);

#endif
