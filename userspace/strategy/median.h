/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The median of repeated measurements, with a confidence interval that assumes no distribution: times have long tails, and a
 * mean with its standard error would be about the worst of them.
 *
 * Of n values in order, the true median lies between the values of rank (n - 1.96 sqrt n) / 2 and 1 + (n + 1.96 sqrt n) / 2 with a
 * probability of 95 % (Conover, "Practical Nonparametric Statistics", 3rd edition, 1999, section 3.2; Le Boudec, "Performance
 * Evaluation of Computer and Communication Systems", 2010, theorem 2.1). Of fewer than 6 values it is the smallest and largest.
 */
#ifndef WHYSCALE_STRATEGY_MEDIAN_H
#define WHYSCALE_STRATEGY_MEDIAN_H

#include <stdbool.h>
#include <stddef.h>

struct estimate {
	double value, low, high; /* the median, its interval of 95 %; all 0 when not known */
	unsigned int nr;         /* measurements; 0: not known */
};

/* Sorts the values. */
struct estimate median_of(double *value, size_t nr);

#endif
