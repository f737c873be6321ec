// SPDX-License-Identifier: GPL-2.0-only
/* Call frame information of whole files, row by row, against libdw. CFI_FILE=PATH: of that file too, whatever machine it is for. */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/cfi.h"
#include "symbol_help.h"

/* A file as libdw reads it. */
struct theirs {
	int fd;
	Elf *elf;
	Dwarf_CFI *cfi;
};

static void theirs_open(struct theirs *t, const char *path)
{
	elf_version(EV_CURRENT);
	t->fd = open(path, O_RDONLY | O_CLOEXEC);
	t->elf = elf_begin(t->fd, ELF_C_READ, NULL);
	assert_non_null(t->elf);
	t->cfi = dwarf_getcfi_elf(t->elf);
	assert_non_null(t->cfi);
}

static void theirs_close(struct theirs *t)
{
	dwarf_cfi_end(t->cfi);
	elf_end(t->elf);
	close(t->fd);
}

static void compare_cfa(const struct cfi_row *row, Dwarf_Frame *frame)
{
	Dwarf_Op *ops;
	size_t nr;

	assert_int_equal(dwarf_frame_cfa(frame, &ops, &nr), 0);
	if (row->cfa_is_expr) {
		assert_true(nr > 1);
		return;
	}
	assert_int_equal(nr, 1);
	assert_int_equal(ops[0].atom, DW_OP_bregx);
	assert_int_equal(ops[0].number, row->cfa_register);
	assert_int_equal((int64_t)ops[0].number2, row->cfa_value);
}

/* How libdw says it: no operations are "the same" or "undefined", CFA + value is one or two, the rest an expression. */
static void compare_rule(const struct cfi_rule *rule, Dwarf_Frame *frame, int reg)
{
	Dwarf_Op room[3], *ops;
	size_t nr;
	int64_t value;

	assert_int_equal(dwarf_frame_register(frame, reg, room, &ops, &nr), 0);
	if (!nr &&
	    ops) { /* what the ABI does not preserve is undefined to libdw, unspecified to us */
		assert_true(rule->how == CFI_UNDEFINED || rule->how == CFI_UNSPECIFIED);
		return;
	}
	if (!nr) {
		assert_true(rule->how == CFI_SAME || rule->how == CFI_UNSPECIFIED);
		return;
	}
	if (rule->how != CFI_AT && rule->how != CFI_IS) {
		/* The stack pointer, when nothing is said, is the CFA. */
		assert_true(rule->how >= CFI_REGISTER || rule->how == CFI_UNSPECIFIED);
		return;
	}
	value = nr > 1 && ops[1].atom == DW_OP_plus_uconst ? (int64_t)ops[1].number : 0;
	assert_int_equal(ops[0].atom, DW_OP_call_frame_cfa);
	assert_int_equal(value, rule->value);
	assert_int_equal(ops[nr - 1].atom == DW_OP_stack_value, rule->how == CFI_IS);
}

/* Returns how many rows were compared. */
static size_t compare_file(const char *path, uint64_t step)
{
	struct elf_symbols *s = help_open(path);
	const struct elf_segment *segs;
	struct theirs theirs;
	struct cfi *cfi;
	size_t nr, rows = 0;

	assert_int_equal(cfi_open(s, &cfi), 0);
	theirs_open(&theirs, path);
	segs = elf_symbols_segments(s, &nr);
	for (size_t i = 0; i < nr; i++) {
		for (uint64_t in = 0; in < segs[i].file_bytes && (segs[i].flags & PF_X);
		     in += step) {
			Dwarf_Frame *frame;
			struct cfi_row row;
			bool ours = cfi_row_at(cfi, segs[i].address + in, &row), signal;
			Dwarf_Addr start, end;

			if (dwarf_cfi_addrframe(theirs.cfi, segs[i].address + in, &frame)) {
				assert_false(ours);
				continue;
			}
			assert_true(ours);
			assert_int_equal(dwarf_frame_info(frame, &start, &end, &signal),
					 row.return_register);
			assert_int_equal(signal, row.signal);
			compare_cfa(&row, frame);
			for (int reg = 0; reg < CFI_REGISTERS; reg++)
				compare_rule(&row.rules[reg], frame, reg);
			free(frame);
			rows++;
		}
	}
	theirs_close(&theirs);
	cfi_close(cfi);
	elf_symbols_close(s);
	return rows;
}

static void test_rows_as_libdw(void **state)
{
	const char *more = getenv("CFI_FILE");
	char libc[PATH_MAX];

	(void)state;
	help_loaded("/libc.so.6", libc);
	assert_true(compare_file(libc, 7) > 100000);
	assert_true(compare_file("/usr/bin/python3", 53) > 20000);
	if (more)
		print_message("%zu rows of %s\n", compare_file(more, 4), more);
}

static bool no_memory(void *arg, uint64_t address, uint64_t *ret_value)
{
	(void)arg;
	(void)address;
	(void)ret_value;
	return false;
}

/* A PLT stub pushes a number in its middle: its CFA is sp + 8 before and sp + 16 after, by an expression on the pc (16). */
static void test_plt_expression(void **state)
{
	struct elf_symbols *s = help_open("/usr/bin/python3");
	struct cfi_frame frame = { .read = no_memory };
	const struct elf_segment *segs;
	size_t nr, stubs = 0;
	struct cfi_row row;
	struct cfi *cfi;

	(void)state;
	if (elf_symbols_machine(s) != EM_X86_64) {
		elf_symbols_close(s);
		print_message("SKIP: AArch64 has no such stubs\n");
		skip();
	}
	assert_int_equal(cfi_open(s, &cfi), 0);
	segs = elf_symbols_segments(s, &nr);
	frame.known[7] = frame.known[16] = true;
	frame.registers[7] = 1000;
	for (uint64_t in = 0; in < segs[1].file_bytes; in += 16) {
		uint64_t before = 0, cfa, sum = 0;

		if (!cfi_row_at(cfi, segs[1].address + in, &row) || !row.cfa_is_expr)
			continue;
		for (uint64_t low = 0; low < 16; low++) {
			frame.registers[16] = segs[1].address + in + low;
			assert_true(cfi_evaluate(cfi, row.cfa_value, &frame, NULL, &cfa));
			assert_true(cfa == 1008 || cfa == 1016);
			assert_true(cfa >= before);
			before = cfa;
			sum += cfa - 1008;
		}
		assert_true(sum > 0 && sum < 16 * 8);
		frame.known[16] = false;
		assert_false(cfi_evaluate(cfi, row.cfa_value, &frame, NULL, &cfa));
		frame.known[16] = true;
		stubs++;
	}
	assert_true(stubs > 100);
	cfi_close(cfi);
	elf_symbols_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_as_libdw),
		cmocka_unit_test(test_plt_expression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
