/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads folded stacks, the format of stackcollapse-*.pl, inferno, bcc -f, py-spy and others: a line is a stack, outermost frame
 * first, and how much of it there was.
 *
 *   main;work;do_syscall_64_[k] 12
 *
 * A frame may hold anything but ';' and a line's end, which the format cannot express. The number is what follows the last
 * blank. A suffix tells the kind of a frame and is no part of its name: _[k] kernel, _[i] inlined, _[p] Python, _[w] a waker,
 * _[j] JIT, _[t] a thread. Without one, "name (file.py:12)" is Python, and "[unknown]" and the like, with no name at all, is a note.
 *
 * Memory is bounded by the longest line that is accepted, whatever the file is.
 */
#ifndef WHYSCALE_ANALYSIS_FOLDED_H
#define WHYSCALE_ANALYSIS_FOLDED_H

#include <stdint.h>

#include "analysis/flame_tree.h"
#include "base/err.h"

#define FOLDED_LINE_MAX (16u << 20) /* bytes; a longer line is left out */

struct folded_summary {
	uint64_t lines;   /* without empty ones */
	uint64_t stacks;  /* that were read */
	uint64_t bad;     /* lines left out: no number, a number too large, a line too long */
	uint64_t bad_at;  /* the first of them, from 1 */
	uint64_t rounded; /* stacks whose number had a fraction */
};

/*
 * Adds the stacks of a file ("-": standard input) to the tree, their numbers times `unit`. -ENOMEM; what open() and read() say; -EINVAL when not one line
 * of several is a stack. An empty file is none of these.
 */
int folded_read(const char *path, uint64_t unit, struct flame_tree *t,
		struct folded_summary *ret_summary, struct err *err);

#endif
