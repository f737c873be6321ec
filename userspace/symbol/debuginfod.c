// SPDX-License-Identifier: GPL-2.0-only
/* libdebuginfod, by dlopen(3): see debuginfod.h. */
#include "symbol/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FAILURES 3 /* in a row, of servers that cannot be reached: no more are asked then */

/* elfutils/debuginfod.h, of which only these are needed. */
struct client;
typedef struct client *(*begin_fn)(void);
typedef void (*end_fn)(struct client *client);
typedef int (*find_fn)(struct client *client, const unsigned char *build_id, int len, char **path);

static struct library {
	bool tried;
	unsigned int failures;
	struct client *client; /* for the life of this process: it keeps its connections */
	find_fn find[2];
} library;

static void load(struct library *l)
{
	void *handle;
	begin_fn begin;

	l->tried = true;
	handle = dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (!handle)
		return;
	begin = (begin_fn)dlsym(handle, "debuginfod_begin");
	l->find[DEBUGINFOD_DEBUG] = (find_fn)dlsym(handle, "debuginfod_find_debuginfo");
	l->find[DEBUGINFOD_PROGRAM] = (find_fn)dlsym(handle, "debuginfod_find_executable");
	if (begin && l->find[0] && l->find[1])
		l->client = begin();
}

int debuginfod_fetch(enum debuginfod_what what, const uint8_t *build_id, uint32_t len,
		     char ret_path[PATH_MAX])
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	struct library *l = &library;
	char *path = NULL;
	int fd, cut;

	if (!urls || !*urls || !len)
		return -ENOENT;
	if (!l->tried)
		load(l);
	if (!l->client || l->failures >= MAX_FAILURES)
		return -ENOENT;
	fd = l->find[what](l->client, build_id, (int)len, &path);
	if (fd < 0) {
		/* "not there" is an answer */
		l->failures = fd == -ENOENT ? 0 : l->failures + 1;
		return -ENOENT;
	}
	close(fd);
	l->failures = 0;
	cut = snprintf(ret_path, PATH_MAX, "%s", path ? path : "");
	free(path);
	return cut > 0 && cut < PATH_MAX ? 0 : -ENOENT;
}
