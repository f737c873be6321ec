// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stack whose parts are all there, or of which no more will come: the copy of a user stack is unwound at once, so that 8 bytes for
 * each frame are kept of it; the others are counted.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/stack_regs.h"
#include "analysis/stack_store_impl.h"

static uint16_t machine_of(enum syscall_arch arch)
{
	return arch == ARCH_AARCH64 ? EM_AARCH64 : EM_X86_64;
}

static void give_back(struct stack_store *s, struct stored *st)
{
	s->counts.bytes -= st->bytes;
	free(st->data);
	st->data = NULL;
	st->bytes = st->nr = 0;
}

/* Is this where threads begin? What leads on from there is not said, as nothing does, by code that says so and by code that does not. */
static bool is_begin(const char *name)
{
	static const char *const begins[] = { "_start", "_dl_start_user", "clone",       "__clone",
					      "clone3", "__clone3",       "thread_start" };

	for (size_t i = 0; name && i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!strcmp(name, begins[i]))
			return true;
	return name && (!strncmp(name, "runtime.goexit", 14) ||
			!strncmp(name, "runtime.rt0_go", 14) || !strncmp(name, "_rt0_", 5));
}

/* Were there more frames, for which call frame information was missing or wrong? */
static bool ended_early(struct stack_store *s, const struct stored *st, size_t nr,
			enum unwind_end end)
{
	struct code_place place;

	if (!nr || (end != UNWIND_NO_RULE && end != UNWIND_BAD))
		return false;
	unwind_code(s->unwind, st->tgid, st->time_ns, &s->unwound[nr - 1], &place);
	return !is_begin(place.name);
}

/* What frame pointers found above the copy, up to the zeros behind it. */
static void set_chain(const struct stored *st, struct unwind_state *state)
{
	const uint64_t *words = (const uint64_t *)st->data + STACK_REGS + st->claimed / 8;
	size_t nr = st->bytes / 8, before = STACK_REGS + st->claimed / 8;

	if (st->claimed % 8 || nr <= before || !words[0])
		return;
	nr -= before;
	state->chain = words;
	state->chain_words = nr < CHAIN_WORDS ? nr : CHAIN_WORDS;
}

/* From the registers and the copy of the stack to addresses. */
static void unwind(struct stack_store *s, struct stored *st)
{
	size_t regs = STACK_REGS * sizeof(uint64_t), nr;
	struct unwind_state state = { .machine = machine_of(s->o.arch) };
	enum unwind_end end = UNWIND_CUT;
	uint64_t *address;

	state.stack = (const uint8_t *)st->data + regs;
	state.stack_bytes = st->bytes - regs < st->claimed ? st->bytes - regs : st->claimed;
	set_chain(st, &state);
	stack_regs(s->o.arch, st->data, &state);
	nr = unwind_stack(s->unwind, st->tgid, st->time_ns, &state, s->unwound, STACK_STORE_FRAMES,
			  &end);
	give_back(s, st);
	st->cut = end == UNWIND_CUT || end == UNWIND_FULL;
	st->in_part = ended_early(s, st, nr, end);
	address = stack_store_room(s, nr * sizeof(*address)) ? calloc(nr, sizeof(*address)) : NULL;
	if (!address)
		return;
	for (size_t i = 0; i < nr; i++)
		address[i] = (s->unwound[i].pc & ~ADDRESS_EXACT) |
			     (s->unwound[i].exact ? ADDRESS_EXACT : 0);
	st->data = address;
	st->nr = (uint32_t)nr;
	st->bytes = (uint32_t)(nr * sizeof(*address));
}

/* Addresses end with a 0, or where the parts do. */
static void count_addresses(struct stored *st)
{
	uint64_t *address = st->data;

	for (st->nr = 0; st->nr < st->bytes / sizeof(*address) && address[st->nr]; st->nr++)
		address[st->nr] &= st->kind == EV_UFRAMES ? ~ADDRESS_EXACT : UINT64_MAX;
	if (st->nr && st->kind == EV_UFRAMES)
		address[0] |= ADDRESS_EXACT;
}

static void count_python(struct stored *st)
{
	const struct ev_pyframe *frame = st->data;

	for (st->nr = 0; st->nr < st->bytes / sizeof(*frame) && frame[st->nr].code; st->nr++)
		;
}

void stored_settle(struct stack_store *s, struct stored *st)
{
	bool partial = st->next < st->parts;

	st->settled = true;
	s->counts.partial += partial;
	st->cut |= partial;
	switch (st->kind) {
	case EV_USTACK:
		unwind(s, st);
		break;
	case EV_PYSTACK:
		count_python(st);
		break;
	case EV_PYCODE:
		st->nr = st->bytes < st->claimed ? st->bytes : st->claimed;
		break;
	default:
		count_addresses(st);
	}
}
