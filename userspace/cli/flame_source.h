/* SPDX-License-Identifier: GPL-2.0-only */
/* Where `whyscale flame` has its stacks from: a trace or a file of folded stacks, as a tree, and what is to be said of it. */
#ifndef WHYSCALE_CLI_FLAME_SOURCE_H
#define WHYSCALE_CLI_FLAME_SOURCE_H

#include "analysis/calls.h"
#include "analysis/flame_tree.h"

#define FLAME_NOTES_MAX 24 /* of a graph and of what it is compared with */

struct flame_source_options {
	struct calls_options calls;
	bool any_mode; /* none was chosen: ON if there are samples, else OFF; calls.mode is set to what was found */
	uint64_t unit; /* of a folded file's numbers: ns; 0: they are samples */
};

struct flame_source {
	struct flame_tree *tree; /* finished */
	bool is_trace;
	char *title, *subtitle;
	const char *counted; /* one of what its counts count */
	char *notes[FLAME_NOTES_MAX];
	size_t nr_notes;
};

/* Whether the file is a trace: it begins as one does. "-" and what cannot be read is none. */
bool flame_source_is_trace(const char *path);

/* Reads a trace, or folded stacks. Freed with flame_source_free(), also after an error. Prints nothing. */
int flame_source_trace(const char *path, struct flame_source_options *o, struct flame_source *ret,
		       struct err *err);
int flame_source_folded(const char *path, const struct flame_source_options *o,
			struct flame_source *ret, struct err *err);
void flame_source_free(struct flame_source *s);

/* One more sentence about it; what does not fit FLAME_NOTES_MAX is left out. */
void flame_source_note(struct flame_source *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
