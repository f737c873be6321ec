/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the symbol sections of an ELF file. A part of elf_symbols.c. */
#ifndef WHYSCALE_SYMBOL_ELF_LOAD_H
#define WHYSCALE_SYMBOL_ELF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "symbol/elf_image.h"
#include "symbol/elf_table.h"

struct elf_load {
	struct elf_table *functions, *objects; /* where the symbols are added */
	uint64_t file_bytes;                   /* the names' bytes are bounded by it */
};

/* Adds the symbols of the first section of `type` (SHT_SYMTAB, SHT_DYNSYM) that can be read; true: there is one. */
bool elf_load_section(struct elf_load *l, const struct elf_image *image, uint32_t type);

#endif
