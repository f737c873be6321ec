// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sorted symbols: see elf_table.h.
 *
 *   rows, by address, then the best name first:   A  A' A"  B  C  D  ...      ' : an alias, its `up` is the row A
 *                                                 ^---------+  |               C lies within A: its `up` is A
 *                                                 ^------------+
 *
 * A look-up bisects for the last row that begins at or before the address, and goes `up` until a row contains it.
 */
#include "symbol/elf_table.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define NONE UINT32_MAX
#define MAX_ROWS (1u << 24)
#define MAX_UP 64 /* steps; only a made-up file nests deeper */

/* Row.rank, the smaller the better; the order of elf_table.h. */
#define RANK_NOTYPE (1u << 17)
#define RANK_NOSIZE (1u << 16)
#define RANK_LOCAL (1u << 15)
#define RANK_UNDERSCORE_SHIFT 8
#define RANK_UNDERSCORES 0x7f
#define RANK_WEAK (1u << 1)
#define RANK_DOT 1u

struct elf_table_row {
	uint64_t address, size;
	uint32_t name; /* offset in names */
	uint32_t rank;
	uint32_t up; /* index of the row to try next, or NONE */
	bool alias;  /* only to be found by name */
};

static uint32_t rank_of(const struct elf_table_new *n, size_t name_len)
{
	size_t underscores = strspn(n->name, "_");

	if (underscores == 1 && (n->name[1] == 'Z' || n->name[1] == 'R'))
		underscores = 0;
	if (underscores > RANK_UNDERSCORES)
		underscores = RANK_UNDERSCORES;
	return (n->type == STT_NOTYPE ? RANK_NOTYPE : 0) | (n->size ? 0 : RANK_NOSIZE) |
	       (n->bind == STB_LOCAL ? RANK_LOCAL : 0) |
	       (uint32_t)underscores << RANK_UNDERSCORE_SHIFT |
	       (n->bind == STB_WEAK ? RANK_WEAK : 0) |
	       (memchr(n->name, '.', name_len) ? RANK_DOT : 0);
}

int elf_table_add(struct elf_table *t, const struct elf_table_new *n)
{
	const char *version = memchr(n->name, '@', n->name_len);
	size_t len = version && version != n->name ? (size_t)(version - n->name) : n->name_len;
	uint64_t size = n->size;

	if (len > ELF_TABLE_NAME_MAX)
		len = ELF_TABLE_NAME_MAX;
	if (t->nr >= MAX_ROWS || t->names_len + len + 1 > UINT32_MAX)
		return -EFBIG;
	if (vec_room(&t->rows, &t->cap, t->nr + 1) ||
	    vec_room(&t->names, &t->names_cap, t->names_len + len + 1))
		return -ENOMEM;
	if (!size && n->section_end > n->address)
		size = n->section_end - n->address;
	t->rows[t->nr++] = (struct elf_table_row){
		.address = n->address,
		.size = size,
		.name = (uint32_t)t->names_len,
		.rank = rank_of(n, len),
		.up = NONE,
	};
	memcpy(t->names + t->names_len, n->name, len);
	t->names[t->names_len + len] = '\0';
	t->names_len += len + 1;
	return 0;
}

static int compare(const void *left, const void *right, void *names)
{
	const struct elf_table_row *a = left, *b = right;
	const char *name_a = (char *)names + a->name, *name_b = (char *)names + b->name;
	size_t len_a, len_b;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	len_a = strlen(name_a);
	len_b = strlen(name_b);
	if (len_a != len_b)
		return len_a < len_b ? -1 : 1;
	return strcmp(name_a, name_b);
}

/* A symbol without a size ends where the next one begins. */
static void end_at_next(struct elf_table *t)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = t->nr; i-- > 0;) {
		struct elf_table_row *row = &t->rows[i];

		if ((row->rank & RANK_NOSIZE) && next - row->address < row->size)
			row->size = next - row->address;
		if (!i || t->rows[i - 1].address != row->address)
			next = row->address;
	}
}

static uint64_t end_of(const struct elf_table_row *row)
{
	return row->address + row->size < row->address ? UINT64_MAX : row->address + row->size;
}

/* Follows the rows from left to right; `top` is the innermost row that has not ended, the rows around it are up from there. */
static void link_up(struct elf_table *t)
{
	uint32_t top = NONE, head = NONE;

	for (uint32_t i = 0; i < t->nr; i++) {
		struct elf_table_row *row = &t->rows[i];

		if (head != NONE && t->rows[head].address == row->address) {
			row->alias = true;
			row->up = head;
			continue;
		}
		while (top != NONE && end_of(&t->rows[top]) <= row->address)
			top = t->rows[top].up;
		row->up = top;
		/* A label within a function, not a symbol of its own. */
		row->alias = (row->rank & RANK_NOSIZE) && top != NONE &&
			     !(t->rows[top].rank & RANK_NOSIZE);
		if (!row->alias)
			top = head = i;
	}
}

void elf_table_sort(struct elf_table *t)
{
	if (t->nr)
		qsort_r(t->rows, t->nr, sizeof(*t->rows), compare, t->names);
	end_at_next(t);
	link_up(t);
}

static void give(const struct elf_table *t, const struct elf_table_row *row, struct elf_symbol *ret)
{
	*ret = (struct elf_symbol){ .name = t->names + row->name,
				    .address = row->address,
				    .size = row->size };
}

bool elf_table_at(const struct elf_table *t, uint64_t address, struct elf_symbol *ret_symbol)
{
	size_t low = 0, high = t->nr;
	uint32_t i;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->rows[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	i = low ? (uint32_t)(low - 1) : NONE;
	for (int step = 0; i != NONE && step < MAX_UP; step++) {
		const struct elf_table_row *row = &t->rows[i];

		if (!row->alias && address - row->address < row->size) {
			give(t, row, ret_symbol);
			return true;
		}
		i = row->up;
	}
	return false;
}

bool elf_table_find(const struct elf_table *t, const char *name, struct elf_symbol *ret_symbol)
{
	for (size_t i = 0; i < t->nr; i++) {
		if (strcmp(t->names + t->rows[i].name, name))
			continue;
		give(t, &t->rows[i], ret_symbol);
		return true;
	}
	return false;
}

void elf_table_free(struct elf_table *t)
{
	free(t->rows);
	free(t->names);
	*t = (struct elf_table){ 0 };
}
