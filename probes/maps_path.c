// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paths from other root directories to ours: see maps_path.h.
 *
 *   chroot      the mount is one of ours: the kernel tells the whole path of an open file
 *   container   its root is a mount of its own, and so the path ends there: "/usr/bin/x". But that file system is often mounted for us
 *               as well (an overlay's "merged"): it is the one on the same device, and the path goes on from there
 *
 * What comes out is believed only if it leads to that file.
 */
#include "probes/maps_path.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINE_SIZE 8192

bool maps_path_leads_there(const struct mapping *m)
{
	struct stat st;

	return !stat(m->path, &st) && S_ISREG(st.st_mode) && st.st_ino == m->inode;
}

static bool is_same(const char *path, const struct stat *st)
{
	struct stat other;

	return !stat(path, &other) && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

/* As mountinfo writes a blank: "\040". In place. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int byte;

	for (; *text; text++) {
		if (*text == '\\' && sscanf(text + 1, "%3o", &byte) == 1 && byte < 256) {
			*to++ = (char)byte;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* One mount of ours, "36 35 98:0 / POINT ...", on that device: does the path go on from there? */
static bool try_mount(char *line, const struct stat *st, const char *rest, char ret_path[PATH_MAX])
{
	unsigned int major, minor;
	char point[PATH_MAX];

	if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &major, &minor, point) != 3 ||
	    makedev(major, minor) != st->st_dev)
		return false;
	unescape(point);
	return snprintf(ret_path, PATH_MAX, "%s%s", strcmp(point, "/") ? point : "", rest) <
		       PATH_MAX &&
	       is_same(ret_path, st);
}

static bool try_mounts(const struct stat *st, const char *rest, char ret_path[PATH_MAX])
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE_SIZE];

	while (f && fgets(line, sizeof(line), f))
		if (try_mount(line, st, rest, ret_path))
			return true;
	return false;
}

bool maps_path_here(int fd, const struct stat *st, char ret_path[PATH_MAX])
{
	char self[32], name[PATH_MAX];
	ssize_t len;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = readlink(self, name, sizeof(name) - 1);
	if (len <= 0 || name[0] != '/')
		return false;
	name[len] = '\0';
	if (!is_same(name, st))
		return try_mounts(st, name, ret_path);
	memcpy(ret_path, name, (size_t)len + 1);
	return true;
}
