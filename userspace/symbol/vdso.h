/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code that the kernel maps into every process. No file holds it, but this process has it too: it is that of the recorded ones
 * if the same kernel runs, and if theirs was as long.
 */
#ifndef WHYSCALE_SYMBOL_VDSO_H
#define WHYSCALE_SYMBOL_VDSO_H

#include <stdint.h>

#include "symbol/elf_symbols.h"

/* `kernel`: the recorded uname -r; map_bytes: the length of the recorded mapping. -ENOENT: it is not known to be this one. */
int vdso_open(const char *kernel, uint64_t map_bytes, struct elf_symbols **ret_symbols);

#endif
