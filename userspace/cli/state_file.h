/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small files that are kept from one call to the next: $XDG_STATE_HOME/whyscale/NAME, or ~/.local/state/whyscale/NAME, mode 0600.
 *
 * Under sudo they are the calling user's, in the calling user's home, and that directory is not root's to trust: its owner may put
 * anything there, links included. So the file system is used with that user's rights (setfsuid(2)), no step of the path may be a
 * symbolic link, and what is read must be a plain file of that user that nobody else can write, of at most STATE_MAX bytes.
 */
#ifndef WHYSCALE_CLI_STATE_FILE_H
#define WHYSCALE_CLI_STATE_FILE_H

#include <stddef.h>

#include "base/err.h"

#define STATE_MAX 65536

/* Where it is, or would be, for sentences; the caller's to free. NULL where there is no home, or out of memory. */
char *state_path(const char *name);

/*
 * Reads it whole; *ret_text ends with a 0 and is the caller's to free. -ENOENT: there is none (no sentence is needed); another
 * error has a sentence that says why the file is not used.
 */
int state_read(const char *name, char **ret_text, size_t *ret_len, struct err *err);

/* Puts a new file in the place of what is there, making the directories. The old one stays until the new one is whole. */
int state_write(const char *name, const char *text, size_t len, struct err *err);

#endif
