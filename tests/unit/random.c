// SPDX-License-Identifier: GPL-2.0-only
/* Marsaglia, Xorshift RNGs, 2003: shifts by 13, 7 and 17; xorshift64* is Vigna's, An experimental exploration, 2014. */
#include "random.h"

uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

uint64_t random_number(void)
{
	static uint64_t seed = 88172645463325252ull;

	return random_next(&seed);
}

uint64_t random_below(uint64_t n)
{
	return random_number() % n;
}

uint32_t random_star(uint64_t *seed, uint32_t below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * 2685821657736338717ull) >> 33) % below;
}
