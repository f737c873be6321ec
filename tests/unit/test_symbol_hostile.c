// SPDX-License-Identifier: GPL-2.0-only
/* ELF files that are cut, mangled, changed, or unpack to too much: some answer, soon, and no crash. MANGLED=N: so many of them. */
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/cfi.h"
#include "symbol/elf_image.h"
#include "symbol/elf_symbols.h"
#include "random.h"
#include "symbol_help.h"

static bool no_memory(void *arg, uint64_t address, uint64_t *ret_value)
{
	*ret_value = address + 8;
	return arg == NULL && address & 8;
}

/* Asks everything that can be asked of a file. */
static size_t use_up(const char *path)
{
	struct cfi_frame frame = { .read = no_memory };
	struct elf_symbols *s;
	struct elf_symbol symbol;
	struct cfi_row row;
	struct cfi *cfi;
	struct err err;
	size_t used = 0;

	memset(frame.known, true, sizeof(frame.known));
	if (elf_symbols_open(path, NULL, 0, NULL, &s, &err))
		return 0;
	for (uint64_t at = 0; at < 0x12000; at += 0x123) {
		used += elf_symbols_function(s, at, &symbol);
		used += elf_symbols_object(s, at, &symbol);
	}
	elf_symbols_find_object(s, "_PyRuntime", &symbol);
	if (!cfi_open(s, &cfi)) {
		for (uint64_t at = 0; at < 0x12000; at += 0x11) {
			uint64_t value;

			if (!cfi_row_at(cfi, at, &row))
				continue;
			used++;
			if (row.cfa_is_expr)
				used += cfi_evaluate(cfi, row.cfa_value, &frame, NULL, &value);
		}
		cfi_close(cfi);
	}
	elf_symbols_close(s);
	return used;
}

/* Offsets where a changed byte matters: headers, section headers, symbols, notes; and the whole of .eh_frame. */
static size_t pick_offset(uint64_t *seed, const uint8_t *bytes, size_t len, size_t eh,
			  size_t eh_len)
{
	uint64_t sections;

	memcpy(&sections, bytes + 40, sizeof(sections)); /* e_shoff */
	switch (random_next(seed) % 5) {
	case 0:
		return random_next(seed) % 64;
	case 1:
		return random_next(seed) % 4096;
	case 2:
		return sections + random_next(seed) % (len - sections);
	case 3:
		return random_next(seed) % len;
	default:
		return eh + random_next(seed) % eh_len;
	}
}

static void eh_frame_of(const char *path, size_t *ret_offset, size_t *ret_len)
{
	struct elf_image image;
	struct err err;
	GElf_Shdr shdr;

	assert_int_equal(elf_image_open(path, &image, &err), 0);
	assert_non_null(elf_image_section(&image, ".eh_frame", 1 << 20, &shdr));
	*ret_offset = shdr.sh_offset;
	*ret_len = shdr.sh_size;
	elf_image_close(&image);
}

static void test_mangled_files(void **state)
{
	const char *more = getenv("MANGLED");
	size_t rounds = more ? strtoul(more, NULL, 10) : 1500, len, eh, eh_len, used = 0;
	char buf[64], *d = help_dir_new(buf), library[PATH_MAX], path[128];
	uint64_t seed = 88172645463325252u;
	uint8_t *bytes, *copy;

	(void)state;
	help_loaded("/libcmocka.so", library);
	bytes = help_read(library, &len);
	copy = malloc(len);
	assert_non_null(copy);
	eh_frame_of(library, &eh, &eh_len);
	snprintf(path, sizeof(path), "%s/mangled", d);
	assert_true(use_up(library) > 100);
	for (size_t i = 0; i < rounds; i++) {
		size_t flips = 1 + random_next(&seed) % 8;

		memcpy(copy, bytes, len);
		while (flips--)
			copy[pick_offset(&seed, bytes, len, eh, eh_len)] =
				(uint8_t)(random_next(&seed) % 3 ? random_next(&seed) : 0xff);
		help_write(path, copy, len);
		used += use_up(path);
	}
	for (size_t cut = 0; cut < len; cut += cut < 1024 ? 31 : len / 100) {
		help_write(path, bytes, cut);
		used += use_up(path);
	}
	assert_true(used > rounds);
	free(copy);
	free(bytes);
	help_dir_remove(d);
}

/* It is cut after it was opened, before its symbols are read. */
static void test_changed_after_open(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct elf_symbols *s;
	struct elf_symbol symbol;
	struct cfi *cfi;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", d);
	help_run("cp /proc/%d/exe %s", getpid(), path);
	s = help_open(path);
	assert_int_equal(truncate(path, 5000), 0);
	assert_false(elf_symbols_find_function(s, "symbol_test_function", &symbol));
	assert_int_equal(cfi_open(s, &cfi), -ESTALE);
	elf_symbols_close(s);
	help_dir_remove(d);
}

/* 45 KB that unpack to 300 MB of zeros: must be given up, in little time and memory. */
static void test_debugdata_bomb(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct timespec begin, end;
	struct rusage before, after;
	struct elf_symbols *s;
	struct elf_symbol symbol;

	(void)state;
	snprintf(path, sizeof(path), "%s/packed", d);
	help_run(
		"cd %s && head -c 300M /dev/zero | xz -0 >bomb.xz && strip -o bare /proc/%d/exe && objcopy --add-section .gnu_debugdata=bomb.xz bare packed",
		d, getpid());
	getrusage(RUSAGE_SELF, &before);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	s = help_open(path);
	assert_false(elf_symbols_find_function(s, "main", &symbol));
	elf_symbols_close(s);
	clock_gettime(CLOCK_MONOTONIC, &end);
	getrusage(RUSAGE_SELF, &after);
	assert_true(end.tv_sec - begin.tv_sec < 5);
	assert_true(after.ru_maxrss - before.ru_maxrss < 20 << 10); /* kilobytes */
	help_dir_remove(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mangled_files),
		cmocka_unit_test(test_changed_after_open),
		cmocka_unit_test(test_debugdata_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
