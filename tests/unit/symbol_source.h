/* SPDX-License-Identifier: GPL-2.0-only */
/* Small programs that the tests of DWARF compile. */
#ifndef WHYSCALE_TESTS_SYMBOL_SOURCE_H
#define WHYSCALE_TESTS_SYMBOL_SOURCE_H

#include <stdbool.h>

#include "symbol/elf_symbols.h"

/* C: level3 is called twice from level2, that from level1, that from outer, all inlined into it. */
extern const char source_chain[];

/* Writes a file in a directory. */
void source_write(const char *dir, const char *name, const char *text);

/* Is there such a program on this machine? */
bool source_have(const char *program);

/* Builds dir/NAME from a C++ program with many inlined templates. */
void source_build_cpp(const char *dir, const char *flags, const char *name);

/* The executable bytes of a file: its widest executable segment. */
const struct elf_segment *source_code(const struct elf_symbols *s);

#endif
