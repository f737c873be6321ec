/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a clock in nanoseconds. */
#ifndef WHYSCALE_STRATEGY_CLOCK_H
#define WHYSCALE_STRATEGY_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The clock's time in nanoseconds; -1 where the clock does not exist. */
static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
