/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace's file: created 0600, owned by the user behind sudo; an earlier one becomes NAME.old. */
#ifndef WHYSCALE_RECORD_OUTPUT_H
#define WHYSCALE_RECORD_OUTPUT_H

#include "base/err.h"

/* Creates `path`. ret_fd is the caller's. Errors name the path and what to do. */
int output_create(const char *path, int *ret_fd, struct err *err);

/* Undoes output_create(): nothing was recorded, so the earlier file is put back. */
void output_discard(const char *path);

#endif
