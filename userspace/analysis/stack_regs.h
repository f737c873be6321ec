/* SPDX-License-Identifier: GPL-2.0-only */
/* The registers in front of a copied stack, as EV_STACK and EV_USTACK have them (bpf/events.h), for the unwinder. */
#ifndef WHYSCALE_ANALYSIS_STACK_REGS_H
#define WHYSCALE_ANALYSIS_STACK_REGS_H

#include "analysis/class.h"
#include "symbol/unwind.h"

/* words: STACK_REGS of them; a 0 in the place of x86's di is none. Sets the registers and pc of *ret, nothing else. */
static inline void stack_regs(enum syscall_arch arch, const uint64_t *words,
			      struct unwind_state *ret)
{
	static const int x86[] = { UNWIND_X86_SP,      UNWIND_X86_BP,      UNWIND_X86_BX,
				   UNWIND_X86_R12,     UNWIND_X86_R12 + 1, UNWIND_X86_R12 + 2,
				   UNWIND_X86_R12 + 3, UNWIND_X86_DI,      -1 };
	static const int arm64[] = {
		UNWIND_ARM64_SP, 29, 30, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, -1
	};
	const int *reg = arch == ARCH_AARCH64 ? arm64 : x86;

	ret->pc = words[0];
	for (int i = 0; reg[i] >= 0; i++) {
		if (reg == x86 && reg[i] == UNWIND_X86_DI && !words[i + 1])
			continue;
		ret->registers[reg[i]] = words[i + 1];
		ret->known |= 1u << reg[i];
	}
}

#endif
