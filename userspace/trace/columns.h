/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns the records of one chunk into columns and back (format.h draws them).
 *
 * Why columns: a field stands beside the same field of the record before, and its high bytes, which hardly change, beside
 * one another. Measured with a prototype on 2 M made-up events, one stream like `perf bench sched pipe` and one of 800 threads
 * that wake one another at random; bytes an event, ns an event to pack, ns to unpack, one core of a Xeon VM:
 *
 *   chunks of 256 KiB              pipe: level 1        level 3          messaging: level 1    level 3
 *   records as they are, delta     5.4  54 ns  26 ns    5.6  71  29      9.8  95  36          9.8  124  37
 *   columns by word                4.8  57 ns  26 ns    5.4  69  24      8.9  83  28          8.6  113  32
 *   ... and by byte                1.8  26 ns  15 ns    1.7  26  15      7.7  54  26          7.5   81  25
 *   columns by kind and word       3.5  46 ns  22 ns    4.6  67  23      8.2  79  32          8.3  107  32
 *   ... and by byte (this)         1.7  26 ns  15 ns    1.7  25  14      6.0  42  23          6.0   45  21
 *
 * Chunks of 1 MiB save 0.3 to 0.5 bytes more, and cost each CPU four times the memory. What writer and reader cost
 * as they are now: tests/bench/bench_trace.c.
 */
#ifndef WHYSCALE_TRACE_COLUMNS_H
#define WHYSCALE_TRACE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"

/* Column kind * EV_WORDS_NR + k holds word k of that kind's records; column 0 the word 0 of all. */
#define EV_WORDS_NR (1u << EV_WORDS_BITS)
#define COLUMNS_NR (EV_WORDS_NR << EV_KIND_BITS)
#define COLUMNS_HEADER 8 /* bytes: the number of records */

struct columns {
	uint64_t *words; /* the columns, one behind the other */
	size_t cap_words;
	size_t nr_words;
	size_t nr_records;
	size_t count[COLUMNS_NR]; /* words in each */
	uint64_t *at[COLUMNS_NR]; /* the next word of each */
};

/* The full time of a record whose lower bits are `time`, near a moment that is known: less than 2^47 ns away. */
uint64_t columns_full_time(uint64_t near_ns, uint64_t time);

/*
 * Packs nr_words words of whole records, at least one, into out, which has room for COLUMNS_HEADER + 8 * nr_words bytes. near_ns: as in
 * columns_full_time(), moved on to the newest record's full time; ret_first_ns: the first one's. 0 or -ENOMEM.
 */
int columns_pack(struct columns *c, const uint64_t *records, size_t nr_words, uint64_t *near_ns,
		 uint64_t *ret_first_ns, uint8_t *out);

/*
 * Takes a chunk's raw bytes apart: nr_records and nr_words are then known. -EBADMSG: they cannot be columns (then
 * nothing is to be read), or -ENOMEM.
 */
int columns_unpack(struct columns *c, const uint8_t *raw, size_t raw_bytes);

/* Where records go, each with its full time in front. */
struct columns_out {
	uint64_t *at;       /* room for nr_words + nr_records words; moved on */
	uint64_t newest_ns; /* the highest time so far, also of earlier chunks */
	bool unsorted;      /* set when a record is older than newest_ns */
};

/*
 * Puts the records together again, once, after columns_unpack(). A kind that min_words (by kind) has as 0 is left out; a record
 * shorter than that, or with an impossible time, ends it: false.
 */
bool columns_records(struct columns *c, uint64_t first_ns, const uint8_t *min_words,
		     struct columns_out *out);

void columns_release(struct columns *c);

#endif
