/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers as people read them. Each writes into `buf` and returns it; UNITS_SIZE bytes are enough for all of them. */
#ifndef WHYSCALE_REPORT_UNITS_H
#define WHYSCALE_REPORT_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_SIZE 32

/* "1.234 s", "12.3 ms", "1.23 us", "789 ns": three digits, from a second on three after the point. */
const char *units_time(char *buf, uint64_t ns);

/* "45.2 %", "0.04 %", "<0.01 %"; "0 %" and "100 %" only when exactly so; "-" of nothing. */
const char *units_percent(char *buf, uint64_t part, uint64_t whole);

/* "512 B", "1.2 kB", "34.5 MB": powers of 1000. */
const char *units_bytes(char *buf, uint64_t bytes);

/* One unit for the times of a whole table, so that the columns compare. */
struct units_scale {
	const char *name; /* "s", "ms", "us" */
	double ns;        /* of one unit */
	int decimals;
};

/* The unit in which the largest time of a table has at most four digits before the point, where that can be. */
struct units_scale units_scale(uint64_t largest_ns);

/* A time in that unit, without its name; "-" for exactly 0, so that a wait that was short differs from none. */
const char *units_scaled(char *buf, const struct units_scale *scale, uint64_t ns);

/* "2,000,000,000". */
const char *units_grouped(char *buf, uint64_t value);

/* CPUs as the kernel lists them, "0-3,8", from the bits of `words` 64-bit words; cut with "..." to `size` bytes. */
const char *units_cpus(char *buf, size_t size, const uint64_t *bits, size_t words);

/* "1 thread", "2 threads". */
const char *units_count(char *buf, size_t size, uint64_t nr, const char *one);

#endif
