/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that are the same in every run (xorshift). */
#ifndef WHYSCALE_TESTS_RANDOM_H
#define WHYSCALE_TESTS_RANDOM_H

#include <stdint.h>

/* The next of the numbers that begin with *seed, which is not 0. */
uint64_t random_next(uint64_t *seed);

/* Of one sequence for the whole program: the next number, and the next below n. */
uint64_t random_number(void);
uint64_t random_below(uint64_t n);

/* The next of another sequence, xorshift64*, from its high bits: a number of 0 to below - 1. *seed is not 0. */
uint32_t random_star(uint64_t *seed, uint32_t below);

#endif
