/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An account of locks as text, a line each:
 *
 *   mutex 4096 500 in 1, longest 500, woken 1, running 290 preempted 60; A 500/1; owner B 500; because A oncpu 290, B sleep 100
 *
 * kind, address, ns in waits, ..., what the holder did; the waiters with ns/waits; the holders and how they are known; with `because`,
 * whose state cost the time. Threads are letters, A has the serial 1.
 */
#ifndef WHYSCALE_TESTS_LOCK_SHOW_H
#define WHYSCALE_TESTS_LOCK_SHOW_H

#include "analysis/locks.h"

/* The caller's to free. */
char *lock_show(const struct locks *k, bool because);

#endif
