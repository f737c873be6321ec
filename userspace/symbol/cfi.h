/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call frame information: an ELF file's .eh_frame (Linux Standard Base, "Exception Frames"; DWARF 5, section 6.4), which says for
 * every instruction where the caller's registers are. libdw reads it too, but takes the file's word for sizes: one made-up register
 * number, 100,000,000, costs dwarf_cfi_addrframe() of elfutils 0.188 0.8 GB, and our files are not vouched for. It also reads it anew
 * for each process, which we do not. x86-64 and AArch64.
 */
#ifndef WHYSCALE_SYMBOL_CFI_H
#define WHYSCALE_SYMBOL_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_symbols.h"

#define CFI_REGISTERS \
	33 /* x86-64: 0..16 (16: the return address); AArch64: x0..x30, 31 sp, 32 pc */

/* Where a register of the caller is. */
enum cfi_how {
	CFI_UNSPECIFIED, /* not mentioned: as CFI_SAME for those that a call must preserve */
	CFI_UNDEFINED,   /* lost; for the return address: this is the outermost frame */
	CFI_SAME,        /* unchanged */
	CFI_AT,          /* in memory at CFA + value */
	CFI_IS,          /* is CFA + value */
	CFI_REGISTER,    /* in register `value` */
	CFI_AT_EXPR, /* in memory at what the expression at `value` gives, the CFA on its stack */
	CFI_IS_EXPR, /* is what the expression gives */
};

struct cfi_rule {
	int32_t value; /* of an expression: its offset in the section, where its length stands, as ULEB128 */
	uint8_t how; /* enum cfi_how */
};

/* The rules at one instruction. */
struct cfi_row {
	bool cfa_is_expr;
	bool signal; /* a signal's frame: its "return address" was interrupted, not called from */
	uint8_t cfa_register, return_register;
	int32_t cfa_value; /* CFA = register + value, or the offset of an expression */
	struct cfi_rule rules[CFI_REGISTERS];
};

struct cfi;

/* Reads and indexes a file's .eh_frame. -ENOENT: it has none that can be used; -ENOMEM; those of elf_symbols_image(). */
int cfi_open(const struct elf_symbols *symbols, struct cfi **ret_cfi);
void cfi_close(struct cfi *cfi);

/* The rules at an address of the file (without the load bias). False: there are none. */
bool cfi_row_at(const struct cfi *cfi, uint64_t address, struct cfi_row *ret_row);

/* Reads 8 bytes of the process that is unwound; false: not known. */
typedef bool (*cfi_read_fn)(void *arg, uint64_t address, uint64_t *ret_value);

/* What a frame is evaluated from: registers known[n] is set for. */
struct cfi_frame {
	uint64_t registers[CFI_REGISTERS];
	bool known[CFI_REGISTERS];
	cfi_read_fn read;
	void *read_arg;
	bool read_failed; /* set when `read` said false */
};

/* Evaluates the expression at `offset` of the section, with `cfa` on its stack if it is not NULL. False: it cannot be. */
bool cfi_evaluate(const struct cfi *cfi, int32_t offset, struct cfi_frame *frame,
		  const uint64_t *cfa, uint64_t *ret_value);

#endif
