/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding the file that a command's name means. */
#ifndef WHYSCALE_BASE_PATH_H
#define WHYSCALE_BASE_PATH_H

#include <limits.h>

/*
 * As execvp(3) looks for it: a name with a slash is a path, any other is sought in the directories of PATH. 0 and the path; -ENOENT;
 * -EACCES when there is only a file that may not be executed.
 */
int path_find(const char *name, char ret_path[PATH_MAX]);

#endif
