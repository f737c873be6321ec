/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds the records of every CPU and lets them go in the order of time.
 *
 *   cpu 0  | gone |t rec|t rec|t rec|  free  |     each record with its full time in front
 *                  ^pos               ^end
 *   cpu 1  | gone |t rec|  free       |
 *
 * A CPU's records are nearly in order already (a program that interrupts another reserves its record first or last): a
 * CPU is sorted, stably, only when a record was found out of order. Then a heap of the CPUs' heads says whose turn
 * it is, and that CPU runs on until the next head's time.
 */
#ifndef WHYSCALE_TRACE_MERGE_H
#define WHYSCALE_TRACE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/columns.h"
#include "trace/reader.h"

struct held {
	uint64_t *words;
	size_t pos, end, cap; /* in words */
	uint64_t newest_ns;
	bool unsorted;
};

struct merge_head {
	uint64_t time_ns;
	unsigned int cpu;
};

/* A record where it is sorted. */
struct merge_entry {
	uint64_t time_ns;
	size_t at; /* in held.words */
};

struct merge {
	struct held *cpus;
	unsigned int nr_cpus; /* there is a struct held for; grows */
	struct merge_head *heap;
	unsigned int nr_heads;
	struct merge_entry *entries; /* for sorting: this, and a CPU's words anew */
	uint64_t *spare;
	size_t cap_entries, cap_spare;
	size_t held_words; /* of all CPUs */
	uint64_t last_ns;  /* of the last event given out */
	uint64_t events, late;
};

/* Adds what is in c to what is held of a CPU. 0; -EBADMSG: cut at a malformed record; -ENOMEM. */
int merge_add(struct merge *m, unsigned int cpu, struct columns *c, uint64_t first_ns,
	      const uint8_t *min_words);

/* Gives out all events older than before_ns. Returns fn's result if not 0, or -ENOMEM. */
int merge_release(struct merge *m, uint64_t before_ns, trace_event_fn fn, void *arg);

/* Forgets everything held and counted, keeps the memory. */
void merge_reset(struct merge *m);

void merge_free(struct merge *m);

#endif
