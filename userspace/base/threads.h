/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of the whole system. */
#ifndef WHYSCALE_BASE_THREADS_H
#define WHYSCALE_BASE_THREADS_H

#include <stdint.h>

/* How many there are now; 0 if /proc does not tell. */
uint64_t threads_now(void);

#endif
