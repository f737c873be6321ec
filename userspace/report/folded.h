/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes folded stacks, the format that flamegraph.pl, inferno and speedscope read: a line is a stack, outermost frame first,
 * a blank and its value. Frames are bare function names: the file and line of a Python function are left out.
 *
 * The format has no escapes: in a name, ';' becomes ':', a control character ' ', and a name that ends in a blank and digits
 * has '_' for that blank where it is a stack's last (some readers take it for a first of two values). A name that is empty is
 * "[unknown]".
 */
#ifndef WHYSCALE_REPORT_FOLDED_H
#define WHYSCALE_REPORT_FOLDED_H

#include <stdio.h>

#include "analysis/flame_tree.h"
#include "base/err.h"

/* A finished tree. Errors of writing are left to be found by ferror(out). -ENOMEM. */
int folded_write(const struct flame_tree *t, FILE *out, struct err *err);

#endif
