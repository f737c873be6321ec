/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why the kernel refused BPF programs or maps, as a sentence. libbpf tells it in messages, of which the last one says least: the first
 * that names a map or a program says which, and the verifier's log ends with the reason.
 */
#ifndef WHYSCALE_PROBES_REFUSAL_H
#define WHYSCALE_PROBES_REFUSAL_H

#include <stdbool.h>

#include "base/err.h"

/* Listens to libbpf's messages from here on, and forgets those before. They never reach the terminal. */
void refusal_listen(void);

/* What was refused, since refusal_listen(): was it a map of this name? */
bool refusal_is_map(const char *name);

/* Was it a program whose name begins like this? */
bool refusal_is_program(const char *begin);

/* Sets the sentence: "the kernel refused WHAT: ..."; returns `code`, that of libbpf. */
int refusal_error(struct err *err, int code, const char *what);

#endif
