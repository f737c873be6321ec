// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records to columns and back: see columns.h.
 *
 * The number of words in each column follows from the word 0s alone, so unpacking counts first, checks the sum
 * against the bytes that are there, and from then on no index can run out of its column.
 */
#include "trace/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOW_MASK ((1ull << EV_TIME_SHIFT) - 1)
#define PLANES sizeof(uint64_t)

static unsigned int column_of(unsigned int kind, unsigned int word)
{
	return kind * EV_WORDS_NR + word;
}

uint64_t columns_full_time(uint64_t near_ns, uint64_t time)
{
	int64_t diff = (int64_t)((time - near_ns) << EV_TIME_SHIFT) >> EV_TIME_SHIFT;
	uint64_t full = near_ns + (uint64_t)diff;

	return (int64_t)full < 0 ? full + (1ull << EV_TIME_BITS) : full;
}

static uint64_t zigzag(uint64_t diff)
{
	int64_t d = (int64_t)(diff << EV_TIME_SHIFT) >> EV_TIME_SHIFT;

	return (uint64_t)d << 1 ^ (uint64_t)(d >> 63);
}

static uint64_t unzigzag(uint64_t z)
{
	return z >> 1 ^ -(z & 1);
}

/* Exchanges what lies off the diagonal of an 8 x 8 matrix of bytes (Hacker's Delight, 7-3, for bytes). */
static void transpose_bytes(uint64_t m[8])
{
	static const uint64_t mask[3] = { 0x00ff00ff00ff00ffull, 0x0000ffff0000ffffull,
					  0x00000000ffffffffull };

	for (unsigned int step = 0; step < 3; step++) {
		unsigned int dist = 1u << step, bits = 8u << step;

		for (unsigned int i = 0; i < 8; i = (i + dist + 1) & ~dist) {
			uint64_t t = (m[i] >> bits ^ m[i + dist]) & mask[step];

			m[i + dist] ^= t;
			m[i] ^= t << bits;
		}
	}
}

/* n words to n lowest bytes, n next ones ... */
static void bytes_apart(const uint64_t *words, size_t n, uint8_t *out)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t m[8];

		memcpy(m, words + i, sizeof(m));
		transpose_bytes(m);
		for (unsigned int b = 0; b < PLANES; b++)
			memcpy(out + b * n + i, &m[b], 8);
	}
	for (; i < n; i++)
		for (unsigned int b = 0; b < PLANES; b++)
			out[b * n + i] = (uint8_t)(words[i] >> 8 * b);
}

static void bytes_together(const uint8_t *in, size_t n, uint64_t *words)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t m[8];

		for (unsigned int b = 0; b < PLANES; b++)
			memcpy(&m[b], in + b * n + i, 8);
		transpose_bytes(m);
		memcpy(words + i, m, sizeof(m));
	}
	for (; i < n; i++) {
		words[i] = 0;
		for (unsigned int b = 0; b < PLANES; b++)
			words[i] |= (uint64_t)in[b * n + i] << 8 * b;
	}
}

static int columns_room(struct columns *c, size_t nr_words)
{
	uint64_t *words;

	if (c->words && nr_words <= c->cap_words)
		return 0;
	words = realloc(c->words, (nr_words + 1) * sizeof(*words));
	if (!words)
		return -ENOMEM;
	c->words = words;
	c->cap_words = nr_words;
	return 0;
}

/* From how many records there are of each kind and size, the columns' lengths and places. */
static void columns_lay_out(struct columns *c, const size_t *shapes)
{
	memset(c->count, 0, sizeof(c->count));
	c->nr_words = 0;
	c->nr_records = 0;
	for (unsigned int shape = 0; shape < COLUMNS_NR; shape++) {
		unsigned int kind = shape & ((1u << EV_KIND_BITS) - 1),
			     words = shape >> EV_KIND_BITS;

		if (!shapes[shape])
			continue;
		c->nr_records += shapes[shape];
		c->nr_words += shapes[shape] * words;
		for (unsigned int k = 1; k < words; k++)
			c->count[column_of(kind, k)] += shapes[shape];
	}
	c->count[0] = c->nr_records;
}

/* The kind and the size of a record as one number. */
static unsigned int shape_of(uint64_t w0)
{
	return w0 >> EV_KIND_SHIFT & (COLUMNS_NR - 1);
}

static void columns_rewind(struct columns *c)
{
	uint64_t *at = c->words;

	for (unsigned int i = 0; i < COLUMNS_NR; i++) {
		c->at[i] = at;
		at += c->count[i];
	}
}

/* Each word into its column. Returns the first record's full time. */
static uint64_t columns_fill(struct columns *c, const uint64_t *records, size_t nr_words,
			     uint64_t *near_ns)
{
	uint64_t first = columns_full_time(*near_ns, EV_TIME(records[0])), before = first;

	for (size_t i = 0; i < nr_words;) {
		uint64_t w0 = records[i], now = columns_full_time(before, EV_TIME(w0));
		unsigned int words = EV_WORDS(w0);
		uint64_t **at = c->at + column_of(EV_KIND(w0), 0);

		*c->at[0]++ = zigzag(now - before) << EV_TIME_SHIFT | (w0 & LOW_MASK);
		for (unsigned int k = 1; k < words; k++)
			*at[k]++ = records[i + k];
		before = now;
		if (now > *near_ns)
			*near_ns = now;
		i += words;
	}
	return first;
}

int columns_pack(struct columns *c, const uint64_t *records, size_t nr_words, uint64_t *near_ns,
		 uint64_t *ret_first_ns, uint8_t *out)
{
	size_t shapes[COLUMNS_NR] = { 0 };
	uint64_t nr;

	if (columns_room(c, nr_words))
		return -ENOMEM;
	for (size_t i = 0; i < nr_words; i += EV_WORDS(records[i]))
		shapes[shape_of(records[i])]++;
	columns_lay_out(c, shapes);
	columns_rewind(c);
	*ret_first_ns = columns_fill(c, records, nr_words, near_ns);
	nr = c->nr_records;
	memcpy(out, &nr, COLUMNS_HEADER);
	out += COLUMNS_HEADER;
	columns_rewind(c);
	for (unsigned int i = 0; i < COLUMNS_NR; i++) {
		bytes_apart(c->at[i], c->count[i], out);
		out += c->count[i] * PLANES;
	}
	return 0;
}

/* Counts the records of each shape; false when one has no words. */
static bool count_shapes(const uint64_t *w0s, size_t nr, size_t *shapes)
{
	size_t empty = 0;

	for (size_t i = 0; i < nr; i++)
		shapes[shape_of(w0s[i])]++;
	for (unsigned int kind = 0; kind < 1u << EV_KIND_BITS; kind++)
		empty += shapes[kind];
	return !empty;
}

int columns_unpack(struct columns *c, const uint8_t *raw, size_t raw_bytes)
{
	size_t shapes[COLUMNS_NR] = { 0 };
	size_t nr_words = raw_bytes / PLANES - 1;
	uint64_t nr;

	if (raw_bytes < COLUMNS_HEADER || raw_bytes % PLANES)
		return -EBADMSG;
	memcpy(&nr, raw, sizeof(nr));
	if (nr > nr_words)
		return -EBADMSG;
	if (columns_room(c, nr_words))
		return -ENOMEM;
	raw += COLUMNS_HEADER;
	bytes_together(raw, nr, c->words);
	if (!count_shapes(c->words, nr, shapes))
		return -EBADMSG;
	columns_lay_out(c, shapes);
	if (c->nr_words != nr_words)
		return -EBADMSG;
	columns_rewind(c);
	for (unsigned int i = 0; i < COLUMNS_NR; i++) {
		if (i)
			bytes_together(raw, c->count[i], c->at[i]);
		raw += c->count[i] * PLANES;
	}
	return 0;
}

bool columns_records(struct columns *c, uint64_t first_ns, const uint8_t *min_words,
		     struct columns_out *out)
{
	uint64_t now = first_ns;

	for (size_t left = c->nr_records; left; left--) {
		uint64_t w0 = *c->at[0]++;
		unsigned int words = EV_WORDS(w0), kind = EV_KIND(w0);
		uint64_t **at = c->at + column_of(kind, 0), *to = out->at;

		now = columns_full_time(now, now + unzigzag(EV_TIME(w0)));
		if ((int64_t)now < 0 || words < min_words[kind])
			return false;
		to[0] = now;
		to[1] = now << EV_TIME_SHIFT | (w0 & LOW_MASK);
		for (unsigned int k = 1; k < words; k++)
			to[k + 1] = *at[k]++;
		if (!min_words[kind])
			continue;
		out->at += words + 1;
		if (now >= out->newest_ns)
			out->newest_ns = now;
		else
			out->unsorted = true;
	}
	return true;
}

void columns_release(struct columns *c)
{
	free(c->words);
	c->words = NULL;
	c->cap_words = 0;
}
