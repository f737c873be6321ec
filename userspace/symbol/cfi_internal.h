/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by cfi*.c only: how the section is kept, and what is read of its entries. */
#ifndef WHYSCALE_SYMBOL_CFI_INTERNAL_H
#define WHYSCALE_SYMBOL_CFI_INTERNAL_H

#include "symbol/cfi.h"
#include "symbol/cursor.h"

/* One function's entry (FDE). */
struct cfi_fde {
	uint64_t start, len; /* the addresses that it is for */
	uint32_t offset;     /* in the section */
};

struct cfi {
	uint8_t *bytes; /* .eh_frame */
	size_t len;
	uint64_t address;     /* of its first byte */
	struct cfi_fde *fdes; /* by start */
	size_t nr_fdes, cap_fdes;
};

/* What many functions have in common (CIE). */
struct cfi_cie {
	uint64_t code_factor, data_factor;
	uint64_t return_register;
	uint8_t encoding; /* of addresses in its FDEs: DW_EH_PE_* */
	bool augmented, signal;
	size_t program, end; /* the initial instructions */
};

/* An FDE, read anew for each question. */
struct cfi_entry {
	struct cfi_cie cie;
	uint64_t start, len;
	size_t program, end;
};

/* Reads the FDE at `offset`; false: it is none. */
bool cfi_entry_read(const struct cfi *cfi, size_t offset, struct cfi_entry *ret_entry);

/* A pointer as encoded by DW_EH_PE_*; sets bad for what only a running program could know. */
uint64_t cfi_pointer(const struct cfi *cfi, struct cursor *c, uint8_t encoding);

/* Executes the entry's instructions up to the address. */
bool cfi_run(const struct cfi *cfi, const struct cfi_entry *entry, uint64_t address,
	     struct cfi_row *ret_row);

#endif
