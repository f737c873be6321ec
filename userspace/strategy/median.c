// SPDX-License-Identifier: GPL-2.0-only
/* The median and its interval: see median.h. */
#include "strategy/median.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct estimate median_of(double *value, size_t nr)
{
	struct estimate e = { .nr = (unsigned int)nr };
	double low, high;

	if (!nr)
		return e;
	qsort(value, nr, sizeof(*value), compare);
	e.value = (value[(nr - 1) / 2] + value[nr / 2]) / 2;
	low = floor(((double)nr - 1.96 * sqrt((double)nr)) / 2); /* ranks, from 1 */
	high = ceil(1 + ((double)nr + 1.96 * sqrt((double)nr)) / 2);
	e.low = value[low < 1 ? 0 : (size_t)low - 1];
	e.high = value[high > (double)nr ? nr - 1 : (size_t)high - 1];
	return e;
}
