// SPDX-License-Identifier: GPL-2.0-only
/* The open files of a test program: see own_fds.h. */
#include "tests/bpf/own_fds.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

size_t own_fds_count(bool *ret_all_cloexec)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	size_t n = 0;

	*ret_all_cloexec = true;
	while ((e = readdir(dir))) {
		int fd = atoi(e->d_name);

		n++;
		if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			*ret_all_cloexec = false;
	}
	closedir(dir);
	return n;
}
