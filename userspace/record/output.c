// SPDX-License-Identifier: GPL-2.0-only
/* The trace's file: see output.h. */
#include "record/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The id in an environment variable that sudo sets, or -1. */
static long sudo_id(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long id;

	if (!text || geteuid())
		return -1;
	id = strtol(text, &end, 10);
	return end == text || *end || id < 0 ? -1 : id;
}

/* A link that somebody else put into a directory where all may (/tmp): what the kernel refuses too where fs.protected_symlinks is set. */
static bool foreign_link(const char *path, size_t len)
{
	char step[PATH_MAX], above[PATH_MAX];
	struct stat link, dir;
	const char *slash;

	snprintf(step, sizeof(step), "%.*s", (int)len, path);
	slash = strrchr(step, '/');
	snprintf(above, sizeof(above), "%.*s", slash ? (int)(slash - step) + 1 : 1,
		 slash ? step : ".");
	return !lstat(step, &link) && S_ISLNK(link.st_mode) && !stat(above, &dir) &&
	       (dir.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) &&
	       link.st_uid != geteuid() && link.st_uid != dir.st_uid;
}

/* Anything that is no plain file is not ours to replace. */
static int check_plain(const char *path, struct err *err)
{
	struct stat st;

	for (size_t i = 1; path[i - 1] && path[i]; i++)
		if (path[i] == '/' && foreign_link(path, i))
			return err_set(err, -EINVAL,
				       "will not write to '%.200s': '%.*s' is a symbolic link of "
				       "somebody else's; choose another with -o",
				       path, (int)(i < 200 ? i : 200), path);
	if (lstat(path, &st) || S_ISREG(st.st_mode))
		return 0;
	return err_set(err, -EINVAL,
		       "will not write to '%s': it is not a plain file; choose another with -o",
		       path);
}

/* A file without a name, so that nothing is left of it if we are killed; -1 where the file system has no such files. */
static int open_nameless(const char *path)
{
	char copy[PATH_MAX];

	if (access("/proc/self/fd", X_OK) ||
	    snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -1;
	return open(dirname(copy), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
}

static int open_either(struct output *o, struct err *err)
{
	int fd = open_nameless(o->path);

	o->nameless = fd >= 0;
	if (fd < 0)
		fd = open(o->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o",
				o->path) :
			fd;
}

int output_create(struct output *o, const char *path, int *ret_fd, struct err *err)
{
	int r = check_plain(path, err), fd;

	*o = (struct output){ .path = path, .fd = -1 };
	if (r)
		return r;
	if (asprintf(&o->temporary, "%s.%d.part", path, getpid()) < 0) {
		o->temporary = NULL;
		return err_sys(err, -ENOMEM, "cannot name the output");
	}
	fd = open_either(o, err);
	if (fd < 0) {
		free(take_ptr(o->temporary));
		return fd;
	}
	r = output_give(fd);
	if (r) {
		close(fd);
		return err_sys(err, r, "cannot give '%s' to the user behind sudo", path);
	}
	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (o->fd < 0) {
		r = -errno;
		close(fd);
		return err_sys(err, r, "cannot keep '%s' open", path);
	}
	*ret_fd = fd;
	return 0;
}

static int name_it(struct output *o, struct err *err)
{
	char link[32];

	if (!o->nameless)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", o->fd);
	if (linkat(AT_FDCWD, link, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW))
		return err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o",
			       o->path);
	o->nameless = false;
	return 0;
}

int output_replace(struct output *o, struct err *err)
{
	if (name_it(o, err))
		return err->code;
	if (rename(o->temporary, o->path))
		return err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o",
			       o->path);
	free(take_ptr(o->temporary));
	return 0;
}

int output_commit(struct output *o, struct err *err)
{
	char old[PATH_MAX];
	struct stat st;

	if (name_it(o, err))
		return err->code;
	snprintf(old, sizeof(old), "%s.old", o->path);
	if (!lstat(o->path, &st) && st.st_size && rename(o->path, old))
		return err_set(
			err, -EINVAL,
			"cannot keep the earlier '%s' as '%s' (%m): choose another file with -o",
			o->path, old);
	return output_replace(o, err);
}

int output_leave(struct output *o, const struct err *why, struct err *err)
{
	if (!o->temporary || o->nameless)
		return err_set(err, why->code, "%s", why->msg);
	err_set(err, why->code, "%.300s; what was recorded is in '%.300s'", why->msg, o->temporary);
	free(take_ptr(o->temporary));
	return err->code;
}

int output_check(const struct output *o, struct err *err)
{
	struct stat st;

	if (!o->path || o->temporary || fstat(o->fd, &st) || st.st_nlink)
		return 0;
	return err_set(
		err, -ESTALE,
		"'%s' was removed while it was written: nothing is left of the recording; record again",
		o->path);
}

void output_end(struct output *o)
{
	if (!o->path)
		return;
	if (o->temporary && !o->nameless)
		unlink(o->temporary);
	free(take_ptr(o->temporary));
	close_p(&o->fd);
	*o = (struct output){};
}

bool output_caller(uid_t *ret_uid, gid_t *ret_gid)
{
	long uid = sudo_id("SUDO_UID"), gid = sudo_id("SUDO_GID");

	*ret_uid = uid < 0 || gid < 0 ? geteuid() : (uid_t)uid;
	*ret_gid = uid < 0 || gid < 0 ? getegid() : (gid_t)gid;
	return uid >= 0 && gid >= 0;
}

int output_give(int fd)
{
	uid_t uid;
	gid_t gid;

	if (!output_caller(&uid, &gid))
		return 0;
	return fchown(fd, uid, gid) ? -errno : 0;
}
