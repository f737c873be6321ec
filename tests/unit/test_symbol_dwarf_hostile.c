// SPDX-License-Identifier: GPL-2.0-only
/* DWARF that is mangled, cut, packed, or costs too much: some answer, soon, and no crash. MANGLED=N: so many mangled files. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "symbol/elf_dwarf_internal.h"
#include "symbol/elf_symbols.h"
#include "random.h"
#include "symbol_help.h"
#include "symbol_source.h"

#define MAX_FRAMES 64

/* Asks for addresses all over the code; returns how many frames came. */
static size_t use_up(const char *path, uint64_t begin, uint64_t end)
{
	struct elf_dwarf_frame f[MAX_FRAMES];
	struct elf_symbols *s;
	struct elf_dwarf *d;
	struct err err;
	size_t used = 0;

	if (elf_symbols_open(path, NULL, 0, NULL, &s, &err))
		return 0;
	if (!elf_dwarf_open(s, &d)) {
		for (uint64_t at = begin; at < end; at += 97) {
			size_t nr = elf_dwarf_at(d, at, true, f, MAX_FRAMES);

			assert_true(nr <= MAX_FRAMES);
			for (size_t i = 0; i < nr; i++)
				used += 1 + (f[i].name && strlen(f[i].name)) +
					(f[i].file && strlen(f[i].file));
		}
		elf_dwarf_close(d);
	}
	elf_symbols_close(s);
	return used;
}

/* Where a section's bytes are in the file, as readelf -SW says. */
static bool section_of(const char *path, const char *name, size_t *ret_offset, size_t *ret_len)
{
	char command[PATH_MAX + 128];
	bool found;
	FILE *f;

	snprintf(
		command, sizeof(command),
		"readelf -SW %s | sed -n 's/.* \\%s  *PROGBITS  *[0-9a-f]* \\([0-9a-f]*\\) \\([0-9a-f]*\\) .*/\\1 \\2/p'",
		path, name);
	f = popen(command, "re");
	assert_non_null(f);
	found = fscanf(f, "%zx %zx", ret_offset, ret_len) == 2;
	pclose(f);
	return found;
}

static void test_mangled_dwarf(void **state)
{
	static const char *const sections[] = { ".debug_info", ".debug_abbrev",
						".debug_line", ".debug_rnglists",
						".debug_str",  ".debug_line_str",
						".debug_info" };
	const char *more = getenv("MANGLED");
	size_t rounds = more ? strtoul(more, NULL, 10) : 300, len, offset[7], bytes_of[7], used = 0;
	char buf[64], *d = help_dir_new(buf), path[128];
	uint64_t seed = 88172645463325252u, begin, started = monotonic_ns();
	uint8_t *bytes, *copy;
	struct elf_symbols *s;

	(void)state;
	if (!source_have("g++"))
		skip();
	snprintf(path, sizeof(path), "%s/shop", d);
	source_build_cpp(d, "-O2 -g", "shop");
	for (size_t i = 0; i < 7; i++)
		assert_true(section_of(path, sections[i], &offset[i], &bytes_of[i]));
	bytes = help_read(path, &len);
	copy = malloc(len);
	assert_non_null(copy);
	s = help_open(path);
	begin = source_code(s)->address;
	elf_symbols_close(s);
	assert_true(use_up(path, begin, begin + 4096) > 20);
	for (size_t i = 0; i < rounds; i++) {
		size_t flips = 1 + random_next(&seed) % 6;

		memcpy(copy, bytes, len);
		while (flips--) {
			size_t in = random_next(&seed) % 7;
			size_t at = offset[in] + random_next(&seed) % bytes_of[in];

			copy[at] = (uint8_t)(random_next(&seed) % 3 ? random_next(&seed) : 0xff);
		}
		help_write(path, copy, len);
		used += use_up(path, begin, begin + 4096);
	}
	for (size_t cut = 64; cut < len; cut += len / 60) {
		help_write(path, bytes, cut);
		used += use_up(path, begin, begin + 4096);
	}
	assert_true(used > rounds);
	assert_true(monotonic_ns() - started < 60 * NSEC_PER_SEC);
	free(copy);
	free(bytes);
	help_dir_remove(d);
}

/* When a file has cost too many steps, its answers end, and that is told. */
static void test_given_up(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct elf_dwarf_frame f[MAX_FRAMES];
	struct elf_symbol outer;
	struct elf_symbols *s;
	struct elf_dwarf *dwarf;

	(void)state;
	source_write(d, "chain.c", source_chain);
	snprintf(path, sizeof(path), "%s/chain", d);
	help_run("gcc -O2 -g -o %s %s/chain.c", path, d);
	s = help_open(path);
	assert_true(elf_symbols_find_function(s, "outer", &outer));
	assert_int_equal(elf_dwarf_open(s, &dwarf), 0);
	assert_true(elf_dwarf_at(dwarf, outer.address, true, f, MAX_FRAMES) > 1);
	assert_false(elf_dwarf_tired(dwarf));
	dwarf->steps = 4;
	elf_dwarf_at(dwarf, outer.address, true, f, MAX_FRAMES);
	assert_true(elf_dwarf_tired(dwarf));
	assert_int_equal(elf_dwarf_at(dwarf, outer.address, true, f, MAX_FRAMES), 0);
	elf_dwarf_close(dwarf);
	elf_symbols_close(s);
	help_dir_remove(d);
}

/* A section of zeros that takes a thousandth of its size when packed: is not unpacked. */
static void test_packed_bomb(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct rusage before, after;
	struct elf_symbols *s;
	struct elf_dwarf *dwarf;

	(void)state;
	source_write(d, "chain.c", source_chain);
	snprintf(path, sizeof(path), "%s/bomb", d);
	help_run("cd %s && gcc -O2 -o bare chain.c && head -c 200M /dev/zero >zeros && "
		 "objcopy --add-section .debug_info=zeros bare full && "
		 "objcopy --compress-debug-sections=zlib full bomb && rm full zeros",
		 d);
	getrusage(RUSAGE_SELF, &before);
	s = help_open(path);
	assert_int_equal(elf_dwarf_open(s, &dwarf), -ENOENT);
	elf_symbols_close(s);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 20 << 10); /* kilobytes */
	help_dir_remove(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mangled_dwarf),
		cmocka_unit_test(test_packed_bomb),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
