// SPDX-License-Identifier: GPL-2.0-only
/* Executing call frame instructions (DWARF 5, section 6.4.2) up to an address: see cfi.h. Every instruction consumes a byte, so a
 * program ends. */
#include <dwarf.h>
#include <string.h>

#include "symbol/cfi_internal.h"

#define MAX_REMEMBERED 16 /* nested DW_CFA_remember_state; compilers nest once */

struct run {
	struct cursor c;
	const struct cfi *cfi;
	const struct cfi_entry *entry;
	struct cfi_row row;
	struct cfi_row initial; /* after the CIE's instructions: what DW_CFA_restore restores */
	struct cfi_row remembered[MAX_REMEMBERED];
	unsigned int nr_remembered;
	uint64_t at;     /* the address that the row is for, from here */
	uint64_t wanted; /* no further than this */
};

/* Registers beyond ours (vectors, signing states) are read over. */
static void set_rule(struct run *r, uint64_t reg, enum cfi_how how, uint64_t value)
{
	if ((int64_t)value != (int32_t)value) {
		r->c.bad = true;
		return;
	}
	if (reg < CFI_REGISTERS)
		r->row.rules[reg] = (struct cfi_rule){ .how = how, .value = (int32_t)value };
}

static void restore_rule(struct run *r, uint64_t reg)
{
	if (reg < CFI_REGISTERS)
		r->row.rules[reg] = r->initial.rules[reg];
}

static void set_cfa_value(struct run *r, uint64_t value)
{
	if ((int64_t)value != (int32_t)value)
		r->c.bad = true;
	r->row.cfa_value = (int32_t)value;
}

static void set_cfa_register(struct run *r, uint64_t reg)
{
	if (reg >= CFI_REGISTERS)
		r->c.bad = true;
	r->row.cfa_register = (uint8_t)reg;
	r->row.cfa_is_expr = false;
}

/* Skips an expression; its offset, where its length stands. */
static uint64_t take_expression(struct run *r)
{
	uint64_t offset = r->c.at;

	cursor_skip(&r->c, cursor_uleb(&r->c));
	return offset;
}

static void advance(struct run *r, uint64_t delta)
{
	r->at += delta * r->entry->cie.code_factor;
}

static uint64_t scaled_uleb(struct run *r)
{
	return cursor_uleb(&r->c) * r->entry->cie.data_factor;
}

static uint64_t scaled_sleb(struct run *r)
{
	return cursor_sleb(&r->c) * r->entry->cie.data_factor;
}

static void remember(struct run *r)
{
	if (r->nr_remembered == MAX_REMEMBERED)
		r->c.bad = true;
	else
		r->remembered[r->nr_remembered++] = r->row;
}

static void recall(struct run *r)
{
	if (!r->nr_remembered)
		r->c.bad = true;
	else
		r->row = r->remembered[--r->nr_remembered];
}

static void step_cfa(struct run *r, uint8_t op)
{
	struct cursor *c = &r->c;

	switch (op) {
	case DW_CFA_def_cfa:
		set_cfa_register(r, cursor_uleb(c));
		set_cfa_value(r, cursor_uleb(c));
		break;
	case DW_CFA_def_cfa_sf:
		set_cfa_register(r, cursor_uleb(c));
		set_cfa_value(r, scaled_sleb(r));
		break;
	case DW_CFA_def_cfa_register:
		set_cfa_register(r, cursor_uleb(c));
		break;
	case DW_CFA_def_cfa_offset:
		set_cfa_value(r, cursor_uleb(c));
		break;
	case DW_CFA_def_cfa_offset_sf:
		set_cfa_value(r, scaled_sleb(r));
		break;
	case DW_CFA_def_cfa_expression:
		set_cfa_value(r, take_expression(r));
		r->row.cfa_is_expr = true;
		break;
	default:
		c->bad = true;
	}
}

static void step_register(struct run *r, uint8_t op)
{
	struct cursor *c = &r->c;
	uint64_t reg = cursor_uleb(c);

	switch (op) {
	case DW_CFA_offset_extended:
		set_rule(r, reg, CFI_AT, scaled_uleb(r));
		break;
	case DW_CFA_offset_extended_sf:
		set_rule(r, reg, CFI_AT, scaled_sleb(r));
		break;
	case DW_CFA_GNU_negative_offset_extended:
		set_rule(r, reg, CFI_AT, 0 - scaled_uleb(r));
		break;
	case DW_CFA_val_offset:
		set_rule(r, reg, CFI_IS, scaled_uleb(r));
		break;
	case DW_CFA_val_offset_sf:
		set_rule(r, reg, CFI_IS, scaled_sleb(r));
		break;
	case DW_CFA_restore_extended:
		restore_rule(r, reg);
		break;
	case DW_CFA_undefined:
		set_rule(r, reg, CFI_UNDEFINED, 0);
		break;
	case DW_CFA_same_value:
		set_rule(r, reg, CFI_SAME, 0);
		break;
	case DW_CFA_register:
		set_rule(r, reg, CFI_REGISTER, cursor_uleb(c));
		break;
	case DW_CFA_expression:
		set_rule(r, reg, CFI_AT_EXPR, take_expression(r));
		break;
	case DW_CFA_val_expression:
		set_rule(r, reg, CFI_IS_EXPR, take_expression(r));
		break;
	default:
		c->bad = true;
	}
}

static void step_extended(struct run *r, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_GNU_window_save: /* on AArch64: the return address is signed from here, or no longer */
		break;
	case DW_CFA_set_loc:
		r->at = cfi_pointer(r->cfi, &r->c, r->entry->cie.encoding);
		break;
	case DW_CFA_advance_loc1:
		advance(r, cursor_uint(&r->c, 1));
		break;
	case DW_CFA_advance_loc2:
		advance(r, cursor_uint(&r->c, 2));
		break;
	case DW_CFA_advance_loc4:
		advance(r, cursor_uint(&r->c, 4));
		break;
	case DW_CFA_remember_state:
		remember(r);
		break;
	case DW_CFA_restore_state:
		recall(r);
		break;
	case DW_CFA_GNU_args_size:
		cursor_uleb(&r->c);
		break;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		step_cfa(r, op);
		break;
	default:
		step_register(r, op);
	}
}

/* Executes until the row for a later address begins; false: malformed. */
static bool run_program(struct run *r, size_t program, size_t end)
{
	r->c = (struct cursor){ .bytes = r->cfi->bytes, .at = program, .end = end };
	while (cursor_more(&r->c)) {
		uint8_t op = (uint8_t)cursor_uint(&r->c, 1), low = op & 0x3f;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			advance(r, low);
			break;
		case DW_CFA_offset:
			set_rule(r, low, CFI_AT, scaled_uleb(r));
			break;
		case DW_CFA_restore:
			restore_rule(r, low);
			break;
		default:
			step_extended(r, op);
		}
		if (r->at > r->wanted)
			break;
	}
	return !r->c.bad;
}

bool cfi_run(const struct cfi *cfi, const struct cfi_entry *entry, uint64_t address,
	     struct cfi_row *ret_row)
{
	struct run r = { .cfi = cfi, .entry = entry, .at = entry->start, .wanted = address };

	r.row.return_register = (uint8_t)entry->cie.return_register;
	r.row.signal = entry->cie.signal;
	if (!run_program(&r, entry->cie.program, entry->cie.end))
		return false;
	r.initial = r.row;
	r.at = entry->start;
	if (!run_program(&r, entry->program, entry->end))
		return false;
	*ret_row = r.row;
	return true;
}
