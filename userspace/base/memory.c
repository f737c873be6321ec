// SPDX-License-Identifier: GPL-2.0-only
/* The machine's memory, and the limits of cgroups: see memory.h; proc_pid_mountinfo(5) and cgroups(7) say what is read. */
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/* What a line of mountinfo says: "36 31 0:33 ROOT AT options - TYPE source options". */
struct mount {
	char root[PATH_MAX], at[PATH_MAX], type[16], options[256];
};

/* Is `word` one of the words of a list, between commas? */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, word, len) && (!at[len] || at[len] == ','))
			return true;
	}
	return false;
}

static bool parse_mount(const char *line, struct mount *ret)
{
	const char *dash = strstr(line, " - ");

	*ret->options = '\0';
	return sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->at) == 2 && dash &&
	       sscanf(dash, " - %15s %*s %255s", ret->type, ret->options) >= 1;
}

/* The mount that shows cgroups of version 2, or those of version 1's memory controller. */
static bool find_mount(const char *mounts, bool v2, struct mount *ret)
{
	for (const char *line = mounts; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (parse_mount(line, ret) &&
		    (v2 ? !strcmp(ret->type, "cgroup2") :
			  !strcmp(ret->type, "cgroup") && has_word(ret->options, "memory")))
			return true;
	}
	return false;
}

/* The number behind `key` in a file of a cgroup; UINT64_MAX: there is none ("max"). */
static uint64_t read_limit(const char *dir, const char *name, const char *key)
{
	_cleanup_(free_p) char *text = NULL;
	char path[PATH_MAX + 64];
	const char *at;
	struct err none;
	uint64_t limit;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_read_text(path, &text, &none))
		return UINT64_MAX;
	at = strstr(text, key);
	return at && sscanf(at + strlen(key), "%" SCNu64, &limit) == 1 ? limit : UINT64_MAX;
}

/* Of the cgroup `path` and of those above it. Version 1 tells the least of them itself. */
static uint64_t limit_of(const struct mount *m, const char *path, bool v2)
{
	size_t root = strcmp(m->root, "/") ? strlen(m->root) : 0, top = strlen(m->at);
	uint64_t least = UINT64_MAX, limit;
	char dir[2 * PATH_MAX];
	char *slash;

	/* a mount of another part of the tree, as in some containers, begins with what we are in */
	if (strncmp(path, m->root, root) || strstr(path, "/.."))
		path = "";
	else
		path += root;
	snprintf(dir, sizeof(dir), "%s%s", m->at, path);
	if (!v2)
		return read_limit(dir, "memory.stat", "hierarchical_memory_limit ");
	for (;;) {
		limit = read_limit(dir, "memory.max", "");
		if (limit < least)
			least = limit;
		slash = strrchr(dir, '/');
		if (strlen(dir) <= top || !slash)
			return least;
		*slash = '\0';
	}
}

uint64_t memory_cgroup_limit(const char *cgroups, const char *mounts)
{
	uint64_t least = UINT64_MAX;

	for (const char *line = cgroups; line; line = strchr(line, '\n')) {
		char controllers[256] = "", path[PATH_MAX] = "";
		struct mount m;
		bool v2;

		line += *line == '\n';
		v2 = sscanf(line, "0::%4095[^\n]", path) == 1;
		if (!v2 && (sscanf(line, "%*u:%255[^:]:%4095[^\n]", controllers, path) != 2 ||
			    !has_word(controllers, "memory")))
			continue;
		if (find_mount(mounts, v2, &m)) {
			uint64_t limit = limit_of(&m, path, v2);

			if (limit < least)
				least = limit;
		}
	}
	return least;
}

uint64_t memory_limit(void)
{
	_cleanup_(free_p) char *cgroups = NULL, *mounts = NULL;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t all = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0, limit;
	struct err none;

	if (file_read_text("/proc/self/cgroup", &cgroups, &none) ||
	    file_read_text("/proc/self/mountinfo", &mounts, &none))
		return all;
	limit = memory_cgroup_limit(cgroups, mounts);
	return all && all < limit ? all : limit == UINT64_MAX ? 0 : limit;
}
