/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace's file: 0600, owned by the user behind sudo. It has no name until the recording has begun (or a temporary one beside
 * its own, where the file system has no files without a name); then it takes its own, and an earlier file of that name becomes
 * NAME.old. So a recording that fails to begin changes nothing, and one that is killed before leaves nothing.
 */
#ifndef WHYSCALE_RECORD_OUTPUT_H
#define WHYSCALE_RECORD_OUTPUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct output {
	const char *path;
	char *temporary; /* its name now, or for a moment; NULL: it has its own, or there is none */
	bool nameless;   /* it has no name yet */
	int fd;          /* the file, a descriptor of our own */
};

/* Creates it without its name. ret_fd is the caller's. Errors name the path and what to do. */
int output_create(struct output *o, const char *path, int *ret_fd, struct err *err);

/* Gives it its own name. */
int output_commit(struct output *o, struct err *err);

/* The same, but an earlier file of that name is gone. */
int output_replace(struct output *o, struct err *err);

/* After output_commit() failed with `why`: what is in it stays under its temporary name, and the sentence says so. Returns why->code. */
int output_leave(struct output *o, const struct err *why, struct err *err);

/* -ESTALE with a sentence when it was committed and somebody has removed it since. 0 for one of all zeros. */
int output_check(const struct output *o, struct err *err);

/* Removes it if it was not committed; frees. All zeros, as before output_create(), is fine. */
void output_end(struct output *o);

/* Gives a file or directory that we made to the user behind sudo; by its descriptor, as its name may mean another one meanwhile. 0 or a
 * negative errno; 0 without sudo. */
int output_give(int fd);

/* Whose files are made: the user behind sudo (true), or the one that this process is. */
bool output_caller(uid_t *ret_uid, gid_t *ret_gid);

#endif
