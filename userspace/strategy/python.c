// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a Python strategy. The program is built into whyscale; it reaches the interpreter through
 * a memfd, so that nothing has to be installed, found, or removed, and no argument is pages long:
 *
 *   python3 -c BOOT NAME SOURCE_FD COUNT WORKERS RESULT_FD
 *                        |
 *                        +--> memfd: py/common.py NUL py/NAME.py
 *
 * BOOT compiles the two parts under their own names: these are what tracebacks and flame graphs
 * show.
 */
#include "strategy/python.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "strategy/strategy.h"

extern const char python_common_source[];
__asm__(".pushsection .rodata\n"
	".globl python_common_source\n"
	"python_common_source:\n"
	".incbin \"userspace/strategy/py/common.py\"\n"
	".byte 0\n"
	".popsection\n");

/*
 * `-c` puts the current directory first in sys.path: a threading.py that lies there by chance would
 * be imported. So that entry goes; the environment (PYTHON_GIL, PYTHONPERFSUPPORT, a venv) stays in
 * force.
 */
static const char boot[] =
	"import os, sys\n"
	"sys.path = [path for path in sys.path if path]\n"
	"source = os.fdopen(int(sys.argv[2])).read()\n"
	"for part in zip(source.split('\\0'), ('common.py', sys.argv[1] + '.py')):\n"
	"    exec(compile(part[0], part[1], 'exec'))\n";

int python_find(const char *python, char ret_path[PATH_MAX], struct err *err)
{
	int rc = path_find(python, ret_path);

	if (rc == -ENOENT)
		err_set(err, rc,
			"there is no Python interpreter '%.200s'; name one with --python PATH",
			python);
	else if (rc)
		err_set(err, rc,
			"the Python interpreter '%.200s' may not be executed; use --python PATH",
			python);
	return rc;
}

/* A memfd that survives exec, holding both parts of the program, to be read from its beginning. */
static int source_open(const struct strategy *strategy, struct err *err)
{
	const char *parts[] = { python_common_source, strategy->source };
	const size_t lens[] = { strlen(parts[0]) + 1, strlen(parts[1]) };
	_cleanup_(close_p) int fd = memfd_create(strategy->name, 0);

	if (fd < 0)
		return err_sys(err, -errno, "%s: cannot create a file in memory", strategy->name);
	for (int i = 0; i < 2; i++)
		if (write(fd, parts[i], lens[i]) != (ssize_t)lens[i])
			return err_sys(err, -EIO, "%s: cannot write the program to memory",
				       strategy->name);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "%s: cannot rewind the program in memory",
			       strategy->name);
	return take_fd(fd);
}

int python_exec(const struct strategy_job *job, struct err *err)
{
	char path[PATH_MAX], count[24], workers[16], source_fd[16], result_fd[16];
	const char *argv[] = { path,    "-c",      boot, job->strategy->name, source_fd, count,
			       workers, result_fd, NULL };
	_cleanup_(close_p) int fd = -1;
	int rc = python_find(job->python, path, err);

	if (rc)
		return rc;
	fd = source_open(job->strategy, err);
	if (fd < 0)
		return fd;
	rc = fcntl(job->result_fd, F_GETFD);
	if (rc < 0 || fcntl(job->result_fd, F_SETFD, rc & ~FD_CLOEXEC))
		return err_sys(err, -errno, "%s: the result has nowhere to go",
			       job->strategy->name);
	snprintf(source_fd, sizeof(source_fd), "%d", fd);
	snprintf(count, sizeof(count), "%" PRIu64, job->count);
	snprintf(workers, sizeof(workers), "%u", job->workers);
	snprintf(result_fd, sizeof(result_fd), "%d", job->result_fd);
	execv(path, (char *const *)argv);
	return err_sys(err, -errno, "cannot execute the Python interpreter '%.200s'", path);
}
