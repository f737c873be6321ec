// SPDX-License-Identifier: GPL-2.0-only
/* Symbols of ELF files against nm; separate debug files. */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/elf_symbols.h"
#include "symbol_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Symbols of this program, which the tests look for. */
int symbol_test_object[5] = { 1, 2, 3 };
int symbol_test_bss[70000];
static int (*volatile chosen)(int);

__attribute__((noipa)) int symbol_test_function(int n);
__attribute__((noipa)) int symbol_test_function(int n)
{
	return n + symbol_test_object[1];
}

static bool is_function(char type)
{
	return strchr("TtWwi", type) != NULL;
}

/* V is a weak object; u a unique one. TLS symbols are told as D or B: they are left out by the section's address below. */
static bool is_object(char type)
{
	return strchr("DdBbRrVvu", type) != NULL;
}

/* Is the name that we give one of those that nm gives for the same address? */
static bool nm_agrees(const struct help_symbol *nm, size_t nr, const struct elf_symbol *ours)
{
	for (size_t i = 0; i < nr; i++) {
		if (nm[i].address == ours->address && !strcmp(nm[i].name, ours->name))
			return true;
	}
	return false;
}

/* Looks up both ends of every `step`-th symbol of nm's; returns how many were compared. */
static size_t compare_with_nm(const char *option, const char *path, size_t step, bool objects)
{
	struct elf_where where = { .debug = "/no/such" }; /* nm looks at no other file */
	struct help_symbol *nm;
	struct elf_symbols *s;
	size_t nr, compared = 0;
	struct err err;

	assert_int_equal(elf_symbols_open(path, NULL, 0, &where, &s, &err), 0);
	nm = help_nm(option, path, &nr);
	for (size_t i = 0; i < nr; i += step) {
		bool (*at)(struct elf_symbols *, uint64_t, struct elf_symbol *) =
			objects ? elf_symbols_object : elf_symbols_function;
		struct elf_symbol first, last;

		if (objects ? !is_object(nm[i].type) : !is_function(nm[i].type))
			continue;
		if (!at(s, nm[i].address, &first) || !at(s, nm[i].address + nm[i].size - 1, &last))
			fail_msg("%s of %s is not found", nm[i].name, path);
		if (!nm_agrees(nm, nr, &first))
			fail_msg("%s of %s: found %s", nm[i].name, path, first.name);
		assert_true(nm_agrees(nm, nr, &last));
		assert_int_equal(first.address, nm[i].address);
		assert_true(last.address + last.size > nm[i].address + nm[i].size - 1);
		compared++;
	}
	free(nm);
	elf_symbols_close(s);
	return compared;
}

static char *own_path(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	assert_true(n > 0);
	path[n] = '\0';
	return path;
}

static void test_functions_as_nm(void **state)
{
	char libc[PATH_MAX], exe[PATH_MAX];

	(void)state;
	help_loaded("/libc.so.6", libc);
	assert_true(compare_with_nm("-D", libc, 1, false) > 2000);
	assert_true(compare_with_nm("-D", "/usr/bin/python3", 1, false) > 1000);
	assert_true(compare_with_nm("", own_path(exe), 1, false) > 30);
}

static void test_objects_as_nm(void **state)
{
	char exe[PATH_MAX];

	(void)state;
	assert_true(compare_with_nm("-D", "/usr/bin/python3", 1, true) > 200);
	assert_true(compare_with_nm("", own_path(exe), 1, true) > 5);
}

static void test_best_name(void **state)
{
	/* Each has other names at the same address: __write, __libc_malloc, __pthread_mutex_lock, ... */
	static const char *const names[] = { "write",    "malloc", "pthread_mutex_lock", "read",
					     "sem_wait", "fork",   "pthread_cond_wait",  "open" };
	char libc[PATH_MAX];
	struct elf_symbols *s;

	(void)state;
	help_loaded("/libc.so.6", libc);
	s = help_open(libc);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct elf_symbol symbol, again;

		assert_true(elf_symbols_find_function(s, names[i], &symbol));
		assert_true(elf_symbols_function(s, symbol.address + 1, &again));
		if (strcmp(names[i], "open")) /* open64 has the same standing, and is longer */
			assert_string_equal(again.name, names[i]);
		assert_null(strchr(again.name, '@'));
	}
	elf_symbols_close(s);
}

/* Rows as one could read them from a file: which name is shown for an address? */
static void test_table_rules(void **state)
{
	static const struct row {
		const char *name;
		uint64_t address, size;
		unsigned char type, bind;
	} rows[] = {
		{ "__outer", 100, 100, STT_FUNC, STB_GLOBAL },
		{ "a_local", 100, 100, STT_FUNC, STB_LOCAL },
		{ "outer@@VERS_1", 100, 100, STT_FUNC, STB_WEAK },
		{ "label", 120, 0, STT_NOTYPE, STB_LOCAL },
		{ "inner", 150, 10, STT_FUNC, STB_LOCAL },
		{ "weak", 300, 8, STT_FUNC, STB_WEAK },
		{ "global", 300, 8, STT_FUNC, STB_GLOBAL },
		{ "local", 300, 8, STT_FUNC, STB_LOCAL },
		{ "sizeless", 400, 0, STT_FUNC, STB_GLOBAL },
		{ "_ZN1aC2Ev", 500, 4, STT_FUNC, STB_WEAK },
		{ "_ZN1aC1Ev.part.0", 500, 4, STT_FUNC, STB_WEAK },
		{ "last", 600, 0, STT_NOTYPE, STB_GLOBAL },
		{ "endless", 700, UINT64_MAX, STT_FUNC, STB_GLOBAL },
	};
	static const struct {
		uint64_t address;
		const char *name;
	} expected[] = {
		{ 99, NULL },        { 100, "outer" },     { 121, "outer" },
		{ 149, "outer" },    { 150, "inner" },     { 159, "inner" },
		{ 160, "outer" },    { 199, "outer" },     { 200, NULL },
		{ 303, "global" },   { 308, NULL },        { 400, "sizeless" },
		{ 499, "sizeless" }, { 500, "_ZN1aC2Ev" }, { 504, NULL },
		{ 600, "last" },     { 649, "last" },      { 650, NULL },
		{ 699, NULL },       { 700, "endless" },   { UINT64_MAX - 2, "endless" },
	};
	struct elf_table t = { 0 };
	struct elf_symbol symbol;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		assert_int_equal(elf_table_add(&t,
					       &(struct elf_table_new){ r->name, strlen(r->name),
									r->address, r->size, 650,
									r->type, r->bind }),
				 0);
	}
	elf_table_sort(&t);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		bool found = elf_table_at(&t, expected[i].address, &symbol);

		assert_int_equal(found, expected[i].name != NULL);
		if (found)
			assert_string_equal(symbol.name, expected[i].name);
	}
	assert_true(elf_table_find(&t, "label", &symbol));
	assert_true(elf_table_find(&t, "__outer", &symbol));
	assert_false(elf_table_find(&t, "outer@@VERS_1", &symbol));
	elf_table_free(&t);
}

static void test_build_id(void **state)
{
	char libc[PATH_MAX];
	uint8_t id[20] = { 1, 2, 3 };
	struct elf_symbols *s;
	struct err err;

	(void)state;
	help_loaded("/libc.so.6", libc);
	assert_int_equal(elf_symbols_open(libc, id, sizeof(id), NULL, &s, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "another build"));
	assert_int_equal(elf_symbols_open("/etc/passwd", NULL, 0, NULL, &s, &err), -ENOEXEC);
	assert_int_equal(elf_symbols_open("/dev/null", NULL, 0, NULL, &s, &err), -ENOEXEC);
	assert_int_equal(elf_symbols_open("/tmp", NULL, 0, NULL, &s, &err), -ENOEXEC);
	assert_int_equal(elf_symbols_open("/no/such", NULL, 0, NULL, &s, &err), -ENOENT);
}

static bool finds_own_function(const char *dir, const char *file)
{
	struct elf_where where = { .debug = dir };
	char path[PATH_MAX];
	struct elf_symbols *s;
	struct elf_symbol symbol;
	struct err err;
	bool found;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(elf_symbols_open(path, NULL, 0, &where, &s, &err), 0);
	found = elf_symbols_find_function(s, "symbol_test_function", &symbol) &&
		elf_symbols_function(s, symbol.address + symbol.size - 1, &symbol) &&
		!strcmp(symbol.name, "symbol_test_function");
	elf_symbols_close(s);
	return found;
}

static void test_separate_debug_files(void **state)
{
	char buf[64], *d = help_dir_new(buf), exe[PATH_MAX];

	(void)state;
	own_path(exe);
	help_run(
		"cd %s && cp '%s' whole && objcopy --only-keep-debug whole full.debug && strip -o bare whole",
		d, exe);
	assert_true(finds_own_function(d, "whole"));
	assert_false(finds_own_function(d, "bare"));

	help_run("cd %s && objcopy --add-gnu-debuglink=full.debug bare linked", d);
	assert_true(finds_own_function(d, "linked"));
	help_run("cd %s && mkdir .debug && mv full.debug .debug", d);
	assert_true(finds_own_function(d, "linked"));
	help_run("cd %s && mkdir -p ./%s && mv .debug/full.debug ./%s", d, d, d);
	assert_true(finds_own_function(d, "linked"));
	/* By its checksum, where there is no build-id; another file of that name is not taken. */
	help_run(
		"cd %s && cp ./%s/full.debug . && objcopy --remove-section=.note.gnu.build-id bare none && objcopy --add-gnu-debuglink=full.debug none crc",
		d, d);
	assert_true(finds_own_function(d, "crc"));
	help_run("cd %s && rm ./%s/full.debug && printf x >>full.debug", d, d);
	assert_false(finds_own_function(d, "crc"));

	help_run(
		"cd %s && id=$(readelf -n bare | sed -n 's/.*Build ID: //p') && mkdir -p .build-id/${id%%${id#??}} && "
		"objcopy --only-keep-debug whole .build-id/${id%%${id#??}}/${id#??}.debug",
		d);
	assert_true(finds_own_function(d, "bare"));
	help_run("cd %s && rm -r .build-id", d);
	assert_false(finds_own_function(d, "bare"));

	help_run(
		"cd %s && objcopy -S --keep-symbol=symbol_test_function whole mini && xz mini && objcopy --add-section .gnu_debugdata=mini.xz bare packed",
		d);
	assert_true(finds_own_function(d, "packed"));
	help_run(
		"cd %s && head -c 200 mini.xz >cut.xz && objcopy --add-section .gnu_debugdata=cut.xz bare packed",
		d);
	assert_false(finds_own_function(d, "packed"));
	help_dir_remove(d);
}

static void test_address_of_offset(void **state)
{
	struct elf_symbols *s = help_open("/proc/self/exe");
	struct elf_symbol symbol;
	const struct elf_segment *segs;
	uint64_t address;
	int value[5];
	size_t nr;

	(void)state;
	chosen = symbol_test_function;
	assert_int_equal(chosen(1), 3);
	assert_true(elf_symbols_find_object(s, "symbol_test_object", &symbol));
	assert_int_equal(symbol.size, sizeof(symbol_test_object));
	assert_int_equal(elf_symbols_read(s, symbol.address, value, sizeof(value)), 0);
	assert_int_equal(value[2], 3);
	segs = elf_symbols_segments(s, &nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t in = symbol.address - segs[i].address;

		if (in >= segs[i].file_bytes)
			continue;
		assert_true(elf_symbols_address(s, segs[i].offset + in, &address));
		assert_int_equal(address, symbol.address);
	}
	assert_true(elf_symbols_find_object(s, "symbol_test_bss", &symbol));
	assert_int_equal(elf_symbols_read(s, symbol.address + 200000, value, 4), -EFAULT);
	assert_false(elf_symbols_address(s, UINT64_MAX - 5, &address));
	elf_symbols_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_rules),
		cmocka_unit_test(test_functions_as_nm),
		cmocka_unit_test(test_objects_as_nm),
		cmocka_unit_test(test_best_name),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_separate_debug_files),
		cmocka_unit_test(test_address_of_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
