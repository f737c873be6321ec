/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stacks merged into a tree: each node a frame, its value the sum of all stacks through it. What a flame graph draws.
 *
 *   add(main;work;a 3), add(main;work;b 1)        main 4
 *                                                  work 4
 *                                                  a 3   b 1
 *
 * Names are kept once. The root has no name; its children are the outermost frames. Not for several threads at once.
 */
#ifndef WHYSCALE_ANALYSIS_FLAME_TREE_H
#define WHYSCALE_ANALYSIS_FLAME_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flame_tree;

enum flame_kind {
	FLAME_USER,
	FLAME_KERNEL,
	FLAME_PYTHON,
	FLAME_INLINED,
	FLAME_WAITING, /* what was waited for: a lock, its holder, a class of the ledger, a waker's frame */
	FLAME_THREAD, /* a process or thread, at the root */
	FLAME_NOTE,   /* no frame: "[stack not captured]", "[cut]" */
	FLAME_KIND_NR
};

#define FLAME_NAME_MAX 4096 /* bytes; a longer name is cut */
#define FLAME_DEPTH_MAX \
	2048 /* frames; of a deeper stack the outermost are kept, with a FLAME_NOTE innermost */

struct flame_frame {
	uint32_t name; /* flame_tree_name()'s */
	uint32_t kind; /* enum flame_kind: frames of one name and two kinds are two nodes */
};

/* A node, for walking: indices into the tree's arrays, 0 is the root; children are linked from `child` by `next`, 0 ends. */
struct flame_node {
	uint32_t name, kind, parent, child, next;
	uint64_t total; /* of all stacks through it */
	uint64_t self;  /* of the stacks that end here */
	uint64_t count; /* how often they were seen (samples, waits) */
};

/* The caller frees it. -ENOMEM. */
int flame_tree_new(struct flame_tree **ret_tree);
void flame_tree_free(struct flame_tree *t);

/* The number of a name, made if it is new. -ENOMEM. Any bytes are allowed; it is for the output form to escape them. */
int flame_tree_name(struct flame_tree *t, const char *name, size_t len, uint32_t *ret_name);
const char *flame_tree_string(const struct flame_tree *t, uint32_t name, size_t *ret_len);

/* Adds a stack, outermost frame first. `value` in the tree's unit (ns, samples), `count` how often it was seen. -ENOMEM. */
int flame_tree_add(struct flame_tree *t, const struct flame_frame *frames, size_t nr,
		   uint64_t value, uint64_t count);

/* Once all were added: totals, and each node's children in order of name, or of value (largest first). */
void flame_tree_finish(struct flame_tree *t, bool by_value);

/* After finish(): the nodes. */
const struct flame_node *flame_tree_nodes(const struct flame_tree *t, size_t *ret_nr);

#endif
