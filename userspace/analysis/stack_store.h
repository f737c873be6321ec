/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The call stacks of a trace, by their ids, and what their frames are called.
 *
 *   EV_USTACK parts -> unwound when the last one is there \
 *   EV_UFRAMES, EV_KSTACK, EV_PYSTACK, EV_PYCODE parts ----> addresses -> names, at the first question for the stack
 *
 * A stack is kept once, whatever the trace says of it again. Parts are taken in their order; of what is missing the rest of that stack
 * is missing too, and it counts as cut. What is kept is never more than the trace's records themselves hold, and at most
 * STACK_STORE_MAX bytes; what would be more is refused and counted. Not for several threads at once.
 */
#ifndef WHYSCALE_ANALYSIS_STACK_STORE_H
#define WHYSCALE_ANALYSIS_STACK_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/class.h"
#include "analysis/flame_tree.h"
#include "base/mapping.h"
#include "symbol/resolve.h"
#include "trace/reader.h"

#define STACK_STORE_MAX (4ull << 30)
#define STACK_STORE_FRAMES 1024 /* of one unwound stack: of more the outermost are cut */

struct stack_store_options {
	enum syscall_arch arch;
	const json_t
		*kernel_symbols; /* META's: names by address; NULL: none. Must outlive the store */
	uint64_t realtime_ns;    /* see struct frames_options */
	const char *kernel;      /* META's; NULL or "": not known. See struct elf_where */
	bool inlined, python, lines, no_kernel, no_jit;
	const char *root, *debug; /* see struct elf_where */
	uint64_t max_bytes;       /* 0: STACK_STORE_MAX */
};

/* CL2_EXEC: a user stack of which nothing is there but where it was is CALLS_EXEC. */
#define STACK_IDS_EXEC (1u << 16)

/* What an EV_CALLS names. */
struct stack_ids {
	uint64_t kernel, user, python;
	uint64_t no; /* CL_NO_*, or'ed with STACK_IDS_EXEC */
};

struct stack_frames {
	struct flame_frame *frame; /* outermost first; valid until the next question */
	size_t nr;
	bool missing; /* the user stack, or the kernel's, is not there: CALLS_NOT_CAPTURED stands in its place */
	bool cut;     /* there were more frames: CALLS_CUT stands outermost */
	bool in_part; /* more frames could not be found in the copy: CALLS_IN_PART stands outermost */
};

struct stack_store_counts {
	uint64_t stacks;    /* kept: of the kernel, of users and of Python */
	uint64_t malformed; /* records that make no sense */
	uint64_t refused;   /* for lack of room */
	uint64_t absent;    /* stacks asked for that no record brought; each once */
	uint64_t partial;   /* stacks of which a part is missing */
	uint64_t bytes;
};

struct stack_store;

/* `names` gets the names of all frames and must outlive it. The caller frees it. -ENOMEM. */
int stack_store_new(const struct stack_store_options *o, struct flame_tree *names,
		    struct stack_store **ret_store);
void stack_store_free(struct stack_store *s);

/* All mappings before the first event. 0 or -ENOMEM. */
int stack_store_mapping(struct stack_store *s, const struct mapping *m);

/* Each event; other kinds than those above are ignored. 0 or -ENOMEM. */
int stack_store_event(struct stack_store *s, const struct trace_event *ev);

/* The frames of a stack, once all events were taken. 0 or -ENOMEM. */
int stack_store_frames(struct stack_store *s, const struct stack_ids *ids,
		       struct stack_frames *ret_frames);

const struct stack_store_counts *stack_store_counts(const struct stack_store *s);

/* Calls fn for every file that was needed and could not be used, with the reason. */
void stack_store_problems(const struct stack_store *s, resolve_problem_fn fn, void *arg);

#endif
