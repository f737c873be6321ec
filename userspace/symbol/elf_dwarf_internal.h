/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by elf_dwarf*.c only: the index of a file's units and functions, and the count of steps. */
#ifndef WHYSCALE_SYMBOL_ELF_DWARF_INTERNAL_H
#define WHYSCALE_SYMBOL_ELF_DWARF_INTERNAL_H

#include <elfutils/libdw.h>

#include "symbol/elf_dwarf.h"
#include "symbol/elf_image.h"

/* Addresses that belong to a unit, or to a function of one. */
struct dwarf_span {
	uint64_t start, end;
	uint64_t reach; /* the highest end of this span and those before it */
	Dwarf_Off die;
	uint32_t unit; /* index */
};

struct dwarf_spans {
	struct dwarf_span *spans; /* by start */
	size_t nr, cap;
};

struct dwarf_unit {
	Dwarf_Off die;
	Dwarf_Off end; /* of the unit, in .debug_info */
	bool walked, lines_checked, lines_usable;
	struct dwarf_spans functions;
};

struct elf_dwarf {
	struct elf_image image, alt; /* alt.elf NULL: there is none */
	Dwarf *dwarf, *alt_dwarf;
	uint64_t steps; /* left */
	bool indexed;
	struct dwarf_unit *units;
	size_t nr_units, cap_units;
	struct dwarf_spans spans; /* of the units */
};

/* Takes n steps; false: there are none left. */
static inline bool dwarf_step(struct elf_dwarf *d, uint64_t n)
{
	d->steps -= n < d->steps ? n : d->steps;
	return d->steps > 0;
}

/* Adds the addresses of a DIE. -ENOMEM. */
int dwarf_spans_add(struct elf_dwarf *d, struct dwarf_spans *s, Dwarf_Die *die, uint32_t unit);
void dwarf_spans_sort(struct dwarf_spans *s);

/* The last span that contains the address: the innermost, where one lies within another. NULL: none. */
const struct dwarf_span *dwarf_spans_find(struct elf_dwarf *d, const struct dwarf_spans *s,
					  uint64_t address);

/* The unit that has code at an address, NULL: none; and the span of its function there, NULL: none. */
struct dwarf_unit *dwarf_unit_at(struct elf_dwarf *d, uint64_t address);
const struct dwarf_span *dwarf_function_at(struct elf_dwarf *d, struct dwarf_unit *unit,
					   uint64_t address);

/* The next DIE beside this one; false: none, or it leads backwards, or there are no steps left. */
bool dwarf_next(struct elf_dwarf *d, Dwarf_Die *die);

#endif
