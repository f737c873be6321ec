/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace's file: created 0600, owned by the user behind sudo; an earlier one becomes NAME.old. */
#ifndef WHYSCALE_RECORD_OUTPUT_H
#define WHYSCALE_RECORD_OUTPUT_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Creates `path`. ret_fd is the caller's; ret_kept: an earlier file became NAME.old. Errors name the path and what to do,
 * and leave the earlier file where it was.
 */
int output_create(const char *path, int *ret_fd, bool *ret_kept, struct err *err);

/* Undoes output_create(): nothing was recorded, so the earlier file is put back. */
void output_discard(const char *path, bool kept);

/* Gives a file or directory that we made to the user behind sudo. 0 or a negative errno; 0 without sudo. */
int output_give(const char *path);

#endif
