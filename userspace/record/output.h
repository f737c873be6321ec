/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace's file: 0600, owned by the user behind sudo. It has a temporary name beside its own until the recording has begun;
 * then it takes its own, and an earlier file of that name becomes NAME.old. So a recording that fails to begin changes nothing.
 */
#ifndef WHYSCALE_RECORD_OUTPUT_H
#define WHYSCALE_RECORD_OUTPUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct output {
	const char *path;
	char *temporary; /* its name now; NULL: it has its own, or there is none */
};

/* Creates it under its temporary name. ret_fd is the caller's. Errors name the path and what to do. */
int output_create(struct output *o, const char *path, int *ret_fd, struct err *err);

/* Gives it its own name. */
int output_commit(struct output *o, struct err *err);

/* Removes it if it was not committed; frees. */
void output_end(struct output *o);

/* Gives a file or directory that we made to the user behind sudo; by its descriptor, as its name may mean another one meanwhile. 0 or a
 * negative errno; 0 without sudo. */
int output_give(int fd);

/* Whose files are made: the user behind sudo (true), or the one that this process is. */
bool output_caller(uid_t *ret_uid, gid_t *ret_gid);

#endif
