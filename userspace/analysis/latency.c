// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run-queue latency: a histogram by powers of two, each in 16 equal parts (as HdrHistogram does), in constant memory.
 */
#include "analysis/ledger_impl.h"

#define PARTS_BITS 4
#define PARTS (1u << PARTS_BITS)

/* Index into `fine`: the bucket is the highest bit, the part the four bits below it. */
static unsigned int fine_index(uint64_t ns)
{
	unsigned int bucket = ns < 2 ? 0 : 63 - (unsigned int)__builtin_clzll(ns);
	uint64_t below;

	if (bucket >= LATENCY_BUCKETS)
		return LATENCY_BUCKETS * PARTS - 1;
	below = bucket ? ns - (1ull << bucket) : 0;
	if (bucket >= PARTS_BITS)
		return bucket * PARTS + (unsigned int)(below >> (bucket - PARTS_BITS));
	return bucket * PARTS + (unsigned int)(below << (PARTS_BITS - bucket));
}

/* The largest value that falls into a part. */
static uint64_t fine_edge(unsigned int index)
{
	unsigned int bucket = index / PARTS;
	uint64_t width = 1ull << bucket;
	uint64_t end = (index % PARTS + 1) * width;

	return width + (end + PARTS - 1) / PARTS - 1;
}

void latency_add(struct latency *lat, uint64_t ns)
{
	unsigned int i = fine_index(ns);

	lat->count++;
	lat->total_ns += ns;
	if (ns > lat->max_ns)
		lat->max_ns = ns;
	lat->bucket[i / PARTS]++;
	lat->fine[i]++;
}

uint64_t latency_percentile(const struct latency *lat, double p)
{
	double wanted = p * (double)lat->count;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS * PARTS; i++) {
		seen += lat->fine[i];
		if (seen && (double)seen >= wanted && i < LATENCY_BUCKETS * PARTS - 1)
			return fine_edge(i) < lat->max_ns ? fine_edge(i) : lat->max_ns;
	}
	return lat->max_ns;
}

const struct latency *ledger_latency(const struct ledger *l, bool after_wakeup)
{
	return &l->latency[after_wakeup];
}
