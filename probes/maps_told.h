/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the trace has been told of a process's addresses: ranges, sorted and disjoint, and what each is as one number. For
 * probes/maps_keep.c only, which draws it. A fork shares its parent's until one of the two changes.
 */
#ifndef WHYSCALE_PROBES_MAPS_TOLD_H
#define WHYSCALE_PROBES_MAPS_TOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/mapping.h"

/* What a range is: two bits, and above them which file at which distance, or ANONYMOUS. 0: nothing with a name. */
#define WHAT_CODE 1ull
#define WHAT_DATA 2ull /* a file's writable pages */
#define WHAT_FLAGS 3ull
#define ANONYMOUS 4ull

/* What was told of a range, where that is to be told again. */
struct words {
	unsigned int refs;
	struct mapping m; /* its path is `path` */
	char path[];
};

struct range {
	uint64_t start, end, what;
	struct words *words; /* NULL: it need not be told again */
};

struct told {
	unsigned int refs;
	struct range *ranges;
	size_t nr, cap;
};

/* NULL when out of memory. */
struct words *words_new(const struct mapping *m);

/* Lets go of it: *t is NULL then. */
void told_put(struct told **t);

/* Makes it an own one, with room for two ranges more; *t may be NULL. NULL when out of memory. */
struct told *told_own(struct told **t);

/* The first range that ends behind an address; t may be NULL. */
size_t told_find(const struct told *t, uint64_t addr);

/* Replaces what is told of start..end; what == 0: by nothing. There is room. `words` is taken over. */
void told_set(struct told *t, uint64_t start, uint64_t end, uint64_t what, struct words *words);

/* How many bytes of start..end are told to be `what`, and how many have another name. */
struct overlap {
	uint64_t same, other;
};
struct overlap told_overlap(const struct told *t, uint64_t start, uint64_t end, uint64_t what);

/* Calls fn with each range that can be told again, as a mapping of tgid at time 0, up to one for which it does not return 0: that is returned. */
int told_each(const struct told *t, uint32_t tgid, int (*fn)(void *arg, const struct mapping *m),
	      void *arg);

#endif
