/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The address spaces of all processes over time: which mapping was at an address then. Fed with what base/mapping.h describes, in
 * any order; feeding and asking may alternate. A process's life is cut into epochs: it begins anew at an EXEC, and at a FORK of its
 * tgid (which may have belonged to another process before).
 */
#ifndef WHYSCALE_SYMBOL_SPACE_H
#define WHYSCALE_SYMBOL_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mapping.h"

struct space;

/* A file that is mapped somewhere; each distinct one once. */
struct space_file {
	uint32_t index; /* 0, 1, ...: below space_nr_files() */
	uint32_t dev_major, dev_minor;
	uint64_t inode; /* with dev 0: unknown, or no file */
	uint32_t build_id_len;
	uint8_t build_id[MAPPING_BUILD_ID_MAX];
	const char *path; /* as the kernel names it; never NULL */
};

struct space_mapping {
	uint64_t time_ns; /* when it was made */
	uint64_t start, end, offset;
	uint32_t prot;
	bool shared;
	const struct space_file *file; /* lives as long as the space */
};

/* The caller frees it. -ENOMEM. */
int space_new(struct space **ret_space);
void space_free(struct space *s);

/* Adds one record; nothing of it is kept by reference. -EINVAL: it makes no sense, is ignored and counted. -ENOMEM. */
int space_add(struct space *s, const struct mapping *m);

/*
 * The mapping at that address of that process at that time: of those added until then, since its program began (EXEC, FORK), the
 * latest that contains the address; else what its parent had there at the FORK. False: none is known. O(log^2 n) in the records of
 * the process, the first question after a change O(n log n).
 */
bool space_find(struct space *s, uint32_t tgid, uint64_t time_ns, uint64_t address,
		struct space_mapping *ret_mapping);

/* When the program that the process ran at that time began (its EXEC or FORK); 0: before what is known of it. */
uint64_t space_began(struct space *s, uint32_t tgid, uint64_t time_ns);

size_t space_nr_files(const struct space *s);

/* How many records made no sense. */
uint64_t space_rejected(const struct space *s);

#endif
