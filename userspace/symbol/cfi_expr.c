// SPDX-License-Identifier: GPL-2.0-only
/* Evaluating DWARF expressions (DWARF 5, section 2.5) as call frame information has them: PLT stubs, signal frames, prologues that
 * realign the stack. See cfi.h. */
#include <dwarf.h>
#include <stddef.h>

#include "symbol/cfi_internal.h"

#define MAX_STACK 64
#define MAX_STEPS 1000 /* there are branches */

struct eval {
	struct cursor c;
	size_t begin; /* of the expression */
	const struct cfi *cfi;
	struct cfi_frame *frame;
	uint64_t stack[MAX_STACK];
	size_t depth;
};

static void push(struct eval *e, uint64_t value)
{
	if (e->depth == MAX_STACK)
		e->c.bad = true;
	else
		e->stack[e->depth++] = value;
}

static uint64_t pop(struct eval *e)
{
	if (!e->depth) {
		e->c.bad = true;
		return 0;
	}
	return e->stack[--e->depth];
}

static void pick(struct eval *e, uint64_t index)
{
	if (index >= e->depth)
		e->c.bad = true;
	else
		push(e, e->stack[e->depth - 1 - index]);
}

static void push_register(struct eval *e, uint64_t reg, uint64_t offset)
{
	if (reg >= CFI_REGISTERS || !e->frame->known[reg])
		e->c.bad = true;
	else
		push(e, e->frame->registers[reg] + offset);
}

static void dereference(struct eval *e, uint64_t bytes)
{
	uint64_t value = 0;

	if (!e->frame->read(e->frame->read_arg, pop(e), &value)) {
		e->frame->read_failed = true;
		e->c.bad = true;
	}
	if (bytes < 8)
		value &= (UINT64_C(1) << (8 * bytes)) - 1;
	push(e, value);
}

/* Jumps within the expression. */
static void jump(struct eval *e, uint64_t delta)
{
	uint64_t to = e->c.at + delta;

	if (to < e->begin || to > e->c.end)
		e->c.bad = true;
	else
		e->c.at = to;
}

static void swap(struct eval *e)
{
	uint64_t top = pop(e), below = pop(e);

	push(e, top);
	push(e, below);
}

static void rotate(struct eval *e)
{
	uint64_t first = pop(e), second = pop(e), third = pop(e);

	push(e, first);
	push(e, third);
	push(e, second);
}

/* True: it was an operation on two numbers, and is done. */
static bool step_binary(struct eval *e, uint8_t op)
{
	uint64_t b = e->depth ? e->stack[e->depth - 1] : 0;
	uint64_t a = e->depth > 1 ? e->stack[e->depth - 2] : 0, value;

	switch (op) {
	case DW_OP_and:
		value = a & b;
		break;
	case DW_OP_or:
		value = a | b;
		break;
	case DW_OP_xor:
		value = a ^ b;
		break;
	case DW_OP_plus:
		value = a + b;
		break;
	case DW_OP_minus:
		value = a - b;
		break;
	case DW_OP_mul:
		value = a * b;
		break;
	case DW_OP_shl:
		value = b < 64 ? a << b : 0;
		break;
	case DW_OP_shr:
		value = b < 64 ? a >> b : 0;
		break;
	case DW_OP_shra:
		value = (uint64_t)((int64_t)a >> (b < 63 ? b : 63));
		break;
	case DW_OP_eq:
		value = a == b;
		break;
	case DW_OP_ne:
		value = a != b;
		break;
	case DW_OP_ge:
		value = (int64_t)a >= (int64_t)b;
		break;
	case DW_OP_gt:
		value = (int64_t)a > (int64_t)b;
		break;
	case DW_OP_le:
		value = (int64_t)a <= (int64_t)b;
		break;
	case DW_OP_lt:
		value = (int64_t)a < (int64_t)b;
		break;
	default:
		return false;
	}
	pop(e);
	pop(e);
	push(e, value);
	return true;
}

/* True: it was a constant, and is pushed. */
static bool step_constant(struct eval *e, uint8_t op)
{
	struct cursor *c = &e->c;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		push(e, op - DW_OP_lit0);
		return true;
	}
	switch (op) {
	case DW_OP_addr:
	case DW_OP_const8u:
	case DW_OP_const8s:
		push(e, cursor_uint(c, 8));
		break;
	case DW_OP_const1u:
		push(e, cursor_uint(c, 1));
		break;
	case DW_OP_const1s:
		push(e, cursor_int(c, 1));
		break;
	case DW_OP_const2u:
		push(e, cursor_uint(c, 2));
		break;
	case DW_OP_const2s:
		push(e, cursor_int(c, 2));
		break;
	case DW_OP_const4u:
		push(e, cursor_uint(c, 4));
		break;
	case DW_OP_const4s:
		push(e, cursor_int(c, 4));
		break;
	case DW_OP_constu:
		push(e, cursor_uleb(c));
		break;
	case DW_OP_consts:
		push(e, cursor_sleb(c));
		break;
	default:
		return false;
	}
	return true;
}

static void step_rest(struct eval *e, uint8_t op)
{
	struct cursor *c = &e->c;
	uint64_t operand;

	switch (op) {
	case DW_OP_nop:
		break;
	case DW_OP_dup:
		pick(e, 0);
		break;
	case DW_OP_drop:
		pop(e);
		break;
	case DW_OP_over:
		pick(e, 1);
		break;
	case DW_OP_pick:
		pick(e, cursor_uint(c, 1));
		break;
	case DW_OP_swap:
		swap(e);
		break;
	case DW_OP_rot:
		rotate(e);
		break;
	case DW_OP_neg:
		push(e, 0 - pop(e));
		break;
	case DW_OP_not:
		push(e, ~pop(e));
		break;
	case DW_OP_abs:
		operand = pop(e);
		push(e, (int64_t)operand < 0 ? 0 - operand : operand);
		break;
	case DW_OP_plus_uconst:
		push(e, pop(e) + cursor_uleb(c));
		break;
	case DW_OP_deref:
		dereference(e, 8);
		break;
	case DW_OP_deref_size:
		operand = cursor_uint(c, 1);
		c->bad |= !operand || operand > 8;
		dereference(e, operand);
		break;
	case DW_OP_bregx:
		operand = cursor_uleb(c);
		push_register(e, operand, cursor_sleb(c));
		break;
	case DW_OP_skip:
		jump(e, cursor_int(c, 2));
		break;
	case DW_OP_bra:
		operand = cursor_int(c, 2);
		if (pop(e))
			jump(e, operand);
		break;
	default:
		c->bad = true;
	}
}

bool cfi_evaluate(const struct cfi *cfi, int32_t offset, struct cfi_frame *frame,
		  const uint64_t *cfa, uint64_t *ret_value)
{
	struct eval e = { .c = { .bytes = cfi->bytes, .at = (uint32_t)offset, .end = cfi->len },
			  .cfi = cfi,
			  .frame = frame };
	uint64_t len;

	if (offset < 0 || (size_t)offset > cfi->len)
		return false;
	len = cursor_uleb(&e.c);
	if (e.c.bad || len > e.c.end - e.c.at)
		return false;
	e.begin = e.c.at;
	e.c.end = e.begin + len;
	if (cfa)
		push(&e, *cfa);
	for (int step = 0; cursor_more(&e.c); step++) {
		uint8_t op = (uint8_t)cursor_uint(&e.c, 1);

		if (step == MAX_STEPS)
			return false;
		if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
			push_register(&e, op - DW_OP_breg0, cursor_sleb(&e.c));
		else if (!step_constant(&e, op) && !step_binary(&e, op))
			step_rest(&e, op);
	}
	*ret_value = pop(&e);
	return !e.c.bad;
}
