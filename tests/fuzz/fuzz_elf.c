// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the symbol code: symbols, .eh_frame, DWARF with inlined functions and lines, MiniDebugInfo, separate debug files. The
 * input's first byte says what is asked, the rest is an ELF file.
 *
 * What MiniDebugInfo unpacks to is an ELF file in memory: IN_MEMORY. (Its xz has checksums, which would stop nearly every changed byte.)
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "symbol/cfi.h"
#include "symbol/elf_dwarf.h"
#include "symbol/elf_symbols.h"

#define IN_MEMORY 0x01
#define WITH_DWARF 0x02
#define WITH_LINES 0x04
#define NR_HOW 0x08
#define SEGMENTS 4
#define STEPS 24 /* addresses that are asked for in each segment */
#define FRAMES 16

static bool read_memory(void *arg, uint64_t address, uint64_t *ret_value)
{
	(void)arg;
	*ret_value = address + 8;
	return address & 8;
}

static void ask_cfi(const struct cfi *cfi, uint64_t address)
{
	struct cfi_frame frame = { .read = read_memory };
	uint64_t value, cfa = 0x7ffe1000;
	struct cfi_row row;

	if (!cfi || !cfi_row_at(cfi, address, &row))
		return;
	memset(frame.known, true, sizeof(frame.known));
	FUZZ_CHECK(row.return_register < CFI_REGISTERS);
	FUZZ_CHECK(row.cfa_is_expr || row.cfa_register < CFI_REGISTERS);
	if (row.cfa_is_expr)
		cfi_evaluate(cfi, row.cfa_value, &frame, NULL, &value);
	for (size_t i = 0; i < CFI_REGISTERS; i++) {
		const struct cfi_rule *rule = &row.rules[i];

		if (rule->how == CFI_AT_EXPR || rule->how == CFI_IS_EXPR)
			cfi_evaluate(cfi, rule->value, &frame, &cfa, &value);
	}
}

/* Every byte of what it answers is looked at. */
static void ask_symbol(bool found, const struct elf_symbol *symbol)
{
	if (found)
		FUZZ_CHECK(strlen(symbol->name) < SIZE_MAX);
}

static void ask_dwarf(struct elf_dwarf *dwarf, uint64_t address, bool lines)
{
	struct elf_dwarf_frame frame[FRAMES];
	size_t nr = dwarf ? elf_dwarf_at(dwarf, address, lines, frame, FRAMES) : 0;

	FUZZ_CHECK(nr <= FRAMES);
	for (size_t i = 0; i < nr; i++) {
		FUZZ_CHECK(!frame[i].name || strlen(frame[i].name) < SIZE_MAX);
		FUZZ_CHECK(!frame[i].file || strlen(frame[i].file) < SIZE_MAX);
	}
}

static void ask(struct elf_symbols *s, unsigned int how)
{
	size_t nr;
	const struct elf_segment *segment = elf_symbols_segments(s, &nr);
	struct elf_dwarf *dwarf = NULL;
	struct elf_symbol symbol;
	struct cfi *cfi = NULL;
	uint8_t bytes[64];

	if (cfi_open(s, &cfi))
		cfi = NULL;
	if ((how & WITH_DWARF) && elf_dwarf_open(s, &dwarf))
		dwarf = NULL;
	for (size_t i = 0; i < nr && i < SEGMENTS; i++) {
		uint64_t step = segment[i].memory_bytes / STEPS + 1;

		for (uint64_t n = 0; n < STEPS; n++) {
			uint64_t at = segment[i].address + n * step;

			ask_symbol(elf_symbols_function(s, at, &symbol), &symbol);
			ask_symbol(elf_symbols_object(s, at, &symbol), &symbol);
			elf_symbols_read(s, at, bytes, sizeof(bytes));
			ask_cfi(cfi, at);
			ask_dwarf(dwarf, at, how & WITH_LINES);
		}
		elf_symbols_address(s, segment[i].offset, &step);
	}
	ask_symbol(elf_symbols_find_object(s, "_PyRuntime", &symbol), &symbol);
	ask_symbol(elf_symbols_find_function(s, "work", &symbol), &symbol);
	cfi_close(cfi);
	elf_dwarf_close(dwarf);
}

static void try_file(unsigned int how, const uint8_t *data, size_t len)
{
	const struct elf_where where = { .root = "", .debug = "/nowhere" };
	char path[FUZZ_PATH];
	int fd = fuzz_file(data, len, path), r;
	struct elf_symbols *s;
	struct err err = {};

	r = how & IN_MEMORY ? elf_symbols_open_memory(data, len, "made up", &s, &err) :
			      elf_symbols_open(path, NULL, 0, &where, &s, &err);
	if (!r) {
		ask(s, how);
		elf_symbols_close(s);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_ways(NR_HOW, data, len, try_file);
	return 0;
}
