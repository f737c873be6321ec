// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unwinding by call frame information: see unwind.h. The rules at an instruction are the same in every process that maps the file:
 * they are kept in a table of fixed size, the newest of those that fall on one slot.
 */
#include "symbol/unwind.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "symbol/cfi.h"

#define NR_CACHED (1u << 14) /* rows, 300 bytes each */
#define ARM64_FP 29
#define ARM64_LR 30
#define ARM64_USER_BITS 48 /* above: the signature of a signed return address */
#define X86_RA 16
#define POPPED_BYTES 128 /* more than all registers that a function saves */

struct cached {
	const struct cfi *cfi;
	uint64_t address;
	bool found;
	struct cfi_row row;
};

struct unwind {
	struct resolve *resolve;
	struct cached *cached;
};

/* One unwinding. */
struct walk {
	struct unwind *u;
	uint32_t tgid;
	uint64_t time_ns;
	const struct unwind_state *state;
	uint64_t stack_start;
	uint64_t pc;
	bool exact, guessed; /* as in struct unwind_frame, of the frame at pc */
	bool signal;         /* the frame before it was a signal's */
	struct cfi_frame frame;
};

int unwind_new(struct resolve *r, struct unwind **ret_unwind)
{
	struct unwind *u = calloc(1, sizeof(*u));

	if (u)
		u->cached = calloc(NR_CACHED, sizeof(*u->cached));
	if (!u || !u->cached) {
		free(u);
		return -ENOMEM;
	}
	u->resolve = r;
	*ret_unwind = u;
	return 0;
}

void unwind_free(struct unwind *u)
{
	if (!u)
		return;
	free(u->cached);
	free(u);
}

static unsigned int sp_of(const struct walk *w)
{
	return w->state->machine == EM_AARCH64 ? UNWIND_ARM64_SP : UNWIND_X86_SP;
}

static unsigned int fp_of(const struct walk *w)
{
	return w->state->machine == EM_AARCH64 ? ARM64_FP : UNWIND_X86_BP;
}

/* Code and constants are as in their file; everything else may have changed. */
static bool read_file(const struct walk *w, uint64_t address, uint64_t *ret_value)
{
	struct resolve *r = w->u->resolve;
	struct space_mapping m;
	struct elf_symbols *elf;
	uint64_t bias;

	if (!resolve_mapping(r, w->tgid, w->time_ns, address, &m) || (m.prot & PROT_WRITE))
		return false;
	elf = resolve_object(r, w->tgid, w->time_ns, address, &bias);
	return elf && !elf_symbols_read(elf, address - bias, ret_value, sizeof(*ret_value));
}

/* A word above the last frame that has a frame pointer. */
static bool read_rest(const struct unwind_state *state, size_t i, uint64_t at, uint64_t *ret_value)
{
	if (at % 8 || at / 8 >= UNWIND_REST || state->chain_words - i < UNWIND_REST)
		return false;
	*ret_value = state->chain[i + at / 8];
	return true;
}

/* A word above the copy: one of the two to which a frame pointer points, or what is above the last of these. */
static bool read_chain(const struct unwind_state *state, uint64_t address, uint64_t *ret_value)
{
	uint64_t frame = state->chain_words ? state->chain[0] : 0;

	for (size_t i = 1; i + 1 < state->chain_words && frame && address >= frame; i += 2) {
		if (!state->chain[i + 1])
			return false;
		if (address - frame < 16 && address % 8 == frame % 8) {
			*ret_value = state->chain[i + (address - frame) / 8];
			return *ret_value != UNWIND_NO_FRAME;
		}
		if (state->chain[i] <= UNWIND_NO_FRAME)
			return read_rest(state, i + 2, address - frame - 16, ret_value);
		frame = state->chain[i];
	}
	return false;
}

static bool read_memory(void *arg, uint64_t address, uint64_t *ret_value)
{
	const struct walk *w = arg;
	uint64_t at = address - w->stack_start;

	if (at < w->state->stack_bytes && w->state->stack_bytes - at >= sizeof(*ret_value)) {
		memcpy(ret_value, w->state->stack + at, sizeof(*ret_value));
		return true;
	}
	if (read_chain(w->state, address, ret_value))
		return true;
	return read_file(w, address, ret_value);
}

/*
 * Between a function's pop of a register and its ret, gcc on x86 leaves the rule that it lies where it was, which is below the stack
 * pointer then: nothing is kept there, and the register has its value again.
 */
static bool is_popped(const struct walk *w, uint64_t at)
{
	uint64_t sp = w->frame.registers[sp_of(w)];

	return w->exact && at < sp && sp - at <= POPPED_BYTES;
}

static const struct cfi_row *row_at(struct unwind *u, const struct cfi *cfi, uint64_t address)
{
	uint64_t hash = (address ^ (uintptr_t)cfi << 8) * UINT64_C(0x9e3779b97f4a7c15);
	struct cached *c = &u->cached[hash >> 32 & (NR_CACHED - 1)];

	if (c->cfi != cfi || c->address != address) {
		c->cfi = cfi;
		c->address = address;
		c->found = cfi_row_at(cfi, address, &c->row);
	}
	return c->found ? &c->row : NULL;
}

static bool cfa_of(struct walk *w, const struct cfi *cfi, const struct cfi_row *row,
		   uint64_t *ret_cfa)
{
	struct cfi_frame *f = &w->frame;

	if (row->cfa_is_expr)
		return cfi_evaluate(cfi, row->cfa_value, f, NULL, ret_cfa);
	if (!f->known[row->cfa_register])
		return false;
	*ret_cfa = f->registers[row->cfa_register] + (uint64_t)(int64_t)row->cfa_value;
	return true;
}

/* One register of the caller; false: it is not known. */
static bool apply(struct walk *w, const struct cfi *cfi, const struct cfi_rule *rule,
		  unsigned int reg, uint64_t cfa, uint64_t *ret_value)
{
	struct cfi_frame *f = &w->frame;
	uint64_t at = cfa + (uint64_t)(int64_t)rule->value;

	switch (rule->how) {
	case CFI_UNSPECIFIED:
	case CFI_SAME:
		*ret_value = f->registers[reg];
		return f->known[reg];
	case CFI_IS:
		*ret_value = at;
		return true;
	case CFI_REGISTER:
		if ((uint32_t)rule->value >= CFI_REGISTERS)
			return false;
		*ret_value = f->registers[rule->value];
		return f->known[rule->value];
	case CFI_IS_EXPR:
		return cfi_evaluate(cfi, rule->value, f, &cfa, ret_value);
	case CFI_AT_EXPR:
		if (!cfi_evaluate(cfi, rule->value, f, &cfa, &at))
			return false;
		/* fall through */
	case CFI_AT:
		if (is_popped(w, at)) {
			*ret_value = f->registers[reg];
			return f->known[reg];
		}
		if (read_memory(w, at, ret_value))
			return true;
		f->read_failed = true;
		return false;
	default:
		return false;
	}
}

static bool is_code(const struct walk *w, uint64_t pc)
{
	struct space_mapping m;

	return resolve_mapping(w->u->resolve, w->tgid, w->time_ns, pc, &m) && (m.prot & PROT_EXEC);
}

/* Takes the signature off a return address of AArch64, if there is one. */
static uint64_t strip(const struct walk *w, uint64_t pc)
{
	return w->state->machine == EM_AARCH64 ? pc & ((UINT64_C(1) << ARM64_USER_BITS) - 1) : pc;
}

/* Goes on to the caller's frame, whose registers are in `next`. The stack must shrink, but for a signal's, which may have been on
 * another one. */
static bool enter(struct walk *w, const struct cfi_frame *next, uint64_t pc, bool signal)
{
	uint64_t sp = w->frame.registers[sp_of(w)], next_sp = next->registers[sp_of(w)];

	if (!signal && (next_sp < sp || (next_sp == sp && !w->exact)))
		return false;
	memcpy(w->frame.registers, next->registers, sizeof(next->registers));
	memcpy(w->frame.known, next->known, sizeof(next->known));
	w->pc = pc;
	w->exact = w->signal = signal;
	return true;
}

/* UNWIND_FULL: it went on, and there may be more. */
static enum unwind_end step_by_rules(struct walk *w, const struct cfi *cfi,
				     const struct cfi_row *row)
{
	const struct cfi_rule *return_rule = &row->rules[row->return_register];
	struct cfi_frame next = { 0 };
	uint64_t cfa, pc;

	if (return_rule->how == CFI_UNDEFINED)
		return UNWIND_DONE;
	if ((return_rule->how == CFI_UNSPECIFIED || return_rule->how == CFI_SAME) && !w->exact)
		return UNWIND_BAD; /* it has called: the register is not the caller's any more */
	w->frame.read_failed = false;
	if (!cfa_of(w, cfi, row, &cfa) ||
	    !apply(w, cfi, return_rule, row->return_register, cfa, &pc))
		return w->frame.read_failed ? UNWIND_CUT : UNWIND_BAD;
	/* What a frame does not save lies in its callees' frames, which are inside the copy if this frame is. */
	for (unsigned int reg = 0; reg < CFI_REGISTERS; reg++)
		next.known[reg] = apply(w, cfi, &row->rules[reg], reg, cfa, &next.registers[reg]);
	if (row->rules[sp_of(w)].how == CFI_UNSPECIFIED) {
		next.registers[sp_of(w)] = cfa;
		next.known[sp_of(w)] = true;
	}
	pc = strip(w, pc);
	if (!pc)
		return UNWIND_DONE;
	w->guessed = false;
	return next.known[sp_of(w)] && enter(w, &next, pc, row->signal) ? UNWIND_FULL : UNWIND_BAD;
}

/* Both machines keep the caller's frame pointer and the return address, in this order, where the frame pointer points. */
static enum unwind_end step_by_frame_pointer(struct walk *w)
{
	struct cfi_frame next = w->frame;
	uint64_t fp = w->frame.registers[fp_of(w)], sp = w->frame.registers[sp_of(w)];
	uint64_t pc;

	if (w->guessed && w->frame.known[fp_of(w)] && !fp)
		return UNWIND_DONE; /* both machines' ABIs: the outermost frame's */
	if (!w->frame.known[fp_of(w)] || !fp || fp % 8 || fp < sp)
		return UNWIND_NO_RULE;
	if (!read_memory(w, fp, &next.registers[fp_of(w)]) || !read_memory(w, fp + 8, &pc))
		return UNWIND_CUT;
	pc = strip(w, pc);
	if (!is_code(w, pc))
		return UNWIND_NO_RULE;
	next.registers[sp_of(w)] = fp + 16;
	w->guessed = true;
	return enter(w, &next, pc, false) ? UNWIND_FULL : UNWIND_BAD;
}

static enum unwind_end step(struct walk *w)
{
	uint64_t address = w->exact ? w->pc : w->pc - 1, bias;
	const struct cfi *cfi = resolve_cfi(w->u->resolve, w->tgid, w->time_ns, address, &bias);
	const struct cfi_row *row = NULL;

	if (cfi)
		row = row_at(w->u, cfi, address - bias);
	return row ? step_by_rules(w, cfi, row) : step_by_frame_pointer(w);
}

static void begin(struct walk *w)
{
	const struct unwind_state *state = w->state;

	w->stack_start = state->registers[sp_of(w)];
	w->pc = strip(w, state->pc);
	w->exact = true;
	w->frame.read = read_memory;
	w->frame.read_arg = w;
	for (unsigned int reg = 0; reg < UNWIND_REGISTERS; reg++) {
		w->frame.registers[reg] = state->registers[reg];
		w->frame.known[reg] = state->known >> reg & 1;
	}
	if (state->machine == EM_X86_64) { /* PLT stubs ask for it */
		w->frame.registers[X86_RA] = w->pc;
		w->frame.known[X86_RA] = true;
	}
}

size_t unwind_stack(struct unwind *u, uint32_t tgid, uint64_t time_ns,
		    const struct unwind_state *state, struct unwind_frame *ret_frames, size_t max,
		    enum unwind_end *ret_end)
{
	struct walk w = { .u = u, .tgid = tgid, .time_ns = time_ns, .state = state };
	enum unwind_end end = UNWIND_FULL;
	size_t nr = 0;

	begin(&w);
	while (nr < max && end == UNWIND_FULL) {
		ret_frames[nr++] =
			(struct unwind_frame){ .pc = w.pc, .exact = w.exact, .guessed = w.guessed };
		w.signal = false;
		end = step(&w);
		ret_frames[nr - 1].exact |= w.signal; /* nothing called a signal's frame */
	}
	if (ret_end)
		*ret_end = end;
	return nr;
}

void unwind_code(struct unwind *u, uint32_t tgid, uint64_t time_ns,
		 const struct unwind_frame *frame, struct code_place *ret_place)
{
	resolve_code(u->resolve, tgid, time_ns, frame->exact ? frame->pc : frame->pc - 1,
		     ret_place);
}
