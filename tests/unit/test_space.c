// SPDX-License-Identifier: GPL-2.0-only
/* Which mapping is at an address at a time: written cases, and random ones against a search through all records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "random.h"
#include "symbol/space.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct mapping add(uint64_t time_ns, uint32_t tgid, uint64_t start, uint64_t end,
			  const char *path)
{
	return (struct mapping){ .time_ns = time_ns,
				 .kind = MAPPING_ADD,
				 .tgid = tgid,
				 .prot = PROT_READ,
				 .flags = MAP_PRIVATE,
				 .start = start,
				 .end = end,
				 .path = path };
}

static struct mapping exec_at(uint64_t time_ns, uint32_t tgid)
{
	return (struct mapping){ .time_ns = time_ns, .kind = MAPPING_EXEC, .tgid = tgid };
}

static struct mapping fork_at(uint64_t time_ns, uint32_t tgid, uint32_t parent)
{
	return (struct mapping){
		.time_ns = time_ns, .kind = MAPPING_FORK, .tgid = tgid, .parent_tgid = parent
	};
}

/* The path mapped there, or "-". */
static const char *at(struct space *s, uint32_t tgid, uint64_t time_ns, uint64_t address)
{
	struct space_mapping m;

	if (!space_find(s, tgid, time_ns, address, &m))
		return "-";
	assert_true(m.start <= address && address < m.end && m.time_ns <= time_ns);
	return m.file->path;
}

static void test_cases(void **state)
{
	const struct mapping records[] = {
		add(0, 1, 100, 200, "/a"),
		add(10, 1, 150, 160, "/b"),
		add(20, 1, 120, 155, "/c"),
		exec_at(30, 1),
		add(30, 1, 100, 110, "/d"),
		fork_at(15, 2, 1),
		add(25, 2, 300, 400, "/e"),
		fork_at(26, 3, 2),
		exec_at(28, 3),
		add(29, 3, 100, 101, "/f"),
		fork_at(40, 2, 3), /* the number 2 again */
	};
	static const struct {
		uint32_t tgid;
		uint64_t time_ns, address;
		const char *path;
	} expected[] = {
		{ 1, 0, 100, "/a" },  { 1, 0, 199, "/a" },  { 1, 0, 200, "-" },
		{ 1, 0, 99, "-" },    { 1, 9, 150, "/a" },  { 1, 10, 150, "/b" },
		{ 1, 20, 150, "/c" }, { 1, 20, 157, "/b" }, { 1, 20, 160, "/a" },
		{ 1, 30, 105, "/d" }, { 1, 30, 150, "-" },  { 1, 29, 150, "/c" },
		{ 2, 14, 150, "-" },  { 2, 15, 150, "/b" }, { 2, 24, 150, "/b" },
		{ 2, 24, 300, "-" },  { 2, 25, 300, "/e" }, { 2, 35, 130, "/a" },
		{ 3, 26, 300, "/e" }, { 3, 26, 150, "/b" }, { 3, 28, 300, "-" },
		{ 3, 29, 100, "/f" }, { 2, 40, 100, "/f" }, { 2, 40, 300, "-" },
		{ 2, 39, 300, "/e" }, { 9, 40, 100, "-" },
	};

	(void)state;
	/* Forwards and backwards: the order of feeding does not matter, but for the same time. */
	for (int backwards = 0; backwards < 2; backwards++) {
		struct space *s;

		assert_int_equal(space_new(&s), 0);
		for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
			size_t j = backwards ? ARRAY_SIZE(records) - 1 - i : i;

			if (backwards && j == 3)
				j = 4; /* the EXEC still comes before the ADD of the same time */
			else if (backwards && j == 4)
				j = 3;
			assert_int_equal(space_add(s, &records[j]), 0);
			at(s, 1, 20, 150);
		}
		for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
			assert_string_equal(at(s, expected[i].tgid, expected[i].time_ns,
					       expected[i].address),
					    expected[i].path);
		assert_int_equal(space_nr_files(s), 6);
		space_free(s);
	}
}

static void test_nonsense(void **state)
{
	struct mapping m[] = { add(0, 1, 200, 200, "/a"), add(0, 1, 300, 200, "/a"),
			       fork_at(1, 5, 5),          { .kind = 77, .tgid = 1 },
			       add(0, 1, 1, 2, "/a"),     add(0, 1, 1, 2, NULL) };
	struct space_mapping found;
	char *long_path = malloc(10000);
	struct space *s;

	(void)state;
	assert_non_null(long_path);
	memset(long_path, 'x', 9999);
	long_path[9999] = '\0';
	assert_int_equal(space_new(&s), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(space_add(s, &m[i]), -EINVAL);
	m[4].build_id_len = 21;
	assert_int_equal(space_add(s, &m[4]), -EINVAL);
	m[4].build_id_len = 0;
	m[4].path = long_path;
	assert_int_equal(space_add(s, &m[4]), -EINVAL);
	assert_int_equal(space_rejected(s), 6);
	assert_int_equal(space_add(s, &m[5]), 0);
	assert_string_equal(at(s, 1, 0, 1), "");
	/* Parents in a circle. */
	m[0] = fork_at(5, 10, 11);
	m[1] = fork_at(5, 11, 10);
	assert_int_equal(space_add(s, &m[0]), 0);
	assert_int_equal(space_add(s, &m[1]), 0);
	assert_false(space_find(s, 10, 6, 1, &found));
	space_free(s);
	free(long_path);
}

/* The same path with another inode or build-id is another file. */
static void test_files(void **state)
{
	struct mapping m = add(0, 1, 1, 2, "/a");
	struct space *s;

	(void)state;
	assert_int_equal(space_new(&s), 0);
	for (int i = 0; i < 1000; i++) {
		m.inode = (uint64_t)(i % 50);
		m.build_id_len = i % 100 < 50 ? 0 : 20;
		m.build_id[19] = (uint8_t)(i % 100 < 50 ? 0 : i % 3);
		m.start = (uint64_t)i;
		m.end = m.start + 1;
		assert_int_equal(space_add(s, &m), 0);
	}
	assert_int_equal(space_nr_files(s), 50 + 150);
	space_free(s);
}

/* The number of the record that answers, by looking at all of them; -1: none. */
static int search(const struct mapping *all, size_t nr, uint32_t tgid, uint64_t time_ns,
		  uint64_t address)
{
	int best = -1;
	bool began = false;
	uint64_t since = 0;
	size_t boundary = 0;

	for (size_t i = 0; i < nr; i++) {
		if (all[i].tgid == tgid && all[i].kind != MAPPING_ADD &&
		    all[i].time_ns <= time_ns && all[i].time_ns >= since) {
			began = true;
			since = all[i].time_ns;
			boundary = i;
		}
	}
	for (size_t i = 0; i < nr; i++) {
		const struct mapping *m = &all[i];

		if (m->tgid == tgid && m->kind == MAPPING_ADD && m->time_ns <= time_ns &&
		    (!began || m->time_ns > since || (m->time_ns == since && i > boundary)) &&
		    m->start <= address && address < m->end &&
		    (best < 0 || m->time_ns >= all[best].time_ns))
			best = (int)i;
	}
	if (best >= 0 || !began || all[boundary].kind != MAPPING_FORK)
		return best;
	return search(all, nr, all[boundary].parent_tgid, since, address);
}

static void test_against_search(void **state)
{
	enum { NR = 3000 };
	struct mapping *all = calloc(NR, sizeof(*all));
	uint64_t seed = 42;
	char paths[NR][8];
	size_t found = 0;

	(void)state;
	assert_non_null(all);
	for (int round = 0; round < 6; round++) {
		/* Rare boundaries make epochs long enough for a tree. */
		uint64_t rarity = round % 2 ? 20 : 500;
		struct space *s;

		assert_int_equal(space_new(&s), 0);
		for (size_t i = 0; i < NR; i++) {
			uint32_t tgid = 1 + (uint32_t)(random_next(&seed) % 4);
			/* All of a process's times differ: ties are tested above. */
			uint64_t time_ns = round < 2 ? i : (i * 7919) % NR, what;

			snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
			all[i] = add(time_ns, tgid, random_next(&seed) % 1000, 0, paths[i]);
			all[i].end = all[i].start + 1 + random_next(&seed) % 300;
			what = random_next(&seed) % rarity;
			if (what == 0)
				all[i] = exec_at(time_ns, tgid);
			else if (what == 1)
				all[i] = fork_at(time_ns, tgid, tgid == 1 ? 4 : tgid - 1);
			assert_int_equal(space_add(s, &all[i]), 0);
			if (i % 10 == 0) {
				uint64_t when = random_next(&seed) % (NR + 5);
				uint64_t where = random_next(&seed) % 1400;
				int record = search(all, i + 1, tgid, when, where);

				assert_string_equal(at(s, tgid, when, where),
						    record < 0 ? "-" : paths[record]);
				found += record >= 0;
			}
		}
		space_free(s);
	}
	assert_true(found > 500);
	free(all);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 100,000 forked processes, and one with 50,000 mappings over each other: no question may take long. */
static void test_many(void **state)
{
	double begin = seconds();
	uint64_t seed = 7;
	struct space *s;
	struct mapping m;

	(void)state;
	assert_int_equal(space_new(&s), 0);
	for (uint64_t i = 0; i < 50000; i++) {
		m = add(i, 1, 50000 - i, 50001 + i, i % 2 ? "/odd" : "/even");
		assert_int_equal(space_add(s, &m), 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		m = fork_at(60000 + i, 100 + i, 1);
		assert_int_equal(space_add(s, &m), 0);
		m = add(160000 + i, 100 + i, 1, 2, "/own");
		assert_int_equal(space_add(s, &m), 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t when = random_next(&seed) % 50000;

		assert_string_equal(at(s, 1, when, 50000), when % 2 ? "/odd" : "/even");
		assert_string_equal(at(s, 100 + i, 300000, 3), "/odd");
		assert_string_equal(at(s, 100 + i, 300000, 1), "/own");
	}
	space_free(s);
	assert_true(seconds() - begin < 5);
	print_message("many: %.0f ms\n", (seconds() - begin) * 1e3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_files), cmocka_unit_test(test_against_search),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
