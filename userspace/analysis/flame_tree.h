/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stacks merged into a tree: each node's value is the sum of all stacks through it. What a flame graph draws.
 *
 *   add(main;work;a 3), add(main;work;b 1)        [main work] 4
 *                                                  [a] 3   [b] 1
 *
 * A million stacks of thirty frames make some twenty million frames that most often have one child each. So a node is a *run*
 * of frames, all with the same value, that is divided where a second stack leaves it: there are never more than two nodes for
 * each stack, whatever its depth, and the frames are 4 bytes each. Names are kept once. The root (node 0) is an empty run; its
 * children begin with the outermost frames. Not for several threads at once.
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
	FLAME_THREAD, /* a process or thread; the merged view leaves these out */
	FLAME_NOTE,   /* no frame: "[stack not captured]", "[cut]" */
	FLAME_KIND_NR
};

#define FLAME_NAME_MAX 4096 /* bytes; a longer name is cut */
#define FLAME_DEPTH_MAX \
	2048 /* frames; of a deeper stack the outermost are kept, with a FLAME_NOTE innermost */
#define FLAME_CUT "[cut]" /* the name of that note */

struct flame_frame {
	uint32_t name; /* flame_tree_name()'s */
	uint32_t kind; /* enum flame_kind: frames of one name and two kinds are two frames */
};

struct flame_value {
	uint64_t value;  /* in the tree's unit: ns, samples */
	uint64_t count;  /* how often it was seen (samples, waits); 0: not known */
	uint64_t before; /* the value in the tree that this one is compared with, see flame_diff.h */
};

/* For walking: numbers of nodes; children are linked from `child` by `next`; 0 ends. */
struct flame_node {
	uint32_t parent, child, next;
	uint32_t nr;              /* frames in its run; 0 only at the root */
	uint64_t first;           /* its run's first frame, for flame_tree_frame() */
	struct flame_value self;  /* of the stacks that end with its last frame */
	struct flame_value total; /* of all stacks through it: the same for each of its frames */
};

/* The caller frees it. -ENOMEM. */
int flame_tree_new(struct flame_tree **ret_tree);
void flame_tree_free(struct flame_tree *t);

/* An empty tree with the names of `source`, for the same stacks in another form; `source` has to outlive it, with its names. */
int flame_tree_new_like(struct flame_tree *source, struct flame_tree **ret_tree);

/* The number of a name, made if it is new. -ENOMEM. Any bytes are allowed; it is for the output form to escape them. */
int flame_tree_name(struct flame_tree *t, const char *name, size_t len, uint32_t *ret_name);

/* Ended by a 0, too. Holds until the next flame_tree_name(). */
const char *flame_tree_string(const struct flame_tree *t, uint32_t name, size_t *ret_len);
uint32_t flame_tree_nr_names(const struct flame_tree *t);

/*
 * Adds a stack, outermost frame first. `value` in the tree's unit, `count` how often it was seen. -ENOMEM; -EOVERFLOW, and
 * nothing was added, when all values together do not fit 63 bits.
 */
int flame_tree_add(struct flame_tree *t, const struct flame_frame *frames, size_t nr,
		   uint64_t value, uint64_t count);

/* The same, with all that is known of it. */
int flame_tree_add_value(struct flame_tree *t, const struct flame_frame *frames, size_t nr,
			 const struct flame_value *value);

/*
 * Once all were added: totals, and each node's children in order of name, or of value (largest first). More may be added
 * afterwards; it is then to be called again.
 */
void flame_tree_finish(struct flame_tree *t, bool by_value);

/* After finish(): the nodes; and a frame of a run. Node 0, the root, has the tree's total. */
const struct flame_node *flame_tree_nodes(const struct flame_tree *t, size_t *ret_nr);
struct flame_frame flame_tree_frame(const struct flame_tree *t, uint64_t frame);

/* After finish(): calls fn for each different stack that was added, in the order of the tree. Ends at the first that is not 0. */
typedef int (*flame_stack_fn)(const struct flame_frame *frames, size_t nr,
			      const struct flame_value *value, void *arg);
int flame_tree_each(const struct flame_tree *t, flame_stack_fn fn, void *arg);

#endif
