// SPDX-License-Identifier: GPL-2.0-only
/* Which unit, and which function of it, has code at an address: see elf_dwarf.h. */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "symbol/elf_dwarf_internal.h"

#define MAX_SPANS (1u << 24)
#define MAX_DEPTH 64 /* of functions in classes in name spaces */
#define MAX_BACK 4096
#define MAX_UNIT_BYTES (256u << 20)

int dwarf_spans_add(struct elf_dwarf *d, struct dwarf_spans *s, Dwarf_Die *die, uint32_t unit)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while (dwarf_step(d, 1) && s->nr < MAX_SPANS &&
	       (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		/* a function that the linker dropped is left at 0 */
		if (start >= end || !start)
			continue;
		if (vec_room(&s->spans, &s->cap, s->nr + 1))
			return -ENOMEM;
		s->spans[s->nr++] = (struct dwarf_span){
			.start = start, .end = end, .die = dwarf_dieoffset(die), .unit = unit
		};
	}
	return 0;
}

/*
 * Of spans that begin at one address the first in the file is found first (the search goes backwards): a template's instances of which
 * the linker kept one, the first, may all claim its code.
 */
static int by_start(const void *left, const void *right)
{
	const struct dwarf_span *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->die > b->die ? -1 : a->die < b->die;
}

void dwarf_spans_sort(struct dwarf_spans *s)
{
	uint64_t reach = 0;

	if (s->nr)
		qsort(s->spans, s->nr, sizeof(*s->spans), by_start);
	for (size_t i = 0; i < s->nr; i++) {
		reach = s->spans[i].end > reach ? s->spans[i].end : reach;
		s->spans[i].reach = reach;
	}
}

const struct dwarf_span *dwarf_spans_find(struct elf_dwarf *d, const struct dwarf_spans *s,
					  uint64_t address)
{
	size_t low = 0, high = s->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->spans[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (int back = 0; low && back < MAX_BACK && s->spans[low - 1].reach > address; back++) {
		low--;
		if (s->spans[low].end > address)
			return &s->spans[low];
		if (!dwarf_step(d, 1))
			break;
	}
	return NULL;
}

bool dwarf_next(struct elf_dwarf *d, Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die), after;
	Dwarf_Die next;

	if (!dwarf_step(d, 1) || dwarf_siblingof(die, &next))
		return false;
	after = dwarf_dieoffset(&next);
	/* without DW_AT_sibling, libdw has gone through all that lies between */
	if (after <= before || !dwarf_step(d, (after - before) / 16))
		return false;
	*die = next;
	return true;
}

static int add_unit(struct elf_dwarf *d, Dwarf_CU *cu, Dwarf_Die *die)
{
	uint32_t index = (uint32_t)d->nr_units;
	Dwarf_Off after;

	(void)cu;
	if (vec_room(&d->units, &d->cap_units, d->nr_units + 1))
		return -ENOMEM;
	after = dwarf_dieoffset(die) + MAX_UNIT_BYTES;
	d->units[d->nr_units++] = (struct dwarf_unit){ .die = dwarf_dieoffset(die), .end = after };
	return dwarf_spans_add(d, &d->spans, die, index);
}

/* Does the unit hold code? Of split DWARF there is only a skeleton, whose rest libdw would look for at any path it names. */
static bool is_whole(Dwarf_Die *die, uint8_t type)
{
	return (type == DW_UT_compile || type == DW_UT_partial) &&
	       dwarf_tag(die) == DW_TAG_compile_unit && !dwarf_hasattr(die, DW_AT_dwo_name) &&
	       !dwarf_hasattr(die, DW_AT_GNU_dwo_name) && !dwarf_hasattr(die, DW_AT_GNU_dwo_id);
}

static void index_units(struct elf_dwarf *d)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	Dwarf_Die die;
	uint8_t type;

	if (d->indexed)
		return;
	d->indexed = true;
	while (dwarf_step(d, 1) &&
	       !dwarf_get_units(d->dwarf, cu, &cu, &version, &type, &die, NULL)) {
		if (is_whole(&die, type) && add_unit(d, cu, &die))
			break;
	}
	/* units ascend in the file, so each ends where the next one begins at the latest */
	for (size_t i = 0; i + 1 < d->nr_units; i++) {
		if (d->units[i + 1].die < d->units[i].end)
			d->units[i].end = d->units[i + 1].die;
	}
	dwarf_spans_sort(&d->spans);
}

struct dwarf_unit *dwarf_unit_at(struct elf_dwarf *d, uint64_t address)
{
	const struct dwarf_span *span;

	index_units(d);
	span = dwarf_spans_find(d, &d->spans, address);
	return span ? &d->units[span->unit] : NULL;
}

/* Functions within functions are found too (lambdas, nested functions); what is inlined is not looked for here. */
static bool may_hold_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_interface_type:
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
		return true;
	default:
		return false;
	}
}

static int walk(struct elf_dwarf *d, struct dwarf_unit *u, Dwarf_Die *parent, int depth)
{
	Dwarf_Die die;
	int code = 0;

	if (depth > MAX_DEPTH || !dwarf_step(d, 1) || dwarf_child(parent, &die))
		return 0;
	do {
		int tag = dwarf_tag(&die);

		if (dwarf_dieoffset(&die) >= u->end)
			break;
		if (tag == DW_TAG_subprogram)
			code = dwarf_spans_add(d, &u->functions, &die, 0);
		if (!code && may_hold_functions(tag))
			code = walk(d, u, &die, depth + 1);
	} while (!code && dwarf_next(d, &die));
	return code;
}

const struct dwarf_span *dwarf_function_at(struct elf_dwarf *d, struct dwarf_unit *unit,
					   uint64_t address)
{
	Dwarf_Die die;

	if (!unit->walked) {
		unit->walked = true;
		if (dwarf_offdie(d->dwarf, unit->die, &die))
			walk(d, unit, &die, 0);
		dwarf_spans_sort(&unit->functions);
	}
	return dwarf_spans_find(d, &unit->functions, address);
}
