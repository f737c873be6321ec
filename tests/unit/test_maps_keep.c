// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mappings are worth storing: cases by hand, programs that would flood the trace, and random ones against a model that
 * knows of every page what it is, and what a reader of the trace takes it for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probes/maps_keep.h"
#include "probes/maps_proc.h"
#include "random.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PID 10
#define PAGE 0x1000ull

/* A line of /proc/PID/maps is a mapping. */
static struct mapping parse(const char *line, char *room, size_t size)
{
	struct mapping m = { .tgid = PID };

	snprintf(room, size, "%s", line);
	if (!maps_proc_parse(room, &m))
		fail_msg("not a line of maps: %s", line);
	return m;
}

static void test_parse(void **state)
{
	char room[256], longer[5000] = "";
	size_t len;
	struct mapping m =
		parse("7f0-8f0 r-xs 00012000 fe:1a 4711                       /a b/c (deleted)\n",
		      room, sizeof(room));

	(void)state;
	assert_int_equal(m.start, 0x7f0);
	assert_int_equal(m.end, 0x8f0);
	assert_int_equal(m.prot, PROT_READ | PROT_EXEC);
	assert_int_equal(m.flags, MAP_SHARED);
	assert_int_equal(m.offset, 0x12000);
	assert_int_equal(m.dev_major, 0xfe);
	assert_int_equal(m.dev_minor, 0x1a);
	assert_int_equal(m.inode, 4711);
	assert_string_equal(m.path, "/a b/c (deleted)");
	m = parse("1000-2000 -w-p 00000000 00:00 0 \n", room, sizeof(room));
	assert_int_equal(m.prot, PROT_WRITE);
	assert_int_equal(m.flags, MAP_PRIVATE);
	assert_string_equal(m.path, "");
	len = (size_t)snprintf(longer, sizeof(longer), "1000-2000 r-xp 0 0:0 5 /");
	memset(longer + len, 'p', 4095);
	assert_true(maps_proc_parse(longer, &m));
	assert_string_equal(m.path, "//toolong");
	static const char *const bad[] = { "",
					   "1000",
					   "1000-2000",
					   "1000-1000 r--p 0 0:0 0 ",
					   "1000-2000 r 0 0:0 0 ",
					   "x-y r--p 0 0:0 0 " };
	for (size_t i = 0; i < LEN(bad); i++) {
		snprintf(room, sizeof(room), "%s", bad[i]);
		assert_false(maps_proc_parse(room, &m));
	}
}

/* What comes of a sequence of lines: '+' it is stored, '0' stored without its name, '-' it is not. */
static void test_cases(void **state)
{
	static const struct {
		const char *name, *stored;
		const char *lines[6];
	} table[] = {
		{ "a library as ld.so maps it, with RELRO, and again",
		  "-+-+--",
		  { "1000-9000 r--p 00000000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "5000-7000 r--p 00004000 fe:00 5 /lib/a.so",
		    "7000-9000 rw-p 00006000 fe:00 5 /lib/a.so",
		    "7000-8000 r--p 00006000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so" } },
		{ "its .bss, and memory that is not",
		  "+-+-",
		  { "7000-9000 rw-p 00006000 fe:00 5 /lib/a.so", "a000-b000 rw-p 00000000 00:00 0",
		    "9000-a000 rw-p 00000000 00:00 0", "9000-a000 rw-p 00000000 00:00 0" } },
		{ "another library where one was",
		  "++",
		  { "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 6 /lib/b.so" } },
		{ "the same file elsewhere in it",
		  "++",
		  { "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00002000 fe:00 5 /lib/a.so" } },
		{ "a file of that name, but another",
		  "++",
		  { "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 9 /lib/a.so" } },
		{ "memory where a library was",
		  "+0--+",
		  { "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so", "4000-8000 rw-p 00000000 00:00 0",
		    "4000-8000 rw-p 00000000 00:00 0", "2000-4000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so" } },
		{ "a file that is read where a library was",
		  "+0-",
		  { "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r--p 00000000 fe:00 7 /etc/a",
		    "2000-5000 r--p 00000000 fe:00 8 /etc/b" } },
		{ "data that becomes code",
		  "++-",
		  { "2000-5000 rw-p 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 r-xp 00001000 fe:00 5 /lib/a.so",
		    "2000-5000 rw-p 00001000 fe:00 5 /lib/a.so" } },
		{ "shared memory, of each kind",
		  "++++-",
		  { "1000-2000 rw-s 00000000 00:01 5 /dev/zero (deleted)",
		    "2000-3000 rw-s 00000000 00:18 6 /dev/shm/x",
		    "3000-4000 rw-s 00000000 00:01 7 /memfd:x (deleted)",
		    "4000-5000 r--s 00000000 fe:00 8 /tmp/x",
		    "3000-4000 rw-s 00000000 00:01 7 /memfd:x (deleted)" } },
		{ "devices and the kernel's rings",
		  "---",
		  { "1000-2000 rw-s 00000000 00:05 5 /dev/dri/card0",
		    "2000-3000 rw-s 00000000 00:0e 6 anon_inode:[perf_event]",
		    "3000-4000 rw-p 00000000 00:05 7 /dev/mem" } },
		{ "the kernel's own",
		  "++-+-",
		  { "1000-2000 rw-p 00000000 00:00 0 [heap]",
		    "2000-3000 rw-p 00000000 00:00 0 [stack]",
		    "3000-4000 r--p 00000000 00:00 0 [vvar]",
		    "4000-5000 r-xp 00000000 00:00 0 [vdso]",
		    "1000-2000 rw-p 00000000 00:00 0 [heap]" } },
		{ "code without a file",
		  "+-",
		  { "1000-9000 rwxp 00000000 00:00 0", "1000-9000 r-xp 00000000 00:00 0 //anon" } },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		struct maps_keep *k = maps_keep_new(false);

		assert_int_equal(maps_keep_process(k, PID, true), 0);
		print_message("  %s\n", table[i].name);
		for (size_t at = 0; table[i].stored[at]; at++) {
			char room[128];
			struct mapping m = parse(table[i].lines[at], room, sizeof(room));
			bool had_name = *m.path;
			int r = maps_keep_mapped(k, &m);
			/* memory without a name is '0' where it hides one, '+' where it is stored for itself */
			char wanted = table[i].stored[at] == '0' && !had_name ? '+' :
										table[i].stored[at];
			char is = !r ? '-' : had_name && !*m.path ? '0' : '+';

			if (is != wanted)
				fail_msg("line %zu: %c, not %c", at, is, wanted);
		}
		maps_keep_free(k);
	}
}

/* ---- programs that would flood the trace ---- */

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

static unsigned int flood(struct maps_keep *k, struct mapping (*nth)(unsigned int i))
{
	unsigned int stored = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		struct mapping m = nth(i);
		int r = maps_keep_mapped(k, &m);

		assert_true(r >= 0);
		stored += (unsigned int)r;
	}
	return stored;
}

static struct mapping same_place(unsigned int i)
{
	return anon(PAGE, (2 + i % 64) * PAGE, PROT_READ | PROT_WRITE);
}

static struct mapping downwards(unsigned int i)
{
	return anon((200000ull - i) * PAGE, (200001ull - i) * PAGE, PROT_READ | PROT_WRITE);
}

static struct mapping jit_toggles(unsigned int i)
{
	return anon(PAGE, 9 * PAGE, PROT_READ | (i & 1 ? PROT_WRITE : PROT_EXEC));
}

static struct mapping jit_grows(unsigned int i)
{
	return anon(PAGE, (2ull + i) * PAGE, PROT_READ | PROT_EXEC);
}

static struct mapping heap_grows(unsigned int i)
{
	struct mapping m = anon(PAGE, (2ull + i) * PAGE, PROT_READ | PROT_WRITE);

	m.path = "[heap]";
	return m;
}

static struct mapping one_file(unsigned int i)
{
	struct mapping m = anon(PAGE, 2 * PAGE, PROT_READ | PROT_WRITE);

	(void)i;
	m.path = "/tmp/x";
	m.flags = MAP_SHARED;
	return m;
}

static struct mapping file_window(unsigned int i)
{
	struct mapping m = one_file(i);

	m.offset = i * PAGE;
	return m;
}

static struct mapping many_libraries(unsigned int i)
{
	struct mapping m = anon(i * 2 * PAGE, (i * 2 + 1) * PAGE, PROT_READ | PROT_EXEC);

	m.path = "/lib/x.so";
	m.inode = i + 1;
	return m;
}

static void test_floods(void **state)
{
	static const struct {
		const char *name;
		struct mapping (*nth)(unsigned int i);
		unsigned int least, most;
		bool skips;
	} table[] = {
		{ "memory at one place", same_place, 0, 0, false },
		{ "memory in new places", downwards, 0, 0, false },
		{ "a JIT that toggles its pages", jit_toggles, 1, 1, false },
		{ "a JIT that grows by pages", jit_grows, 20, 120, false },
		{ "a heap that grows by pages", heap_grows, 20, 120, false },
		{ "one shared file", one_file, 1, 1, false },
		{ "a window over a file", file_window, KEEP_MAX, KEEP_MAX, true },
		{ "libraries without end", many_libraries, KEEP_MAX, KEEP_MAX, true },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		struct maps_keep *k = maps_keep_new(false);
		unsigned int stored;

		assert_int_equal(maps_keep_process(k, PID, true), 0);
		stored = flood(k, table[i].nth);
		print_message("  %s: %u\n", table[i].name, stored);
		assert_in_range(stored, table[i].least, table[i].most);
		assert_int_equal(maps_keep_skipped(k), table[i].skips ? 100000 - KEEP_MAX : 0);
		/* another program begins with all of it */
		assert_int_equal(maps_keep_exec(k, PID), 1);
		assert_in_range(flood(k, table[i].nth), table[i].least, table[i].most);
		maps_keep_free(k);
	}
}

/* ---- processes ---- */

static int map_code(struct maps_keep *k, uint32_t tgid, uint64_t page, uint64_t inode)
{
	struct mapping m = anon(page * PAGE, (page + 1) * PAGE, PROT_EXEC);

	m.tgid = tgid;
	m.inode = inode;
	m.path = "/lib/x.so";
	return maps_keep_mapped(k, &m);
}

static void test_forks(void **state)
{
	struct maps_keep *k = maps_keep_new(false);

	(void)state;
	assert_int_equal(map_code(k, 1, 1, 7), 0);
	maps_keep_process(k, 1, true);
	maps_keep_process(k, 2, false);
	assert_int_equal(map_code(k, 1, 1, 7), 1);
	assert_int_equal(maps_keep_fork(k, 1, 3), 1);
	assert_int_equal(map_code(k, 3, 1, 7), 0); /* a copy of its parent's */
	assert_int_equal(map_code(k, 3, 2, 7), 1); /* its own from here on */
	assert_int_equal(map_code(k, 1, 2, 7), 1);
	assert_int_equal(maps_keep_exec(k, 3), 1);
	assert_int_equal(map_code(k, 3, 1, 7), 1);
	assert_int_equal(map_code(k, 1, 1, 7), 0);
	assert_int_equal(maps_keep_fork(k, 2, 4), 0); /* a thread's process is not followed */
	assert_false(maps_keep_traced(k, 4));
	assert_int_equal(maps_keep_fork(k, 3, 5), 1);
	assert_int_equal(maps_keep_fork(k, 5, 6), 1);
	assert_true(maps_keep_traced(k, 6));
	assert_int_equal(maps_keep_fork(k, 99, 6), 0); /* its number is used again */
	assert_false(maps_keep_traced(k, 6));
	assert_int_equal(maps_keep_exec(k, 6), 0);
	maps_keep_exit(k, 1);
	assert_int_equal(map_code(k, 1, 1, 7), 1); /* not wrong, only told twice */
	assert_int_equal(maps_keep_fork(k, 0, 8), 0);
	assert_false(maps_keep_traced(k, 0));
	maps_keep_free(k);
}

#define NO_PID (1u << 30) /* above any that the kernel gives: PID_MAX_LIMIT is 2^22 */

/* A hundred thousand processes, of which ten live at a time; and one whose first thread alone has ended. */
static void test_ended(void **state)
{
	struct maps_keep *k = maps_keep_new(false);
	uint32_t us = (uint32_t)getpid();

	(void)state;
	maps_keep_process(k, 1, true);
	maps_keep_process(k, us, true);
	assert_int_equal(map_code(k, us, 1, 7), 1);
	maps_keep_exit(k, us);
	for (uint32_t i = 0; i < 100000; i++) {
		assert_int_equal(maps_keep_fork(k, 1, NO_PID + i), 1);
		assert_int_equal(map_code(k, NO_PID + i, 1, 7), 1);
		if (i >= 10)
			maps_keep_exit(k, NO_PID + i - 10);
		assert_true(maps_keep_room(k) <= 128);
	}
	for (uint32_t i = 100000 - 10; i < 100000; i++)
		assert_int_equal(map_code(k, NO_PID + i, 1, 7),
				 0); /* it is known of those that live */
	assert_true(maps_keep_traced(k, us));
	for (uint32_t i = 0; i < 1000; i++)
		maps_keep_fork(k, 1, NO_PID + 200000 + i);
	assert_true(maps_keep_room(k) >= 2000); /* they all live */
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(maps_keep_traced(k, NO_PID + 200000 + i));
	maps_keep_free(k);
}

static void test_everyone(void **state)
{
	struct maps_keep *k = maps_keep_new(true);

	(void)state;
	maps_keep_except(k, 1);
	for (uint32_t pid = 1; pid < 3000; pid++)
		assert_int_equal(map_code(k, pid, 1, 7), pid != 1);
	assert_int_equal(maps_keep_fork(k, 1, 5000), 1);
	assert_int_equal(maps_keep_exec(k, 7000), 1);
	assert_false(maps_keep_traced(k, 1));
	maps_keep_free(k);
}

/* ---- against a model ---- */

#define NR_PAGES 32

/* What a page is: a file (0: none) at a distance, and whether it can be executed. */
struct page {
	unsigned int file;
	uint64_t distance;
	bool code;
};

static void set_pages(struct page *pages, const struct mapping *m)
{
	for (uint64_t at = m->start / PAGE; at < m->end / PAGE; at++)
		pages[at] = (struct page){ m->path[0] == '/' && m->path[1] != '/' ? m->path[2] : 0,
					   m->start - m->offset, m->prot & PROT_EXEC };
}

static struct mapping random_mapping(void)
{
	static const char *const paths[] = { "//anon", "/fa", "/fb", "/fc" };
	uint64_t start = random_below(NR_PAGES), file = random_below(LEN(paths));
	struct mapping m = anon(start * PAGE, (start + 1 + random_below(NR_PAGES - start)) * PAGE,
				(uint32_t)random_below(8));

	m.path = paths[file];
	m.inode = file;
	m.flags = file && !random_below(4) ? MAP_SHARED : MAP_PRIVATE;
	m.offset = file ? m.start - random_below(2) * PAGE * (start > 1) : 0;
	return m;
}

/*
 * A reader of the trace must know each page of code and of data by its right name, and must not have a name for one that has
 * another, or none. A page that nobody can write to or execute may have its own name or none.
 */
static void check_pages(const struct page *truth, const uint32_t *prot, const struct page *read)
{
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		bool same = read[i].file == truth[i].file &&
			    (!truth[i].file || read[i].distance == truth[i].distance);

		if (truth[i].file && (prot[i] & (PROT_WRITE | PROT_EXEC)))
			assert_true(same && (read[i].code || !truth[i].code));
		else
			assert_true(same || !read[i].file);
	}
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned int run = 0; run < 2000; run++) {
		struct page truth[NR_PAGES] = { 0 }, read[NR_PAGES] = { 0 };
		uint32_t prot[NR_PAGES] = { 0 };
		struct maps_keep *k = maps_keep_new(false);

		maps_keep_process(k, PID, true);
		for (unsigned int i = 0; i < 50; i++) {
			struct mapping m = random_mapping();

			set_pages(truth, &m);
			for (uint64_t at = m.start / PAGE; at < m.end / PAGE; at++)
				prot[at] = m.prot;
			if (maps_keep_mapped(k, &m))
				set_pages(read, &m);
			check_pages(truth, prot, read);
		}
		maps_keep_free(k);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),  cmocka_unit_test(test_cases),
		cmocka_unit_test(test_floods), cmocka_unit_test(test_forks),
		cmocka_unit_test(test_ended),  cmocka_unit_test(test_everyone),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
