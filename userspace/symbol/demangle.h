/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names that programmers wrote from those that linkers see: C++ (Itanium ABI) and Rust (legacy and v0), by libiberty. Short:
 * without parameters and return types, template arguments kept, as perf shows them: `ns::A<int>::f`. What a compiler appends to a
 * part or a copy of a function (".isra.0", ".cold", ".llvm.123") is dropped.
 *
 * A name may be made up to be costly. 2^40 characters fit into 400 ("S1_ is pair<S0_, S0_>"), and libiberty would print them all;
 * its own limits are on depth only. Here a name of more than DEMANGLE_MAX bytes, or one that unfolds to too many parts, is left as
 * it is, and the result is cut at DEMANGLE_MAX bytes.
 */
#ifndef WHYSCALE_SYMBOL_DEMANGLE_H
#define WHYSCALE_SYMBOL_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

#define DEMANGLE_MAX 4096 /* bytes with the 0 */

/* Writes the name as it was written; false: it is that already, or cannot be understood, and ret is as it was. */
bool demangle(const char *name, char ret[DEMANGLE_MAX]);

#endif
