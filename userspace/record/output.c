// SPDX-License-Identifier: GPL-2.0-only
/* Creating the trace's file: see output.h. */
#include "record/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void old_name(const char *path, char *old, size_t len)
{
	snprintf(old, len, "%s.old", path);
}

/* Keeps an earlier recording; anything that is no plain file is not ours to move. */
static int keep_earlier(const char *path, bool *ret_kept, struct err *err)
{
	char old[4096];
	struct stat st;

	*ret_kept = false;
	if (lstat(path, &st))
		return 0;
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "will not write to '%s': it is not a plain file; choose another with -o",
			       path);
	old_name(path, old, sizeof(old));
	if (st.st_size && rename(path, old))
		return err_set(err, -EINVAL, "cannot keep the earlier '%s' as '%s' (%m): choose another file with -o",
			       path, old);
	*ret_kept = st.st_size;
	if (!st.st_size)
		unlink(path);
	return 0;
}

static int create(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return err_set(err, -EINVAL, "cannot write '%s' (%m): choose another file with -o", path);
	r = output_give(path);
	if (r) {
		close(fd);
		unlink(path);
		return err_sys(err, r, "cannot give '%s' to the user behind sudo", path);
	}
	*ret_fd = fd;
	return 0;
}

int output_create(const char *path, int *ret_fd, bool *ret_kept, struct err *err)
{
	int r = keep_earlier(path, ret_kept, err);

	if (r)
		return r;
	r = create(path, ret_fd, err);
	if (r && *ret_kept)
		output_discard(path, true);
	return r;
}

void output_discard(const char *path, bool kept)
{
	char old[4096];

	old_name(path, old, sizeof(old));
	if (!kept || rename(old, path))
		unlink(path);
}

int output_give(const char *path)
{
	long uid = sudo_id("SUDO_UID"), gid = sudo_id("SUDO_GID");

	if (uid < 0 || gid < 0)
		return 0;
	return lchown(path, (uid_t)uid, (gid_t)gid) ? -errno : 0;
}
