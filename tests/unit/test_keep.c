// SPDX-License-Identifier: GPL-2.0-only
/* The chunks that `record --keep` holds: what a file of them has, how far it reaches back, and how many bytes there are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "trace/keep.h"

#define MS 1000000ull
#define S (1000 * MS)

struct text {
	char bytes[512];
	size_t len;
};

static int add(void *arg, const void *bytes, size_t len)
{
	struct text *t = arg;

	assert_true(t->len + len < sizeof(t->bytes));
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
	t->bytes[t->len] = '\0';
	return 0;
}

static void has(const struct trace_keep *k, const char *expected)
{
	struct text t = { .bytes = "" };

	assert_int_equal(trace_keep_each(k, add, &t), 0);
	assert_string_equal(t.bytes, expected);
}

static void append(struct trace_keep *k, const char *chunk)
{
	assert_int_equal(trace_keep_append(k, chunk, strlen(chunk)), 0);
}

/* A group with a key at that time, known 1 ms later. */
static void group(struct trace_keep *k, uint64_t at_ns, const char *key, const char *chunk)
{
	const struct keep_key info = { .from_ns = at_ns + MS, .serials = (uint32_t)(at_ns / MS) };

	assert_int_equal(trace_keep_group(k, at_ns), 0);
	append(k, key);
	trace_keep_key_end(k, &info);
	append(k, chunk);
}

static void test_whole(void **state)
{
	struct trace_keep *k = trace_keep_new(10 * S, 1 << 20);

	(void)state;
	has(k, "");
	append(k, "a");
	append(k, "b");
	has(k, "ab");
	group(k, 2 * S, "K", "c");
	assert_null(trace_keep_first(k));
	has(k, "abc"); /* nothing was let go of: keys are not needed */
	trace_keep_free(k);
}

static void test_reaches_back(void **state)
{
	struct trace_keep *k = trace_keep_new(4 * S, 1 << 20);
	char key[8] = "K0", chunk[8] = "c0";

	(void)state;
	append(k, "begin");
	for (char i = 1; i <= 9; i++) {
		key[1] = chunk[1] = (char)('0' + i);
		group(k, (uint64_t)i * S, key, chunk);
		if (i == 5) {
			/* the group of 1 s is known from 1.001 s on, which is not yet 4 s ago */
			assert_null(trace_keep_first(k));
			has(k, "beginc1c2c3c4c5");
		}
		/* never shorter than what was asked for, nor longer by more than a group */
		if (i > 5) {
			const struct keep_key *first = trace_keep_first(k);
			uint64_t back_ns = (uint64_t)i * S - first->from_ns;

			assert_in_range(back_ns, 4 * S, 5 * S + MS);
			assert_int_equal(first->serials, first->begin_ns / MS);
		}
	}
	assert_int_equal(trace_keep_first(k)->begin_ns, 4 * S);
	has(k, "K4c4c5c6c7c8c9");
	assert_false(trace_keep_short(k));
	trace_keep_free(k);
}

/* While a key is being told its group is no beginning, and the one before is needed. */
static void test_key_not_whole(void **state)
{
	struct trace_keep *k = trace_keep_new(1 * S, 4);
	const struct keep_key info = { .from_ns = 3 * S };

	(void)state;
	group(k, 1 * S, "K1", "c1");
	assert_int_equal(trace_keep_group(k, 3 * S), 0);
	append(k, "K333333");
	assert_non_null(trace_keep_first(k));
	has(k, "K1c1");
	trace_keep_key_end(k, &info);
	append(k, "c3");
	has(k, "K333333c3"); /* more than the limit: the newest one stays, whatever its size */
	assert_true(trace_keep_short(k));
	trace_keep_free(k);
}

static void test_bytes(void **state)
{
	struct trace_keep *k = trace_keep_new(3600 * S, 100000);
	char chunk[1000];
	uint64_t most = 0;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	for (uint64_t at_ns = 20 * MS; at_ns < 20 * S; at_ns += MS) {
		if (trace_keep_due(k, at_ns)) {
			const struct keep_key info = { .from_ns = at_ns };

			assert_int_equal(trace_keep_group(k, at_ns), 0);
			assert_int_equal(trace_keep_append(k, chunk, 300), 0);
			trace_keep_key_end(k, &info);
		}
		assert_int_equal(trace_keep_append(k, chunk, sizeof(chunk)), 0);
		if (trace_keep_bytes(k) > most)
			most = trace_keep_bytes(k);
	}
	assert_true(trace_keep_short(k));
	assert_in_range(most, 80000, 100000);
	/* a group of 20 ms has 20 chunks here, so five or fewer of them fit */
	assert_in_range(trace_keep_first(k)->from_ns, 19 * S + 800 * MS, 20 * S);
	trace_keep_free(k);
}

static void test_due(void **state)
{
	static const struct {
		uint64_t keep_ns, at_ns;
		size_t bytes;
		bool due;
	} cases[] = {
		{ 8 * S, 1 * S - 1, 0, false },   { 8 * S, 1 * S, 0, true },
		{ 8 * S, 30 * MS, 12499, false }, { 8 * S, 30 * MS, 12500, true },
		{ 8 * S, 19 * MS, 50000, false }, /* not in too great a hurry */
		{ 200 * MS, 99 * MS, 0, false },  { 200 * MS, 100 * MS, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace_keep *k = trace_keep_new(cases[i].keep_ns, 100000);
		char *bytes = calloc(1, 50000);

		trace_keep_append(k, bytes, cases[i].bytes);
		if (trace_keep_due(k, cases[i].at_ns) != cases[i].due)
			fail_msg("case %zu", i);
		free(bytes);
		trace_keep_free(k);
	}
}

/* Chunks of any size come back as they were, over the bounds of what they are kept in; a callback's error ends it. */
static int count(void *arg, const void *bytes, size_t len)
{
	uint64_t *sum = arg;
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		*sum = *sum * 31 + b[i];
	return 0;
}

static int stop(void *arg, const void *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	return --*(int *)arg ? 0 : -5;
}

static void test_sizes(void **state)
{
	struct trace_keep *k = trace_keep_new(10 * S, 100 << 20);
	uint64_t expected = 0, got = 0;
	uint8_t *chunk = malloc(200000);
	int left = 3;

	(void)state;
	srand(1);
	for (int i = 0; i < 60; i++) {
		size_t len = (size_t)rand() % 200000;

		for (size_t n = 0; n < len; n++)
			chunk[n] = (uint8_t)rand();
		count(&expected, chunk, len);
		assert_int_equal(trace_keep_append(k, chunk, len), 0);
	}
	trace_keep_each(k, count, &got);
	assert_true(got == expected);
	assert_int_equal(trace_keep_each(k, stop, &left), -5);
	free(chunk);
	trace_keep_free(k);
}

/* Of what does not fit into memory there is nothing, whatever was there before. */
static void test_no_memory(void **state)
{
	enum { TOO_MUCH = 64 << 20 };
	struct rlimit old, none;
	char *much = calloc(1, TOO_MUCH);

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	print_message("the sanitizer's malloc() does not fail\n");
	free(much);
	skip();
#endif
	assert_non_null(much);
	assert_int_equal(getrlimit(RLIMIT_DATA, &old), 0);
	for (int filled = 0; filled < 2; filled++) {
		struct trace_keep *k = trace_keep_new(10 * S, 1 << 20);

		if (filled)
			append(k, "a");
		none = (struct rlimit){ 4096, old.rlim_max }; /* 0 would be none */
		assert_int_equal(setrlimit(RLIMIT_DATA, &none), 0);
		assert_int_equal(trace_keep_append(k, much, TOO_MUCH), -ENOMEM);
		assert_int_equal(setrlimit(RLIMIT_DATA, &old), 0);
		assert_int_equal(trace_keep_bytes(k), filled);
		append(k, "b");
		has(k, filled ? "ab" : "b");
		trace_keep_free(k);
	}
	free(much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),         cmocka_unit_test(test_reaches_back),
		cmocka_unit_test(test_key_not_whole), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_due),           cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
