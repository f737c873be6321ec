// SPDX-License-Identifier: GPL-2.0-only
/* What `record --keep` tells again of mappings, where what was told of them is let go of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "probes/maps_keep.h"

#define PAGE 4096ull
#define PID 7

static struct mapping anon(uint64_t start, uint64_t end, uint32_t prot)
{
	return (struct mapping){ .kind = MAPPING_ADD,
				 .tgid = PID,
				 .start = start,
				 .end = end,
				 .prot = prot,
				 .flags = MAP_PRIVATE,
				 .path = "//anon" };
}

struct again {
	unsigned int nr;
	struct mapping last;
};

static int count_again(void *arg, const struct mapping *m)
{
	struct again *a = arg;

	a->nr++;
	a->last = *m;
	return 0;
}

/* What is told again of a mapping is what was stored: more is known of it by then than when the kernel told of it. */
static void test_told_again(void **state)
{
	struct maps_keep *k = maps_keep_new(false);
	struct mapping m = anon(4 * PAGE, 8 * PAGE, PROT_EXEC);
	struct again again = { 0 };

	(void)state;
	maps_keep_words(k);
	maps_keep_process(k, PID, true);
	m.tgid = PID;
	m.inode = 7;
	m.offset = PAGE;
	m.path = "/lib/x.so";
	assert_int_equal(maps_keep_mapped(k, &m), 1);
	m.path = "/containers/1/lib/x.so";
	m.build_id_len = 2;
	m.build_id[1] = 0xbe;
	maps_keep_stored(k, &m);
	assert_int_equal(maps_keep_each(k, count_again, &again), 0);
	assert_int_equal(again.nr, 1);
	assert_string_equal(again.last.path, "/containers/1/lib/x.so");
	assert_true(again.last.build_id_len == 2 && again.last.build_id[1] == 0xbe);
	assert_true(again.last.start == 4 * PAGE && again.last.offset == PAGE);
	/* its first two pages are hidden by something without a name */
	m = anon(4 * PAGE, 6 * PAGE, PROT_READ | PROT_WRITE);
	m.tgid = PID;
	assert_int_equal(maps_keep_mapped(k, &m), 1);
	maps_keep_stored(k, &m);
	again.nr = 0;
	assert_int_equal(maps_keep_each(k, count_again, &again), 0);
	assert_int_equal(again.nr, 1);
	assert_true(again.last.start == 6 * PAGE && again.last.offset == 3 * PAGE);
	assert_true(again.last.build_id_len == 2 && again.last.build_id[1] == 0xbe);
	/* a child has them as well */
	assert_int_equal(maps_keep_fork(k, PID, PID + 1), 1);
	again.nr = 0;
	assert_int_equal(maps_keep_each(k, count_again, &again), 0);
	assert_int_equal(again.nr, 2);
	maps_keep_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
