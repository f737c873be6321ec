// SPDX-License-Identifier: GPL-2.0-only
/* Small files that are kept: see state_file.h. */
#include "cli/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "record/output.h"

/* ---- as whom ---- */

struct rights {
	uid_t uid;
	gid_t gid;
};

static void rights_restore(struct rights *r)
{
	setfsuid(r->uid);
	setfsgid(r->gid);
}

/* Takes the caller's rights on the file system; what was there before is in *ret_before. */
static int rights_take(struct rights *ret_before, uid_t *ret_uid, struct err *err)
{
	gid_t gid;

	output_caller(ret_uid, &gid);
	ret_before->gid = (gid_t)setfsgid(gid);
	ret_before->uid = (uid_t)setfsuid(*ret_uid);
	/* the only way to learn whether it worked: it returns what was there */
	if ((uid_t)setfsuid((uid_t)-1) == *ret_uid && (gid_t)setfsgid((gid_t)-1) == gid)
		return 0;
	return err_set(err, -EPERM, "cannot act with the rights of user %u",
		       (unsigned int)*ret_uid);
}

/* ---- where ---- */

static const char *home_of(uid_t uid, bool sudo)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (!sudo && home && *home == '/')
		return home;
	pw = getpwuid(uid);
	return pw && pw->pw_dir && *pw->pw_dir == '/' ? pw->pw_dir : NULL;
}

static char *state_directory(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *below = "";
	char *path;
	uid_t uid;
	gid_t gid;
	bool sudo = output_caller(&uid, &gid);

	/* one that is not absolute must be ignored (XDG Base Directory Specification) */
	if (!base || *base != '/') {
		base = home_of(uid, sudo);
		below = "/.local/state";
	}
	if (!base || asprintf(&path, "%s%s/whyscale", base, below) < 0)
		return NULL;
	return path;
}

char *state_path(const char *name)
{
	_cleanup_(free_p) char *directory = state_directory();
	char *path;

	return directory && asprintf(&path, "%s/%s", directory, name) >= 0 ? path : NULL;
}

/* Opens the next step of a path; *fd becomes its descriptor. */
static int step_into(int *fd, const char *name, bool make)
{
	int next, r = 0;

	if (!strcmp(name, ".."))
		return -EINVAL;
	if (make && mkdirat(*fd, name, 0700) && errno != EEXIST)
		r = -errno; /* perhaps only that nobody may make anything here */
	next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0)
		return r && errno == ENOENT ? r : -errno;
	close(*fd);
	*fd = next;
	return 0;
}

static int check_private(int fd, uid_t uid, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(err, -errno, "cannot look at '%s'", path);
	if (st.st_uid != uid || st.st_mode & 022)
		return err_set(
			err, -EPERM,
			"'%s' belongs to, or can be written by, somebody else: make it private "
			"(chmod go-w), or remove it",
			path);
	return 0;
}

static int open_directory(bool make, uid_t uid, int *ret_fd, struct err *err)
{
	_cleanup_(free_p) char *path = state_directory(), *steps = path ? strdup(path) : NULL;
	_cleanup_(close_p) int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *rest = steps, *name;
	int r = fd < 0 ? -errno : 0;

	if (!steps)
		return err_set(err, -ENXIO,
			       "there is no home directory to keep anything in: set "
			       "XDG_STATE_HOME");
	while (!r && (name = strsep(&rest, "/")))
		if (*name && strcmp(name, "."))
			r = step_into(&fd, name, make);
	if (r == -ENOENT && !make)
		return r;
	if (r == -ENOTDIR || r == -ELOOP)
		return err_set(
			err, r,
			"a step of '%s' is no directory, or a symbolic link, which is not followed; "
			"set XDG_STATE_HOME to another place",
			path);
	if (r)
		return err_sys(err, r, "cannot use '%s'", path);
	r = check_private(fd, uid, path, err);
	if (!r)
		*ret_fd = take_fd(fd);
	return r;
}

/* ---- reading ---- */

static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	_cleanup_(free_p) char *text = malloc(STATE_MAX + 2);
	size_t len = 0;
	ssize_t n = 1;

	if (!text)
		return -ENOMEM;
	while (len <= STATE_MAX && n > 0) {
		n = read(fd, text + len, STATE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			len += (size_t)n;
	}
	if (len > STATE_MAX)
		return -EFBIG;
	text[len] = '\0';
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

int state_read(const char *name, char **ret_text, size_t *ret_len, struct err *err)
{
	_cleanup_(rights_restore) struct rights before = { geteuid(), getegid() };
	_cleanup_(free_p) char *path = state_path(name);
	_cleanup_(close_p) int dir = -1, fd = -1;
	struct stat st;
	uid_t uid;
	int r = rights_take(&before, &uid, err);

	if (!r)
		r = open_directory(false, uid, &dir, err);
	if (r)
		return r;
	/* not waiting for whoever would open a pipe's other end */
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno == ELOOP)
		return err_set(err, -ELOOP, "'%s' is a symbolic link, which is not followed",
			       path ?: name);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, -errno, "cannot read '%s'", path ?: name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "'%s' is not a plain file", path ?: name);
	r = check_private(fd, uid, path ?: name, err);
	if (r)
		return r;
	r = read_all(fd, ret_text, ret_len);
	return r ? err_sys(err, r, "cannot read '%s'", path ?: name) : 0;
}

/* ---- writing ---- */

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Another call's left-over of the same name is nobody's any more. */
static int create(int dir, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags, 0600);

	if (fd >= 0 || errno != EEXIST || unlinkat(dir, name, 0))
		return fd;
	return openat(dir, name, flags, 0600);
}

int state_write(const char *name, const char *text, size_t len, struct err *err)
{
	_cleanup_(rights_restore) struct rights before = { geteuid(), getegid() };
	_cleanup_(free_p) char *path = state_path(name);
	_cleanup_(close_p) int dir = -1, fd = -1;
	char temporary[NAME_MAX];
	uid_t uid;
	int r = rights_take(&before, &uid, err);

	if (!r)
		r = open_directory(true, uid, &dir, err);
	if (r)
		return r;
	snprintf(temporary, sizeof(temporary), "%s.%d.part", name, (int)getpid());
	fd = create(dir, temporary);
	if (fd < 0)
		return err_sys(err, -errno, "cannot write '%s'", path ?: name);
	r = write_all(fd, text, len);
	if (!r && (fchmod(fd, 0600) || renameat(dir, temporary, dir, name)))
		r = -errno;
	if (!r)
		return 0;
	unlinkat(dir, temporary, 0);
	return err_sys(err, r, "cannot write '%s'", path ?: name);
}
