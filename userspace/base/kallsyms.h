/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of kernel addresses, from the text of /proc/kallsyms:
 *
 *   ffffffff81000000 T _stext
 *   ffffffffc0a01000 t nf_hook_slow	[nf_tables]
 *
 * Sorted once, looked up by bisection. Sizes are not told there: a symbol reaches to the next one. Of several at one address the
 * first one whose type fits is given that is not a mere mark of the linker ("_text", "__entry_text_start"). To who may not see them
 * (kernel.kptr_restrict, no CAP_SYSLOG) the kernel shows every address as 0: then there is no name, and kallsyms_hidden() says so.
 */
#ifndef WHYSCALE_BASE_KALLSYMS_H
#define WHYSCALE_BASE_KALLSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct kallsyms;

struct kallsym {
	const char *name;   /* belongs to the kallsyms */
	const char *module; /* "ext4", "bpf" for BPF programs; NULL: the kernel itself */
	uint64_t offset;    /* of the address in the symbol, bytes */
};

enum kallsyms_what {
	KALLSYMS_FUNCTION, /* types t T w W */
	KALLSYMS_DATA,     /* b B d D r R, of kernels built with CONFIG_KALLSYMS_ALL */
};

/*
 * Reads such a text to its end; `path` is only for the error. Lines of another form are left out. -ENOMEM; -EACCES: every address
 * is hidden, with a sentence that says what to do, and *ret_kallsyms is an empty table that can be used and must be freed.
 */
int kallsyms_read(FILE *f, const char *path, struct kallsyms **ret_kallsyms, struct err *err);

/* kallsyms_read() of a file, NULL: of /proc/kallsyms. Also the errors of open(2). */
int kallsyms_open(const char *path, struct kallsyms **ret_kallsyms, struct err *err);
void kallsyms_free(struct kallsyms *k);

/* The symbol at an address, O(log n). False: there is none at or before it, or k is NULL. A return address is to be looked up at address - 1. */
bool kallsyms_find(const struct kallsyms *k, uint64_t address, enum kallsyms_what what,
		   struct kallsym *ret_symbol);

size_t kallsyms_nr(const struct kallsyms *k);
bool kallsyms_hidden(const struct kallsyms *k);

#endif
