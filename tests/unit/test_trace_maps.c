// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings in a trace file: written among events and read back, and damaged.
 * Mapping number n is known by its tgid, which is n + 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "random.h"
#include "trace/chunk.h"
#include "trace/maps.h"
#include "trace_file.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NR_MANY 3000
#define NR_SMALL 12

static void write_mapping(struct trace_writer *w, const struct mapping *m)
{
	struct err err = { 0 };

	if (trace_writer_mapping(w, m, &err))
		fail_msg("%s", err.msg);
}

static void write_event(struct trace_writer *w, uint64_t time)
{
	uint64_t rec[3] = { EV_WORD0(time, 3, EV_SWITCH, 0), time, random_below(UINT64_MAX) };
	struct err err = { 0 };

	assert_int_equal(trace_writer_records(w, (unsigned int)(time & 1), rec, sizeof(rec), &err),
			 0);
}

static void assert_same(const struct mapping *a, const struct mapping *b)
{
	struct mapping x = *a, y = *b;

	assert_string_equal(a->path ? a->path : "", b->path);
	x.path = y.path = NULL;
	memset(x.build_id + x.build_id_len, 0, MAPPING_BUILD_ID_MAX - x.build_id_len);
	assert_memory_equal(&x, &y, sizeof(x));
}

/* What was written, and how many of them were given. */
struct expected {
	struct mapping *all;
	size_t nr, given;
	uint32_t last;
};

static int expect_mapping(void *arg, const struct mapping *m)
{
	struct expected *e = arg;

	assert_true(e->given < e->nr);
	assert_same(&e->all[e->given++], m);
	return 0;
}

/* Of damaged files: each is one of those written, in their order. */
static int expect_some(void *arg, const struct mapping *m)
{
	struct expected *e = arg;

	assert_in_range(m->tgid, e->last + 1, e->nr);
	assert_same(&e->all[m->tgid - 1], m);
	e->last = m->tgid;
	e->given++;
	return 0;
}

static int any_event(void *arg, const struct trace_event *ev)
{
	(void)arg;
	assert_true(ev->time_ns < NR_MANY);
	return 0;
}

static void expect_all(struct trace_reader *r, struct expected *e)
{
	struct err err = { 0 };

	e->given = 0;
	assert_int_equal(trace_each_mapping(r, expect_mapping, e, &err), 0);
	assert_int_equal(e->given, e->nr);
	assert_false(trace_state(r)->damaged);
}

/* Writes `nr` mappings among as many events, with a round now and then. */
static int write_some(struct expected *e, size_t nr, size_t longest)
{
	struct err err = { 0 };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2);

	*e = (struct expected){ .all = calloc(nr, sizeof(*e->all)), .nr = nr };
	for (size_t i = 0; i < nr; i++) {
		e->all[i] = make_mapping((uint32_t)i, longest, malloc(MAP_MAX_PATH + 1));
		write_mapping(w, &e->all[i]);
		write_event(w, i);
		if (i % (nr / 4) == nr / 4 - 1)
			assert_int_equal(trace_writer_round(w, i, &err), 0);
	}
	assert_int_equal(trace_writer_close(w, &err), 0);
	return fd;
}

static void free_expected(struct expected *e)
{
	for (size_t i = 0; i < e->nr; i++)
		free((char *)e->all[i].path);
	free(e->all);
}

static void test_round_trip(void **state)
{
	struct expected e;
	int fd = write_some(&e, NR_MANY, MAP_MAX_PATH);
	struct trace_reader *r = open_fd(fd);
	struct err err = { 0 };

	(void)state;
	expect_all(r, &e);
	for (int times = 0; times < 2; times++) {
		size_t events = 0;

		assert_int_equal(trace_each(r, count_in_order, &events, &err), 0);
		assert_int_equal(events, NR_MANY);
		assert_false(trace_state(r)->damaged);
		expect_all(r, &e);
	}
	trace_close(r);
	close(fd);
	free_expected(&e);
}

static void test_none(void **state)
{
	struct expected e = { 0 };
	struct err err = { 0 };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2);
	struct trace_reader *r;

	(void)state;
	assert_int_equal(trace_writer_close(w, &err), 0);
	r = open_fd(fd);
	expect_all(r, &e);
	trace_close(r);
	close(fd);
}

static int stop_at_third(void *arg, const struct mapping *m)
{
	(void)m;
	return ++*(int *)arg == 3 ? -EBADMSG : 0;
}

static void test_stopped_by_its_user(void **state)
{
	struct expected e;
	int fd = write_some(&e, NR_SMALL, 10), calls = 0;
	struct trace_reader *r = open_fd(fd);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(trace_each_mapping(r, stop_at_third, &calls, &err), -EBADMSG);
	assert_int_equal(calls, 3);
	assert_int_equal(err.code, 0);
	assert_false(trace_state(r)->damaged);
	trace_close(r);
	close(fd);
	free_expected(&e);
}

static void test_writer_limits(void **state)
{
	static char path[MAP_MAX_PATH + 2];
	static const struct {
		const char *name;
		struct mapping m; /* time, kind */
		size_t path_len;
		int code;
	} table[] = {
		{ "the longest path", { 1, 1, .end = 1 }, MAP_MAX_PATH, 0 },
		{ "a longer path", { 1, 1, .end = 1 }, MAP_MAX_PATH + 1, -EINVAL },
		{ "a build id of 21", { 1, 1, .end = 1, .build_id_len = 21 }, 1, -EINVAL },
		{ "a build id of 256", { 1, 1, .end = 1, .build_id_len = 256 }, 1, -EINVAL },
		{ "no kind", { 1, 0, .end = 1 }, 1, -EINVAL },
		{ "kind 257", { 1, 257, .end = 1 }, 1, -EINVAL },
		{ "empty", { 1, 1, .start = 5, .end = 5 }, 1, -EINVAL },
		{ "before itself", { 1, 1, .start = 5, .end = 4 }, 1, -EINVAL },
		{ "a time below 0", { UINT64_MAX, 1, .end = 1 }, 1, -EINVAL },
		{ "no address", { 1, 2, .end = 0 }, 0, 0 },
	};
	struct err err = { 0 };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2);
	struct expected e = { .all = calloc(2, sizeof(*e.all)), .nr = 2 };
	struct trace_reader *r;
	size_t good = 0;

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		struct mapping m = table[i].m;

		m.tgid = (uint32_t)good + 1;
		memset(path, 'p', table[i].path_len);
		path[table[i].path_len] = '\0';
		m.path = table[i].path_len ? path : NULL;
		print_message("  %s\n", table[i].name);
		assert_int_equal(trace_writer_mapping(w, &m, &err), table[i].code);
		if (!table[i].code) {
			m.path = strdup(m.path ? m.path : "");
			e.all[good++] = m;
		}
	}
	assert_int_equal(trace_writer_close(w, &err), 0);
	r = open_fd(fd);
	expect_all(r, &e);
	trace_close(r);
	close(fd);
	free_expected(&e);
}

/* ---- damage ---- */

struct bytes {
	uint8_t *at;
	size_t len;
};

static struct bytes small_file(struct expected *e)
{
	int fd = write_some(e, NR_SMALL, 30);
	struct bytes b = { .len = (size_t)lseek(fd, 0, SEEK_END) };

	b.at = malloc(b.len);
	assert_int_equal(pread(fd, b.at, b.len, 0), b.len);
	close(fd);
	return b;
}

/* How many mappings stand in whole chunks before `at`; whether a chunk ends there. */
static size_t whole_before(const struct bytes *b, size_t at, bool *ret_border)
{
	size_t end = sizeof(struct file_header), nr = 0;

	while (end < at) {
		struct chunk_header h;

		memcpy(&h, b->at + end, sizeof(h));
		end += sizeof(h) + h.stored_bytes;
		if (end <= at && h.type == CHUNK_MAPS)
			nr += NR_SMALL / 4;
	}
	*ret_border = end == at;
	return nr;
}

/* Reads mappings, events, mappings. False when it was refused. */
static bool read_damaged(const struct bytes *b, struct expected *e, struct trace_state *ret_state)
{
	struct err err = { 0 };
	int fd = file_of(b->at, b->len);
	struct trace_reader *r;
	bool readable = !trace_open(fd_path(fd), &r, &err);

	for (int times = 0; readable && times < 2; times++) {
		e->given = e->last = 0;
		assert_int_equal(trace_each_mapping(r, expect_some, e, &err), 0);
		assert_int_equal(trace_each(r, any_event, NULL, &err), 0);
	}
	if (readable)
		*ret_state = *trace_state(r);
	else
		assert_true(err.code < 0 && err.msg[0]);
	trace_close(r);
	close(fd);
	return readable;
}

static void test_cut_at_every_byte(void **state)
{
	struct trace_state st;
	struct expected e;
	struct bytes b = small_file(&e), cut = b;

	(void)state;
	for (cut.len = 0; cut.len <= b.len; cut.len++) {
		bool border;
		size_t whole = whole_before(&b, cut.len, &border);

		if (read_damaged(&cut, &e, &st)) {
			assert_int_equal(e.given, whole);
			assert_int_equal(st.damaged, !border);
		} else {
			assert_int_equal(whole, 0);
		}
	}
	assert_int_equal(e.given, NR_SMALL);
	free_expected(&e);
	free(b.at);
}

static void test_every_byte_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct trace_state st;
	struct expected e;
	struct bytes b = small_file(&e);

	(void)state;
	for (size_t at = 0; at < b.len * LEN(flips); at++) {
		size_t i = at / LEN(flips);
		bool border;

		b.at[i] ^= flips[at % LEN(flips)];
		if (read_damaged(&b, &e, &st) && i >= sizeof(struct file_header)) {
			assert_true(st.damaged);
			b.at[i] ^= flips[at % LEN(flips)];
			assert_true(e.given >= whole_before(&b, i, &border));
			b.at[i] ^= flips[at % LEN(flips)];
		}
		b.at[i] ^= flips[at % LEN(flips)];
	}
	free_expected(&e);
	free(b.at);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_stopped_by_its_user),
		cmocka_unit_test(test_writer_limits),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
