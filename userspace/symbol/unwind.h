/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unwinds a user stack after the recording: from the registers and a copy of the top of the stack to the return addresses, by
 * the call frame information of the files that were mapped (cfi.h). x86-64 and AArch64, whatever machine this runs on. Code
 * without such information (generated at run time) is crossed by its frame pointer if that looks right, and the frame says so.
 *
 * Above the copy there are only the two words to which each frame pointer points. They are taken where they are the words that the
 * information asks for: so where frame pointers hold, and for the frames for which they do.
 */
#ifndef WHYSCALE_SYMBOL_UNWIND_H
#define WHYSCALE_SYMBOL_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/resolve.h"

struct unwind;

/* The registers by their DWARF numbers. */
enum {
	UNWIND_X86_BX = 3,
	UNWIND_X86_DI = 5,
	UNWIND_X86_BP = 6,
	UNWIND_X86_SP = 7,
	UNWIND_X86_R12 = 12, /* to R15 = 15 */
	UNWIND_ARM64_X0 = 0, /* to x30 = 30 */
	UNWIND_ARM64_SP = 31,
};

#define UNWIND_REGISTERS 32

/* What was recorded of a thread. */
struct unwind_state {
	uint16_t machine; /* EM_X86_64 or EM_AARCH64 */
	uint64_t pc;
	uint64_t registers[UNWIND_REGISTERS]; /* by DWARF number; the stack pointer is among them */
	uint32_t known;                       /* bit n: registers[n] was recorded */
	const uint8_t *stack;                 /* copied from the stack pointer upwards */
	size_t stack_bytes;
	/*
	 * What frame pointers found above the copy: the address of a frame, and from there outwards the two words of each: the
	 * caller's frame (0: there is none; UNWIND_NO_FRAME: not known), the return address (0: the end). Behind the last one
	 * UNWIND_REST words that lie above it, if there are so many. NULL: nothing.
	 */
	const uint64_t *chain;
	size_t chain_words;
};

#define UNWIND_NO_FRAME 1 /* CHAIN_NO_FRAME of bpf/events.h */
#define UNWIND_REST 64    /* CHAIN_REST */

struct unwind_frame {
	uint64_t pc;
	bool exact; /* pc is the instruction itself: the innermost frame, or one that a signal interrupted; else pc is where the
			 callee returns to, and the call is at pc - 1 */
	bool guessed; /* found by the frame pointer alone */
};

enum unwind_end {
	UNWIND_DONE, /* the outermost frame was reached */
	UNWIND_CUT,  /* the copy of the stack ends before it */
	UNWIND_FULL, /* there are more frames than were asked for */
	UNWIND_NO_RULE, /* the last frame's code has no call frame information, and no frame pointer led on */
	UNWIND_BAD, /* the information contradicts itself or the stack */
};

/* `r` must outlive it. The caller frees it. -ENOMEM. */
int unwind_new(struct resolve *r, struct unwind **ret_unwind);
void unwind_free(struct unwind *u);

/*
 * Gives the frames of process `tgid` at that time, innermost first, at most `max`; the first is state->pc itself. Returns how many
 * (0 only if max is 0) and, if ret_end is not NULL, why it stopped.
 */
size_t unwind_stack(struct unwind *u, uint32_t tgid, uint64_t time_ns,
		    const struct unwind_state *state, struct unwind_frame *ret_frames, size_t max,
		    enum unwind_end *ret_end);

/* The function of a frame: resolve_code() at the right address. */
void unwind_code(struct unwind *u, uint32_t tgid, uint64_t time_ns,
		 const struct unwind_frame *frame, struct code_place *ret_place);

#endif
