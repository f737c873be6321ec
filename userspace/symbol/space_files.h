/* SPDX-License-Identifier: GPL-2.0-only */
/* The distinct files that mappings name, each kept once. A part of space.c. */
#ifndef WHYSCALE_SYMBOL_SPACE_FILES_H
#define WHYSCALE_SYMBOL_SPACE_FILES_H

#include "symbol/space.h"

struct space_files {
	struct space_file **files; /* by index */
	size_t nr, cap;
	uint32_t *slots; /* hash table of index + 1; 0: free */
	size_t nr_slots; /* a power of two */
};

/* The index of the file that `m` maps. -ENOMEM. */
int space_files_index(struct space_files *f, const struct mapping *m, uint32_t *ret_index);
void space_files_free(struct space_files *f);

#endif
