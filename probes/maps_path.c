// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paths from other root directories to ours: see maps_path.h.
 *
 *   chroot      the mount is one of ours: the kernel tells the whole path of an open file
 *   container   its root is a mount of its own, and so the path ends there: "/usr/bin/x". But that file system is often mounted for us
 *               as well (an overlay's "merged"): it is the one on the same device, and the path goes on from there
 *
 * What comes out is believed only if it leads to that file.
 *
 * Once the process has ended nobody knows its root directory any more. But a mount of ours that is on the file's device may have it
 * under the same path, or knows it by its number: file systems that NFS can export, as ext4, xfs and f2fs, give a file for its inode and
 * that one's generation.
 */
#include "probes/maps_path.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINE_SIZE 8192
#define HANDLE_INODE 1 /* FILEID_INO32_GEN of the kernel's exportfs.h: inode, generation */
#define HANDLE_BYTES 8

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

/* ---- processes that have ended ---- */

/* The mount point of a line, if it is on the mapping's device. */
static bool is_on_device(char *line, const struct mapping *m, char ret_point[PATH_MAX])
{
	unsigned int major, minor;

	if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &major, &minor, ret_point) != 3 ||
	    major != m->dev_major || minor != m->dev_minor)
		return false;
	unescape(ret_point);
	return true;
}

/* By its number; nothing but a name is opened. To ext4 generation 0 is any: it would give whatever file has the number now. */
static int open_inode(const char *point, const struct mapping *m)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + HANDLE_BYTES];
	} h = { .handle = { .handle_bytes = HANDLE_BYTES, .handle_type = HANDLE_INODE } };
	const uint32_t number[2] = { (uint32_t)m->inode, (uint32_t)m->generation };
	_cleanup_(close_p) int mount = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (mount < 0 || m->inode > UINT32_MAX || !m->generation)
		return -1;
	memcpy(h.room + offsetof(struct file_handle, f_handle), number, sizeof(number));
	return open_by_handle_at(mount, &h.handle, O_PATH | O_CLOEXEC);
}

/* What may be read, if it is that file and a plain one. Closes `fd`. */
static int reopen(int fd, const struct mapping *m, struct stat *st)
{
	_cleanup_(close_p) int name = fd;
	char self[32];

	if (fd < 0 || fstat(fd, st) || !S_ISREG(st->st_mode) || st->st_ino != m->inode ||
	    st->st_dev != makedev(m->dev_major, m->dev_minor))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", name);
	return open(self, O_RDONLY | O_CLOEXEC);
}

int maps_path_open_gone(const struct mapping *m, struct stat *ret_stat)
{
	_cleanup_(fclose_p) FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE_SIZE], point[PATH_MAX], path[2 * PATH_MAX];
	int fd;

	while (f && fgets(line, sizeof(line), f)) {
		if (!is_on_device(line, m, point))
			continue;
		snprintf(path, sizeof(path), "%s%s", strcmp(point, "/") ? point : "", m->path);
		fd = reopen(open(path, O_PATH | O_CLOEXEC), m, ret_stat);
		if (fd < 0)
			fd = reopen(open_inode(point, m), m, ret_stat);
		if (fd >= 0)
			return fd;
	}
	return -1;
}
