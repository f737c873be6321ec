// SPDX-License-Identifier: GPL-2.0-only
/*
 * Burns in functions that the compiler inlines, each at a line that a mark tells ("LINE: name" at its end): main -> outer, which is a
 * function of its own, with both of these inlined into it. "inlined SECONDS"; tests/e2e/flame_inline.sh builds it.
 *
 *   main -> outer -> middle -> innermost   75 %
 *                 -> beside                25 %
 */
#include <stdlib.h>

#include "../work.h"

#define INLINED static inline __attribute__((always_inline))

static volatile uint64_t sink;

INLINED void innermost(uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		sink = sink * 3 + i; /* LINE: innermost */
}

INLINED void middle(uint64_t times)
{
	innermost(3 * times); /* LINE: middle */
}

INLINED void beside(uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		sink = sink * 5 + i; /* LINE: beside */
}

static KEPT void outer(uint64_t times)
{
	middle(times); /* LINE: outer-middle */
	beside(times); /* LINE: outer-beside */
	AND_DONE;
}

int main(int argc, char **argv)
{
	uint64_t end =
		burn_cpu_ns(CLOCK_MONOTONIC) + (uint64_t)((argc > 1 ? atof(argv[1]) : 1) * 1e9);

	while (burn_cpu_ns(CLOCK_MONOTONIC) < end) {
		outer(turns()); /* LINE: main */
		AND_DONE;
	}
	return 0;
}
