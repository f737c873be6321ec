/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads on given CPUs, for measuring. */
#ifndef WHYSCALE_STRATEGY_PINNED_H
#define WHYSCALE_STRATEGY_PINNED_H

#define PINNED_MAX_CPUS 8192

/* Puts the calling thread on one CPU. 0 or a positive errno, as pthread_setaffinity_np() has it. */
int pinned_to(int cpu);

#endif
