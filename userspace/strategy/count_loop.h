/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one loop that every C strategy counts with, and the account that a worker keeps of itself
 * around it.
 */
#ifndef WHYSCALE_STRATEGY_COUNT_LOOP_H
#define WHYSCALE_STRATEGY_COUNT_LOOP_H

#include <stdatomic.h>
#include <stdint.h>

struct strategy_worker;

/* Counts from 0 to n, one turn at a time, and returns what it counted to: n. */
uint64_t count_to(uint64_t n);

/*
 * The work of one worker, in the thread that calls it: counts to `share` and fills all of *ret but
 * the index. Ends early, with less counted, when *stop becomes true (looked at every few
 * milliseconds); stop may be NULL.
 */
void count_worker_run(uint64_t share, const atomic_bool *stop, struct strategy_worker *ret);

#endif
