/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files, read whole. */
#ifndef WHYSCALE_BASE_FILE_H
#define WHYSCALE_BASE_FILE_H

#include "base/err.h"

/* The text of a file of /proc or /sys (at most 1 MiB), ended by a 0; the caller's to free. */
int file_read_text(const char *path, char **ret_text, struct err *err);

#endif
