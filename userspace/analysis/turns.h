/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From when on each thread did what, as the ledger has it in the end: kept while its intervals come, each thread's in order, and sorted
 * by time once all are there. A turn is where what it does changes; 24 bytes. Beyond TURNS_MAX nothing is kept, and `full` says so.
 */
#ifndef WHYSCALE_ANALYSIS_TURNS_H
#define WHYSCALE_ANALYSIS_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNS_MAX (1u << 22)

struct turn {
	uint64_t time_ns;
	uint32_t came, serial;
	uint8_t doing; /* the caller's */
};

struct turns {
	struct turn *at;
	size_t nr, cap;
	bool full;
};

/* 0 or -ENOMEM. */
int turns_add(struct turns *t, uint64_t time_ns, uint32_t serial, uint8_t doing);

/* By time; of one moment, in the order in which they came. */
void turns_sort(struct turns *t);

void turns_free(struct turns *t);

#endif
