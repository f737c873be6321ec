// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the reader of traces and every analysis behind it. Checksums and zstd would stop nearly every changed byte, so the input says
 * what chunks hold, and they are packed and sealed here:
 *
 *   input:  how:1 { type:1 cpu:1 shift:1 time:1 len:2 bytes:len } ...      the chunk's time is time << shift
 *
 * `how` chooses the command. With ROWS in its type, an EVENTS chunk's bytes are records one behind the other, as in a CPU's buffer;
 * without, they are the columns of the file (format.h), as they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "bpf/events.h"
#include "fuzz.h"
#include "trace/chunk.h"
#include "trace/columns.h"
#include "trace/reader.h"

#define ROWS 0x80
#define HEAD 6 /* bytes in front of a chunk's own */
#define CHUNK_BYTES (1u << 16)
#define CHUNKS_MAX 256
#define NR_CPUS 200

/* ---- from the input to a file ---- */

struct image {
	uint8_t *bytes;
	size_t len, room;
	size_t last; /* where the last chunk begins */
};

static void put(struct image *im, const void *bytes, size_t len)
{
	if (im->len + len > im->room) {
		im->room = 2 * (im->len + len);
		im->bytes = realloc(im->bytes, im->room);
		FUZZ_CHECK(im->bytes);
	}
	memcpy(im->bytes + im->len, bytes, len);
	im->len += len;
}

static void put_chunk(struct image *im, struct chunk_header h, const void *raw)
{
	static uint8_t chunk[sizeof(h) + ZSTD_COMPRESSBOUND(CHUNK_BYTES + COLUMNS_HEADER)];

	h.magic = CHUNK_MAGIC;
	h.stored_bytes = (uint32_t)ZSTD_compress(chunk + sizeof(h), sizeof(chunk) - sizeof(h), raw,
						 h.raw_bytes, 1);
	memcpy(chunk, &h, sizeof(h));
	chunk_seal(chunk);
	im->last = im->len;
	put(im, chunk, sizeof(h) + h.stored_bytes);
}

/* Records into columns: as many as are whole. */
static void put_rows(struct image *im, struct chunk_header h, const uint8_t *bytes, size_t len)
{
	static uint64_t words[CHUNK_BYTES / 8];
	static uint8_t raw[CHUNK_BYTES + COLUMNS_HEADER];
	struct columns columns = {};
	size_t nr = 0;

	len -= len % 8;
	memcpy(words, bytes, len);
	while (nr < len / 8 && EV_WORDS(words[nr]) && nr + EV_WORDS(words[nr]) <= len / 8)
		nr += EV_WORDS(words[nr]);
	if (!nr)
		return;
	FUZZ_CHECK(!columns_pack(&columns, words, nr, &h.time, &h.time, raw));
	columns_release(&columns);
	h.raw_bytes = (uint32_t)(COLUMNS_HEADER + 8 * nr);
	put_chunk(im, h, raw);
}

/* The bytes of the chunk at `data`, behind its head. */
static size_t chunk_len(const uint8_t *data, size_t left)
{
	size_t len = (size_t)(data[4] | data[5] << 8);

	return len < left - HEAD ? len : left - HEAD;
}

static void make_image(const uint8_t *data, size_t len, struct image *im)
{
	struct file_header h = { .magic = FILE_MAGIC, .version = FILE_VERSION, .nr_cpus = NR_CPUS };
	size_t own;

	put(im, &h, sizeof(h));
	put_chunk(im, (struct chunk_header){ .type = CHUNK_META, .raw_bytes = 2 }, "{}");
	for (; len >= HEAD; data += HEAD + own, len -= HEAD + own) {
		struct chunk_header c = { .type = data[0] & ~ROWS,
					  .cpu = data[1],
					  .time = (uint64_t)data[3] << (data[2] & 63) };

		own = chunk_len(data, len);
		c.raw_bytes = (uint32_t)own;
		if (data[0] == (ROWS | CHUNK_EVENTS))
			put_rows(im, c, data + HEAD, own);
		else
			put_chunk(im, c, data + HEAD);
	}
}

/* ---- what the reader promises ---- */

static int in_order(void *arg, const struct trace_event *ev)
{
	uint64_t *last = arg;

	FUZZ_CHECK(ev->time_ns >= *last && ev->time_ns <= INT64_MAX);
	FUZZ_CHECK(EV_WORDS(ev->rec[0]) >= 2 && ev->cpu < NR_CPUS);
	*last = ev->time_ns;
	return 0;
}

static int bounded(void *arg, const struct mapping *m)
{
	(void)arg;
	FUZZ_CHECK(strlen(m->path) <= MAP_MAX_PATH && m->build_id_len <= MAPPING_BUILD_ID_MAX);
	return 0;
}

static void read_it(const char *path)
{
	struct trace_reader *r;
	struct err err = {};
	uint64_t last = 0;

	FUZZ_CHECK(!trace_open(path, &r, &err));
	trace_each_mapping(r, bounded, NULL, &err);
	trace_each(r, in_order, &last, &err);
	trace_close(r);
}

/* ---- what is done with it ---- */

static const struct way {
	const struct cmd *cmd;
	const char *option[5];
} ways[] = {
	{ &cmd_report,
	  { "--locks", "--wakeups", "--critical-path", "--latency", "--parallelism" } },
	{ &cmd_report, { "--json" } },
	{ &cmd_report, { "--all", "--per-cpu", "--counters" } },
	{ &cmd_explain, {} },
	{ &cmd_explain, { "--json", "--top", "100" } },
	{ &cmd_script, {} },
	{ &cmd_script, { "--monotonic" } },
	{ &cmd_flame, { "--folded", "--on", "--python", "--lines", "--inline" } },
	{ &cmd_flame, { "--folded", "--off", "--threads" } },
	{ &cmd_flame, { "--folded", "--wake" } },
	{ &cmd_flame, { "--folded", "--lock", "--reverse" } },
	{ &cmd_flame, { "-o", "-" } },
	{ &cmd_diff, {} },
	{ &cmd_diff, { "--json" } },
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static void try_way(unsigned int which, const uint8_t *data, size_t len)
{
	const struct way *way = &ways[which];
	const char *words[8] = {};
	struct image im = {};
	char path[FUZZ_PATH], cut[FUZZ_PATH];
	size_t nr = 0;
	int fd, cut_fd = -1;

	make_image(data, len, &im);
	fd = fuzz_file(im.bytes, im.len, path);
	read_it(path);
	while (nr < sizeof(way->option) / sizeof(way->option[0]) && way->option[nr]) {
		words[nr] = way->option[nr];
		nr++;
	}
	words[nr++] = path;
	if (way->cmd == &cmd_diff) {
		/* compared with itself without its end */
		cut_fd = fuzz_file(im.bytes, im.last, cut);
		words[nr++] = cut;
	}
	fuzz_command(way->cmd, words);
	close(fd);
	if (cut_fd >= 0)
		close(cut_fd);
	free(im.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_ways(NR_WAYS, data, len, try_way);
	return 0;
}

/* ---- changing inputs where it matters ---- */

static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Where the chunks begin. */
static size_t find_chunks(const uint8_t *data, size_t len, size_t at[CHUNKS_MAX])
{
	size_t nr = 0;

	for (size_t i = 1; i + HEAD <= len && nr < CHUNKS_MAX; nr++) {
		at[nr] = i;
		i += HEAD + chunk_len(data + i, len - i);
	}
	return nr;
}

/* Where the records of a chunk begin, in words. */
static size_t find_records(const uint8_t *bytes, size_t nr_words, size_t *at, size_t max)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_words && nr < max; nr++) {
		uint64_t w0;

		memcpy(&w0, bytes + 8 * i, sizeof(w0));
		if (!EV_WORDS(w0) || i + EV_WORDS(w0) > nr_words)
			break;
		at[nr] = i;
		i += EV_WORDS(w0);
	}
	return nr;
}

/* One word of a record gets the value of another one of the chunk, or one near its own, or one that is extreme. */
static void change_word(uint8_t *bytes, size_t nr_words, size_t at, size_t words, uint32_t *seed)
{
	static const uint64_t extreme[] = { 0, 1, INT64_MAX, 1ull << 63, UINT64_MAX, 0xffffffff };
	size_t which = at + (words > 1 ? 1 + next(seed) % (words - 1) : 0);
	uint64_t value, other, mask = next(seed) & 1 ? UINT64_MAX : 0xffffffffull;

	if (next(seed) & 2)
		mask = ~(mask << 32 | mask >> 32) ? mask << 32 : mask;
	memcpy(&value, bytes + 8 * which, sizeof(value));
	switch (next(seed) % 4) {
	case 0:
		other = value + (next(seed) % 9) - 4;
		break;
	case 1:
		other = extreme[next(seed) % (sizeof(extreme) / sizeof(extreme[0]))];
		break;
	case 2:
		other = value ^ 1ull << (next(seed) & 63);
		break;
	default:
		memcpy(&other, bytes + 8 * (next(seed) % nr_words), sizeof(other));
	}
	value = (value & ~mask) | (other & mask);
	memcpy(bytes + 8 * which, &value, sizeof(value));
}

/* Word 0: its time, its flags or its kind. */
static void change_head(uint8_t *bytes, size_t at, uint32_t *seed)
{
	uint64_t w0;

	memcpy(&w0, bytes + 8 * at, sizeof(w0));
	switch (next(seed) % 3) {
	case 0:
		w0 += ((uint64_t)next(seed) << (next(seed) % 24)) << EV_TIME_SHIFT;
		break;
	case 1:
		w0 ^= 1ull << next(seed) % EV_FLAGS_BITS;
		break;
	default:
		w0 ^= (uint64_t)(next(seed) % (1u << EV_KIND_BITS)) << EV_KIND_SHIFT;
	}
	memcpy(bytes + 8 * at, &w0, sizeof(w0));
}

/* Two records that may differ in size change places. */
static void swap_records(uint8_t *bytes, size_t a, size_t b, size_t end)
{
	static uint8_t spare[CHUNK_BYTES];
	size_t len_a = 8 * (b - a), len_b = 8 * (end - b);

	memcpy(spare, bytes + 8 * a, len_a);
	memmove(bytes + 8 * a, bytes + 8 * b, len_b);
	memcpy(bytes + 8 * a + len_b, spare, len_a);
}

static void change_rows(uint8_t *bytes, size_t len, uint32_t *seed)
{
	static size_t at[CHUNK_BYTES / 8];
	size_t words = len / 8, nr = find_records(bytes, words, at, words), i;
	size_t end;

	if (!nr)
		return;
	for (unsigned int times = 1 + next(seed) % 4; times; times--) {
		i = next(seed) % nr;
		end = i + 1 < nr ? at[i + 1] : words;
		if (next(seed) % 3)
			change_word(bytes, words, at[i], end - at[i], seed);
		else
			change_head(bytes, at[i], seed);
	}
	/* last, as it changes where they begin */
	if (next(seed) % 4 || nr < 3)
		return;
	i = next(seed) % (nr - 2);
	swap_records(bytes, at[i], at[i + 1], at[i + 2]);
}

/* A chunk is left out, or said twice. */
static size_t change_chunks(uint8_t *data, size_t len, size_t max, size_t at, size_t whole,
			    uint32_t *seed)
{
	if (next(seed) & 1) {
		memmove(data + at, data + at + whole, len - at - whole);
		return len - whole;
	}
	if (len + whole > max)
		return len;
	memmove(data + at + whole, data + at, len - at);
	return len + whole;
}

/* The text of a META chunk, or bytes of another one: changed by libFuzzer, within the chunk. */
static size_t change_bytes(uint8_t *data, size_t len, size_t max, size_t at, size_t own)
{
	static uint8_t bytes[CHUNK_BYTES];
	size_t room = max - len + own, now;

	room = room < CHUNK_BYTES - 1 ? room : CHUNK_BYTES - 1;
	if (!room)
		return len;
	memcpy(bytes, data + at + HEAD, own);
	now = LLVMFuzzerMutate(bytes, own, room);
	memmove(data + at + HEAD + now, data + at + HEAD + own, len - at - HEAD - own);
	memcpy(data + at + HEAD, bytes, now);
	data[at + 4] = (uint8_t)now;
	data[at + 5] = (uint8_t)(now >> 8);
	return len - own + now;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned int seed)
{
	uint32_t random = seed ? seed : 1;
	size_t at[CHUNKS_MAX], nr = find_chunks(data, len, at), i, own;

	if (!nr || next(&random) % 8 == 0)
		return LLVMFuzzerMutate(data, len, max);
	if (next(&random) % 4 == 0)
		data[0] = (uint8_t)next(&random);
	i = at[next(&random) % nr];
	own = chunk_len(data + i, len - i);
	if (next(&random) % 16 == 0)
		return change_chunks(data, len, max, i, HEAD + own, &random);
	if (data[i] != (ROWS | CHUNK_EVENTS))
		return change_bytes(data, len, max, i, own);
	change_rows(data + i + HEAD, own, &random);
	return len;
}
