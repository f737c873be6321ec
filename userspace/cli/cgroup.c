// SPDX-License-Identifier: GPL-2.0-only
/* The processes of a cgroup: see cgroup.h. */
#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEPTH_MAX 64

struct pids {
	pid_t *pid;
	size_t nr, room;
};

static int add(struct pids *pids, pid_t pid)
{
	if (pids->nr == pids->room) {
		size_t room = pids->room ? pids->room * 2 : 64;
		pid_t *more = realloc(pids->pid, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		pids->pid = more;
		pids->room = room;
	}
	pids->pid[pids->nr++] = pid;
	return 0;
}

/* Adds what cgroup.procs of the directory lists. */
static int read_procs(int dir, struct pids *pids)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_(fclose_p) FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	int pid, r = 0;

	if (!file)
		return -errno;
	/* 0 is a process outside our pid namespace */
	while (!r && fscanf(file, "%d", &pid) == 1)
		if (pid > 0)
			r = add(pids, pid);
	if (!r && ferror(file))
		r = -errno;
	return r;
}

/* A cgroup that vanishes while we look has no processes. */
static int walk(int parent, const char *name, struct pids *pids, int depth)
{
	_cleanup_(closedir_p) DIR *dir = NULL;
	struct dirent *entry;
	int r, fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	r = read_procs(fd, pids);
	if (r == -ENODEV || (r == -ENOENT && depth))
		return 0;
	while (!r && depth < DEPTH_MAX && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = walk(fd, entry->d_name, pids, depth + 1);
	return r;
}

/* The directory of a cgroup; the path as given first, then below where cgroups are mounted. */
static bool find(const char *path, char *ret_dir, size_t size)
{
	static const char *const roots[] = { "", "/sys/fs/cgroup/", "/sys/fs/cgroup/unified/",
					     "/sys/fs/cgroup/cpu/" };
	char procs[PATH_MAX + 16];

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if ((size_t)snprintf(ret_dir, size, "%s%s", roots[i], path) >= size)
			return false;
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", ret_dir);
		if (!access(procs, F_OK))
			return true;
	}
	return false;
}

static int by_number(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int cgroup_pids(const char *path, pid_t **ret_pids, size_t *ret_nr, struct err *err)
{
	char dir[PATH_MAX], real[PATH_MAX];
	struct pids pids = {};
	size_t nr = 0;
	int r;

	if (!*path || !find(path, dir, sizeof(dir)) || !realpath(dir, real))
		return err_set(err, -ENOENT,
			       "there is no cgroup '%.200s': give its directory, or its path as in "
			       "/proc/PID/cgroup",
			       path);
	r = walk(AT_FDCWD, real, &pids, 0);
	if (!r && !pids.nr)
		r = -ESRCH;
	if (r) {
		free(pids.pid);
		if (r == -ESRCH)
			return err_set(err, r, "there is no process in the cgroup '%.200s'", path);
		return err_sys(err, r, "cannot list the processes of the cgroup '%.200s'", path);
	}
	qsort(pids.pid, pids.nr, sizeof(*pids.pid), by_number);
	for (size_t i = 0; i < pids.nr; i++)
		if (!i || pids.pid[i] != pids.pid[i - 1])
			pids.pid[nr++] = pids.pid[i];
	*ret_pids = pids.pid;
	*ret_nr = nr;
	return 0;
}
