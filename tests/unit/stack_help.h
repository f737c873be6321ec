/* SPDX-License-Identifier: GPL-2.0-only */
/* A store of stacks (analysis/stack_store.h) that is fed record by record, of a process that has this program's mappings. */
#ifndef WHYSCALE_TESTS_STACK_HELP_H
#define WHYSCALE_TESTS_STACK_HELP_H

#include <jansson.h>
#include <stdint.h>

#include "analysis/stack_store.h"

#define STACK_TGID 7u /* the process */

struct stack_world {
	struct flame_tree *names;
	struct stack_store *store;
	json_t *kernel;
};

/* The kernel's functions are schedule (0xf1), one of ours (0xf2) and do_nanosleep (0xf3). */
void stack_world_open(struct stack_world *w, struct stack_store_options o);
void stack_world_close(struct stack_world *w);

/* A record of a kind; its first word is made here. */
void stack_world_feed(struct stack_world *w, void *rec, unsigned int kind);

/* The frames of a stack as "main;work", what CL_NO_* is set or not. Valid until the next. */
const char *stack_world_shown(struct stack_world *w, const struct stack_ids *ids,
			      struct stack_frames *frames);

#endif
