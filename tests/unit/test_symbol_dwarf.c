// SPDX-License-Identifier: GPL-2.0-only
/* Inlined functions and lines against addr2line, for programs built in each way that matters. */
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

#include "symbol/elf_dwarf.h"
#include "symbol/elf_symbols.h"
#include "symbol/names.h"
#include "symbol_help.h"
#include "symbol_source.h"

#define MAX_FRAMES 64

/* "name" and "dir/file.c:12 (discriminator 3)" of addr2line: the file's last part and the line remain. */
static void cut_place(const char *place, char *ret_file, size_t size, int *ret_line)
{
	const char *slash = strrchr(place, '/'), *colon;

	place = slash ? slash + 1 : place;
	colon = strrchr(place, ':');
	assert_non_null(colon);
	snprintf(ret_file, size, "%.*s", (int)(colon - place), place);
	*ret_line = (int)strtol(colon + 1, NULL, 10);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

struct comparison {
	struct names names;
	struct elf_symbols *symbols;
	struct elf_dwarf *dwarf;
	size_t addresses, frames, inlined, lines, other_names;
};

/* Compares the frames of one address with the pairs of lines that addr2line printed for it. */
static void compare(struct comparison *c, uint64_t address, char (*theirs)[8192], size_t nr_theirs)
{
	struct elf_dwarf_frame ours[MAX_FRAMES];
	size_t nr = elf_dwarf_at(c->dwarf, address, true, ours, MAX_FRAMES);
	struct elf_symbol symbol;
	const char *outer;
	char file[512];
	int line;

	/* no DWARF there: the start-up code */
	if (!nr || !ours[0].name)
		return;
	if (nr != nr_theirs / 2)
		fail_msg("%lx: %zu frames, not %zu", address, nr, nr_theirs / 2);
	outer = elf_symbols_function(c->symbols, address, &symbol) ? symbol.name : "??";
	for (size_t i = 0; i < nr; i++) {
		const struct elf_dwarf_frame *f = &ours[nr - 1 - i];
		const char *name = names_demangled(&c->names, f->name ? f->name : "??");

		/* the outermost function may have the symbol's name, as frames.c says it, too */
		if (strcmp(name, names_demangled(&c->names, theirs[2 * i])) &&
		    (i + 1 < nr || strcmp(outer, theirs[2 * i]))) {
			/* addr2line takes it where the innermost one has no mangled name */
			if (i)
				fail_msg("%lx: %s, not %s", address, name, theirs[2 * i]);
			c->other_names++;
		}
		cut_place(theirs[2 * i + 1], file, sizeof(file), &line);
		if (line && (line != f->line || !f->file || strcmp(base_of(f->file), file)))
			fail_msg("%lx: %s:%d, not %s:%d", address, f->file ? f->file : "??",
				 f->line, file, line);
		c->lines += line > 0;
	}
	c->addresses++;
	c->frames += nr;
	c->inlined += nr - 1;
}

/* Every `step`-th address of a program's code; `path` is the file asked, `full` the one that addr2line reads. */
static void compare_all(const char *path, const char *full, const char *debug, uint64_t step,
			struct comparison *c)
{
	static char theirs[2 * MAX_FRAMES][8192];
	struct elf_where where = { .debug = debug };
	const struct elf_segment *seg;
	struct elf_symbols *s;
	char command[PATH_MAX + 160], line[8192];
	uint64_t address = 0;
	size_t nr = 0;
	struct err err;
	FILE *f;

	*c = (struct comparison){ 0 };
	assert_int_equal(elf_symbols_open(path, NULL, 0, &where, &s, &err), 0);
	assert_int_equal(elf_dwarf_open(s, &c->dwarf), 0);
	c->symbols = s;
	seg = source_code(s);
	snprintf(command, sizeof(command),
		 "seq %lu %lu %lu | xargs printf '%%x\n' | addr2line -f -i -a -e %s", seg->address,
		 step, seg->address + seg->file_bytes - 1, full);
	f = popen(command, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0x", 2)) {
			if (nr)
				compare(c, address, theirs, nr);
			address = strtoull(line, NULL, 16);
			nr = 0;
		} else {
			assert_true(nr < 2 * MAX_FRAMES);
			strcpy(theirs[nr++], line);
		}
	}
	if (nr)
		compare(c, address, theirs, nr);
	assert_int_equal(pclose(f), 0);
	assert_false(elf_dwarf_tired(c->dwarf));
	if (c->other_names > c->addresses / 10)
		fail_msg("%zu of %zu have other names", c->other_names, c->addresses);
	elf_dwarf_close(c->dwarf);
	elf_symbols_close(s);
	names_free(&c->names);
}

/* Where the inlined chain of source_chain is: the answer is known without another program. */
static void check_chain(const char *path, bool gcc)
{
	static const int level3_in_level2[] = { 4, 5 };
	struct elf_symbols *s = help_open(path);
	struct elf_dwarf_frame f[MAX_FRAMES];
	struct elf_symbol outer;
	struct elf_dwarf *d;
	unsigned int seen = 0;

	assert_int_equal(elf_dwarf_open(s, &d), 0);
	assert_true(elf_symbols_find_function(s, "outer", &outer));
	for (uint64_t at = outer.address; at < outer.address + outer.size; at++) {
		size_t nr = elf_dwarf_at(d, at, true, f, MAX_FRAMES);

		assert_true(nr >= 1);
		assert_string_equal(f[0].name, "outer");
		if (nr != 4)
			continue;
		assert_string_equal(f[1].name, "level1");
		assert_string_equal(f[2].name, "level2");
		assert_string_equal(f[3].name, "level3");
		assert_string_equal(base_of(f[3].file), "chain.c");
		assert_int_equal(f[0].line, 13);
		assert_int_equal(f[1].line, 9);
		/* clang gives line 0 to what it made of several lines */
		assert_true(f[3].line == 2 || (!gcc && !f[3].line));
		for (unsigned int i = 0; i < 2; i++)
			seen |= f[2].line == level3_in_level2[i] ? 1u << i : 0;
		/* of more than fit, the outermost */
		assert_int_equal(elf_dwarf_at(d, at, true, f, 2), 2);
		assert_string_equal(f[1].name, "level1");
	}
	assert_true(gcc ? seen == 3 : seen);
	assert_int_equal(elf_dwarf_at(d, outer.address + (1u << 30), true, f, MAX_FRAMES), 0);
	elf_dwarf_close(d);
	elf_symbols_close(s);
}

static void test_known_chain(void **state)
{
	static const char *const flags[] = {
		"-O2 -g",  "-O2 -gdwarf-4 -no-pie",      "-O2 -gdwarf-3",     "-O2 -g -gz=zlib",
		"-O2 -g1", "-O3 -g -ffunction-sections", "-O2 -g -static-pie"
	};
	char buf[64], *d = help_dir_new(buf), path[128];

	(void)state;
	source_write(d, "chain.c", source_chain);
	snprintf(path, sizeof(path), "%s/chain", d);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		help_run("gcc %s -o %s %s/chain.c", flags[i], path, d);
		check_chain(path, true);
	}
	if (source_have("clang")) {
		help_run("clang -O2 -g -o %s %s/chain.c", path, d);
		check_chain(path, false);
		help_run("clang -O2 -gdwarf-4 -o %s %s/chain.c", path, d);
		check_chain(path, false);
	}
	help_dir_remove(d);
}

static void test_cpp_as_addr2line(void **state)
{
	static const char *const flags[] = { "-O2 -g", "-O2 -gdwarf-4 -no-pie" };
	char buf[64], *d = help_dir_new(buf), path[128];
	struct comparison c;

	(void)state;
	if (!source_have("g++") || !source_have("addr2line"))
		skip();
	snprintf(path, sizeof(path), "%s/shop", d);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		source_build_cpp(d, flags[i], "shop");
		compare_all(path, path, NULL, 3, &c);
		assert_true(c.addresses > 500 && c.inlined > 4 * c.addresses / 2 && c.lines > 500);
	}
	help_dir_remove(d);
}

static void test_rust_as_addr2line(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct comparison c;

	(void)state;
	if (!source_have("rustc") || !source_have("addr2line")) {
		help_dir_remove(d);
		skip();
	}
	source_write(d, "sum.rs",
		     "fn main() { let v: Vec<i32> = (0..10).collect();\n"
		     " let s: i32 = v.iter().map(|x| x * 2).sum(); println!(\"{}\", s); }\n");
	snprintf(path, sizeof(path), "%s/sum", d);
	help_run("cd %s && rustc -O -g -o sum sum.rs", d);
	compare_all(path, path, NULL, 997, &c);
	assert_true(c.addresses > 100 && c.inlined > c.addresses);
	help_dir_remove(d);
}

/* The DWARF beside the stripped program: by .gnu_debuglink, by build-id; and common parts moved out by dwz. */
static void test_separate_files(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], full[128], debug[128];
	struct comparison c;
	struct elf_symbols *s;

	(void)state;
	if (!source_have("g++") || !source_have("addr2line"))
		skip();
	snprintf(path, sizeof(path), "%s/bare", d);
	snprintf(full, sizeof(full), "%s/shop", d);
	source_build_cpp(d, "-O2 -g", "shop");
	help_run("cd %s && objcopy --only-keep-debug shop shop.debug && strip -o bare shop && "
		 "objcopy --add-gnu-debuglink=shop.debug bare",
		 d);
	compare_all(path, full, NULL, 7, &c);
	assert_true(c.addresses > 200 && c.inlined > c.addresses);
	help_run(
		"cd %s && strip -o bare shop && id=$(readelf -n shop | sed -n 's/.*Build ID: //p') && "
		"mkdir -p debug/.build-id/${id%%${id#??}} && "
		"mv shop.debug debug/.build-id/${id%%${id#??}}/${id#??}.debug",
		d);
	snprintf(debug, sizeof(debug), "%s/debug", d);
	compare_all(path, full, debug, 7, &c);
	assert_true(c.addresses > 200 && c.inlined > c.addresses);
	s = help_open(path);
	assert_int_equal(elf_dwarf_open(s, &c.dwarf), -ENOENT);
	elf_symbols_close(s);
	help_dir_remove(d);
}

static void test_dwz(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], full[128];
	struct comparison c;
	struct elf_symbols *s;

	(void)state;
	if (!source_have("g++") || !source_have("addr2line") || !source_have("dwz")) {
		help_dir_remove(d);
		skip();
	}
	source_build_cpp(d, "-O2 -g", "shop");
	source_build_cpp(d, "-O1 -g", "other");
	help_run("cd %s && cp shop full && dwz -m common.dwz shop other && "
		 "readelf -S shop | grep -q gnu_debugaltlink",
		 d);
	snprintf(path, sizeof(path), "%s/shop", d);
	snprintf(full, sizeof(full), "%s/full", d);
	compare_all(path, full, NULL, 7, &c);
	assert_true(c.addresses > 200 && c.inlined > c.addresses);
	/* another file under that name, or a pipe that would be waited for: no DWARF, and at once */
	help_run("cd %s && rm common.dwz && mkfifo common.dwz", d);
	s = help_open(path);
	assert_int_equal(elf_dwarf_open(s, &c.dwarf), -ENODATA);
	help_run("cd %s && rm common.dwz && cp full common.dwz", d);
	assert_int_equal(elf_dwarf_open(s, &c.dwarf), -ENODATA);
	elf_symbols_close(s);
	help_dir_remove(d);
}

/*
 * Two units have a function that the linker keeps once; as both are of one size, it lets the other's debug information point to what was
 * kept. That is of the first file.
 */
static void test_kept_once(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct elf_dwarf_frame f[MAX_FRAMES];
	struct elf_symbol symbol;
	struct elf_symbols *s;
	struct elf_dwarf *dwarf;

	(void)state;
	if (!source_have("g++")) {
		help_dir_remove(d);
		skip();
	}
	source_write(
		d, "unit.cc",
		"#line LINE \"unit.h\"\n"
		"template <typename T> __attribute__((noinline)) T twice(T x) { asm(\"\"); return 2 * x; }\n"
		"#line 1 \"unit.cc\"\n"
		"int USER(int x) { return twice(x) + 1; }\n");
	source_write(d, "main.cc",
		     "int first(int), second(int);\n"
		     "int main(int c, char **) { return first(c) + second(c); }\n");
	snprintf(path, sizeof(path), "%s/kept", d);
	help_run("cd %s && g++ -O2 -g -DLINE=100 -DUSER=first -c unit.cc -o first.o && "
		 "g++ -O2 -g -DLINE=200 -DUSER=second -c unit.cc -o second.o && "
		 "g++ -O2 -g main.cc first.o second.o -o kept",
		 d);
	s = help_open(path);
	assert_int_equal(elf_dwarf_open(s, &dwarf), 0);
	assert_true(elf_symbols_find_function(s, "_Z5twiceIiET_S0_", &symbol));
	assert_int_equal(elf_dwarf_at(dwarf, symbol.address, true, f, MAX_FRAMES), 1);
	assert_int_equal(f[0].line, 100);
	elf_dwarf_close(dwarf);
	elf_symbols_close(s);
	help_dir_remove(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_chain),
		cmocka_unit_test(test_cpp_as_addr2line),
		cmocka_unit_test(test_rust_as_addr2line),
		cmocka_unit_test(test_separate_files),
		cmocka_unit_test(test_dwz),
		cmocka_unit_test(test_kept_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
