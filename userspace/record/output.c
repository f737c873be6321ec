// SPDX-License-Identifier: GPL-2.0-only
/* The trace's file: see output.h. */
#include "record/output.h"

#include <errno.h>
#include <fcntl.h>
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

int output_create(struct output *o, const char *path, int *ret_fd, struct err *err)
{
	int r = check_plain(path, err), fd;

	*o = (struct output){ .path = path };
	if (r)
		return r;
	if (asprintf(&o->temporary, "%s.%d.part", path, getpid()) < 0) {
		o->temporary = NULL;
		return err_sys(err, -ENOMEM, "cannot name the output");
	}
	fd = open(o->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o", path);
		free(take_ptr(o->temporary));
		return err->code;
	}
	r = output_give(fd);
	if (r) {
		close(fd);
		return err_sys(err, r, "cannot give '%s' to the user behind sudo", path);
	}
	*ret_fd = fd;
	return 0;
}

int output_commit(struct output *o, struct err *err)
{
	char old[PATH_MAX];
	struct stat st;

	snprintf(old, sizeof(old), "%s.old", o->path);
	if (!lstat(o->path, &st) && st.st_size && rename(o->path, old))
		return err_set(
			err, -EINVAL,
			"cannot keep the earlier '%s' as '%s' (%m): choose another file with -o",
			o->path, old);
	if (rename(o->temporary, o->path))
		return err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o",
			       o->path);
	free(take_ptr(o->temporary));
	return 0;
}

void output_end(struct output *o)
{
	if (o->temporary)
		unlink(o->temporary);
	free(take_ptr(o->temporary));
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
