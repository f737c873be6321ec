/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a call stack shows for an address in a process: the function and, if asked for, the functions that the compiler has inlined
 * into it there, with files and lines. Names are demangled, without parameters. What was answered is kept: the same place of the
 * same object costs a look-up in a table the next time. Not for several threads at once.
 *
 *   pc --space--> mapping --resolve--> object + address --cache--> frames
 *                                                         |  not yet: symbol table, then DWARF (dwarf.h)
 *                                                         `  no object: a JIT's map (perf_map.h), the mapping's name
 *
 * What is shown where there is no function's name: "[libfoo.so.1]" for a file without one, "[heap]", "[vdso]" and the like as the
 * kernel says it, "[anon]" for memory with code of nobody's, "[unknown]" where nothing is known to be mapped, and
 * "libfoo.so.1+0x1234" (the address as the recorded file had it, or the offset in the file) for a file that was replaced by another
 * build since; resolve_problems() says which and why.
 */
#ifndef WHYSCALE_SYMBOL_FRAMES_H
#define WHYSCALE_SYMBOL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/resolve.h"

struct frames;

#define FRAMES_MAX \
	64 /* so many frames one address has at most: an array of this size is never too small */

struct frames_options {
	bool inlined; /* the inlined functions too, from DWARF */
	bool lines;   /* files and lines, from DWARF */
	bool no_jit;  /* leave /tmp/perf-PID.map alone */
	uint64_t realtime_ns; /* CLOCK_REALTIME at time 0 of the trace: tells a JIT's map from that of an earlier process with
				 its pid. 0: unknown, then only those of processes that still live are taken */
};

/* All strings belong to the `struct frames` and live as long as it does. */
struct frame_name {
	const char *name; /* never NULL nor empty */
	const char *
		object; /* path of the file that the code is in, "[vdso]", "/tmp/perf-PID.map"; "": none */
	const char *
		file; /* with `lines` or `inlined`: of the source, as the compiler was told; NULL: unknown */
	int line; /* in `file`, that of the instruction or, below it, of the inlined call; 0: unknown */
	bool inlined; /* it was inlined into the frame before it */
	bool named;   /* `name` is a function's; else it stands for an object or a place */
	bool jit;     /* code that was generated at run time, by the map of its maker */
	bool guessed; /* the file at this path may be another one than was recorded: it has no build-id and another inode */
};

/* `r` must outlive it; `options` NULL: none of them. The caller frees it. -ENOMEM. */
int frames_new(struct resolve *r, const struct frames_options *options, struct frames **ret_frames);
void frames_free(struct frames *f);

/*
 * The frames at `pc` of process `tgid` at that time, outermost first; returns how many: at least 1, at most `max` (of more, the
 * outermost are given; 0 only if max is 0). `exact`: pc is the instruction itself; else it is a return address, and the call
 * before it is looked up (see struct unwind_frame).
 */
size_t frames_of(struct frames *f, uint32_t tgid, uint64_t time_ns, uint64_t pc, bool exact,
		 struct frame_name *ret, size_t max);

/* Calls fn for each JIT map that was there and not taken, with the reason; resolve_problems() is for the other files. */
void frames_problems(const struct frames *f, resolve_problem_fn fn, void *arg);

#endif
