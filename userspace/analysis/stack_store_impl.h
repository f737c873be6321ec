/* SPDX-License-Identifier: GPL-2.0-only */
/* What stack_store.c (records), stack_store_name.c (names) and stack_store_python.c share; nobody else includes it. */
#ifndef WHYSCALE_ANALYSIS_STACK_STORE_IMPL_H
#define WHYSCALE_ANALYSIS_STACK_STORE_IMPL_H

#include "analysis/keymap.h"
#include "analysis/stack_store.h"
#include "symbol/frames.h"
#include "symbol/unwind.h"

/* Ids are of one of these. */
enum shelf { SHELF_KERNEL, SHELF_USER, SHELF_PYTHON, SHELF_CODE, SHELF_NR };

#define ADDRESS_EXACT (1ull << 63) /* the instruction itself, not where a call returns to */

/* A stack, or a Python code object. */
struct stored {
	uint64_t id;
	uint64_t time_ns; /* of the first part: it is that process's memory of then that the addresses mean */
	/*
	 * Until it is settled the payload of the parts so far. Then: user, kernel: `nr` addresses, innermost first; Python: `nr`
	 * struct ev_pyframe; code: `nr` bytes. Once `named`, of user and kernel: `nr` struct flame_frame, outermost first.
	 */
	void *data;
	uint32_t nr;
	uint32_t bytes; /* of data */
	uint32_t tgid;
	uint32_t claimed; /* EV_USTACK, EV_PYCODE: what the record says of all parts' bytes */
	uint32_t first_line;
	uint8_t kind;        /* EV_*; 0: never came */
	uint8_t parts, next; /* next: the part that is to come */
	uint8_t version;
	bool cut, settled, named;
	bool in_part; /* EV_USTACK: the unwinding ended before the outermost frame, for another reason than the copy's end */
};

struct shelf_of {
	struct keymap by_id; /* 1 + index */
	struct stored *at;
	size_t nr, cap;
};

/* The frames of one address of a process, while its mappings stayed as they were. */
struct known_address {
	uint64_t address;
	uint32_t tgid, generation;
	uint32_t first, nr; /* in `frames_pool` */
};

/* When the mappings of a process changed, in order. */
struct mapped {
	uint64_t *time_ns;
	size_t nr, cap;
};

/* What a native frame is to the Python merge. */
enum py_role {
	PY_UNKNOWN,  /* not looked at yet */
	PY_NATIVE,   /* stays */
	PY_START,    /* stays; where the interpreter, or a thread of it, begins */
	PY_LOOP,     /* the interpreter loop: Python frames take its place */
	PY_DISPATCH, /* between two loops: leads from one to the other */
};

struct stack_store {
	struct stack_store_options o;
	struct flame_tree *names;
	struct stack_store_counts counts;
	struct shelf_of shelf[SHELF_NR];
	int failed;

	struct space *space;
	struct resolve *resolve;
	struct unwind *unwind;
	struct frames *frames;
	struct keymap mapped_of; /* tgid: 1 + index */
	struct mapped *mapped;
	size_t nr_mapped, cap_mapped;
	struct unwind_frame unwound[STACK_STORE_FRAMES];

	uint64_t seed; /* of its keys */
	struct keymap address_of;
	struct known_address *address;
	size_t nr_addresses, cap_addresses;
	struct flame_frame *pool;
	size_t nr_pool, cap_pool;
	struct keymap kernel_name; /* address: 1 + number of the name */

	struct keymap python_name; /* index in SHELF_CODE << 32 | at: 1 + number of the name */
	uint8_t *role;             /* by number of the name, enum py_role */
	size_t nr_roles, cap_roles;

	struct flame_frame *out; /* what stack_store_frames() gives */
	size_t nr_out, cap_out;
};

/* stack_store.c. Accounts for some more bytes; false: there are too many. */
bool stack_store_room(struct stack_store *s, size_t bytes);
/* What was kept under an id, settled; NULL: nothing. */
struct stored *stored_find(struct stack_store *s, enum shelf shelf, uint64_t id);

/* stack_store_whole.c. From the payload to what `data` is then. */
void stored_settle(struct stack_store *s, struct stored *st);

/* stack_store_name.c. Makes sure that a user's or kernel's stack is named. */
int stored_name(struct stack_store *s, struct stored *st);
/* The number of a name that ends with a 0. */
int stack_store_number(struct stack_store *s, const char *name, uint32_t *ret_number);
/* Appends to `out`. */
int stack_store_put(struct stack_store *s, uint32_t name, enum flame_kind kind);
int stack_store_put_text(struct stack_store *s, const char *name, enum flame_kind kind);

/* stack_store_python.c. Appends the frames of a user stack (NULL: it is not there) with the Python ones in the place of the loop's. */
int stack_store_merge(struct stack_store *s, const struct stored *user,
		      const struct stored *python);

#endif
