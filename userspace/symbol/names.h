/* SPDX-License-Identifier: GPL-2.0-only */
/* Names, each kept once, at an address that stays; and what they are demangled, found out once. A part of frames.c. */
#ifndef WHYSCALE_SYMBOL_NAMES_H
#define WHYSCALE_SYMBOL_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct names_block;

struct name {
	uint64_t hash;
	const char *text;
	const char *demangled; /* NULL: not tried */
};

struct names {
	struct name *slots;         /* hash table; text NULL: free */
	size_t nr, nr_slots;        /* nr_slots is a power of two, or 0 */
	struct names_block *blocks; /* where the bytes are */
};

/* The one copy of the name, which lives as long as `n`; NULL: no memory. */
const char *names_keep(struct names *n, const char *text);

/* The same for what it is demangled, or for itself if it is no mangled name. */
const char *names_demangled(struct names *n, const char *text);

void names_free(struct names *n);

#endif
