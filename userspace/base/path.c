// SPDX-License-Identifier: GPL-2.0-only
/* Finding commands: see path.h. */
#include "base/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory that may not be searched holds nothing for us: only a file that was found can lack the permission. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -ENOENT;
	return S_ISREG(st.st_mode) && !access(path, X_OK) ? 0 : -EACCES;
}

int path_find(const char *name, char ret_path[PATH_MAX])
{
	const char *dir = getenv("PATH");
	int code = -ENOENT;

	if (strchr(name, '/'))
		return snprintf(ret_path, PATH_MAX, "%s", name) < PATH_MAX ? executable(ret_path) :
									     -ENOENT;
	for (dir = dir ? dir : "/usr/local/bin:/usr/bin:/bin"; *name && dir;
	     dir = strchr(dir, ':')) {
		int len, one;

		dir += *dir == ':';
		len = (int)strcspn(dir, ":");
		if (snprintf(ret_path, PATH_MAX, "%.*s/%s", len ? len : 1, len ? dir : ".", name) >=
		    PATH_MAX)
			continue;
		one = executable(ret_path);
		if (!one)
			return 0;
		code = one == -EACCES ? one : code;
	}
	return code;
}
