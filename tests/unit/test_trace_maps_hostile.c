// SPDX-License-Identifier: GPL-2.0-only
/* Mappings in a trace file that somebody made who knows the checksum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "random.h"
#include "trace/chunk.h"
#include "trace/maps.h"
#include "trace_file.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void put_chunk(int fd, uint16_t type, const void *raw, size_t len)
{
	uint8_t chunk[sizeof(struct chunk_header) + 20000];
	struct chunk_header h = { .magic = CHUNK_MAGIC, .type = type, .raw_bytes = (uint32_t)len };

	h.stored_bytes =
		(uint32_t)ZSTD_compress(chunk + sizeof(h), sizeof(chunk) - sizeof(h), raw, len, 1);
	memcpy(chunk, &h, sizeof(h));
	chunk_seal(chunk);
	assert_int_equal(write(fd, chunk, sizeof(h) + h.stored_bytes), sizeof(h) + h.stored_bytes);
}

static int hostile_file(const uint8_t *raw, size_t len)
{
	struct file_header h = { .magic = FILE_MAGIC, .version = FILE_VERSION, .nr_cpus = 1 };
	int fd = new_file();

	assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
	put_chunk(fd, CHUNK_META, "{}", 2);
	put_chunk(fd, CHUNK_MAPS, raw, len);
	return fd;
}

static int count_mapping(void *arg, const struct mapping *m)
{
	assert_true(m->kind >= MAPPING_ADD && m->kind <= MAPPING_FORK);
	assert_true(strlen(m->path) <= MAP_MAX_PATH && m->build_id_len <= MAPPING_BUILD_ID_MAX);
	assert_true(m->kind != MAPPING_ADD || m->start < m->end);
	++*(size_t *)arg;
	return 0;
}

static size_t read_hostile(const uint8_t *raw, size_t len, bool *ret_damaged)
{
	int fd = hostile_file(raw, len);
	struct trace_reader *r = open_fd(fd);
	struct err err = { 0 };
	size_t mappings = 0, events = 0;

	assert_int_equal(trace_each_mapping(r, count_mapping, &mappings, &err), 0);
	*ret_damaged = trace_state(r)->damaged;
	assert_int_equal(trace_each(r, count_in_order, &events, &err), 0);
	assert_int_equal(trace_state(r)->damaged, *ret_damaged);
	trace_close(r);
	close(fd);
	return mappings;
}

/* One record, bad in its way, between two good ones. */
static void test_malformed_records(void **state)
{
	enum { BEHIND = 5000 };
	static const struct {
		const char *name;
		struct map_record r; /* bytes, kind, build_id_len */
		size_t mappings;
		bool damaged;
	} table[] = {
		{ "good", { 72, 1, .end = 1 }, 3, false },
		{ "a longer one of a later version", { 100, 1, .end = 1 }, 3, false },
		{ "a kind of a later version", { 80, 9, .end = 1 }, 2, false },
		{ "kind 0", { 72, 0, .end = 1 }, 2, false },
		{ "no bytes", { 0, 1, .end = 1 }, 1, true },
		{ "71 bytes", { 71, 1, .end = 1 }, 1, true },
		{ "beyond the chunk", { 65535, 1, .end = 1 }, 1, true },
		{ "a path beyond it", { 80, 1, .end = 1, .path_len = 9 }, 1, true },
		{ "a path of zeros", { 80, 1, .end = 1, .path_len = 8 }, 1, true },
		{ "a path of 4096", { 5000, 1, .end = 1, .path_len = 4096 }, 1, true },
		{ "a build id of 21", { 100, 1, 21, .end = 1 }, 1, true },
		{ "a build id beyond it", { 80, 1, 9, .end = 1 }, 1, true },
		{ "a time below 0", { 72, 3, .time = 1ull << 63 }, 1, true },
		{ "empty", { 72, 1, .start = 1, .end = 1 }, 1, true },
	};
	struct map_record good = { .bytes = 72, .kind = MAPPING_ADD, .end = 1 };

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		uint8_t raw[2 * sizeof(good) + BEHIND] = { 0 };
		struct map_record bad = table[i].r;
		size_t at = sizeof(good);
		bool damaged;

		memcpy(raw, &good, sizeof(good));
		memcpy(raw + at, &bad, sizeof(bad));
		at += bad.bytes >= sizeof(bad) && bad.bytes <= BEHIND ? bad.bytes : sizeof(bad);
		memcpy(raw + at, &good, sizeof(good));
		print_message("  %s\n", table[i].name);
		assert_int_equal(read_hostile(raw, at + sizeof(good), &damaged), table[i].mappings);
		assert_int_equal(damaged, table[i].damaged);
	}
}

static void test_hostile_chunks(void **state)
{
	static uint8_t raw[4 * MAP_MAX_BYTES];
	static char path[MAP_MAX_PATH + 1];

	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		size_t len = 0;
		bool damaged;

		for (uint32_t k = 0; k < 4; k++) {
			struct mapping m = make_mapping(k, 40, path);

			len += maps_pack(&m, raw + len);
		}
		for (uint64_t k = random_below(8); k; k--)
			raw[random_below(len)] ^= 1u << random_below(8);
		if (!random_below(4))
			len = random_below(len + 1);
		assert_true(read_hostile(raw, len, &damaged) <= 4);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed_records),
		cmocka_unit_test(test_hostile_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
