/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of a flame tree: each kept once, numbered from 0 in the order of first use.
 *
 *   bytes   main\0work\0a\0...         slots   open addressing: number + 1, and 32 bits of the name's hash
 *   start   0    5     10 12           start[n + 1] - start[n] - 1 is the length of name n
 *
 * Names come from anybody's file: a random seed, so that no file can be made to collide.
 */
#ifndef WHYSCALE_ANALYSIS_FLAME_NAMES_H
#define WHYSCALE_ANALYSIS_FLAME_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define FLAME_NAMES_MAX (1u << 28)

struct flame_name_slot {
	uint32_t number; /* + 1; 0: free */
	uint32_t hash;
};

/* All zeros but for the seed is empty. */
struct flame_names {
	char *bytes;
	size_t used, room;
	uint64_t *start;
	size_t start_room;
	uint32_t nr;
	struct flame_name_slot *slots;
	size_t size; /* 0 or a power of two */
	uint64_t seed;
};

/* The number of a name, made if it is new. -ENOMEM. */
int flame_names_number(struct flame_names *n, const char *name, size_t len, uint32_t *ret_number);

/* rank[number] is its place in the order of all names (bytes compared). The caller's to free; NULL when out of memory. */
uint32_t *flame_names_rank(const struct flame_names *n);

void flame_names_free(struct flame_names *n);

#endif
