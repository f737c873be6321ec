// SPDX-License-Identifier: GPL-2.0-only
/* The recorded command: see target.h. */
#include "record/target.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"

static int find_error(const char *command, int code, struct err *err)
{
	if (code == -EACCES)
		return err_set(
			err, code,
			"'%s' may not be run: it is no program file or lacks execute permission",
			command);
	return err_set(err, code,
		       "there is no command '%s'%s: check its spelling, or give its path", command,
		       strchr(command, '/') && !access(command, F_OK) ?
			       " that can be run: its interpreter is missing" :
			       "");
}

int target_find(const char *command, struct err *err)
{
	char path[PATH_MAX];
	int code = path_find(command, path);

	return code ? find_error(command, code, err) : 0;
}

/* ---- the child ---- */

static void become(const struct passwd *pw)
{
	if (!pw)
		return;
	/* root too: the groups are those of the one who called sudo, or whatever was left */
	if (!geteuid() &&
	    (initgroups(pw->pw_name, pw->pw_gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid)))
		_exit(126);
	setenv("HOME", pw->pw_dir, 1);
	setenv("USER", pw->pw_name, 1);
	setenv("LOGNAME", pw->pw_name, 1);
	setenv("SHELL", pw->pw_shell, 1);
}

static _Noreturn void child(const struct target *t, int wait_fd, int result_fd, char *const *argv,
			    const struct passwd *pw, int stdout_fd, const sigset_t *mask, int nice)
{
	char none;
	int code;

	close(t->go_fd);
	setpriority(PRIO_PROCESS, 0, nice);
	if (stdout_fd >= 0 && dup2(stdout_fd, STDOUT_FILENO) < 0)
		_exit(126);
	become(pw);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (read(wait_fd, &none, 1) != 1)
		_exit(125); /* the recorder is gone: nothing was let run */
	execvp(argv[0], argv);
	code = errno;
	if (write(result_fd, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(code == ENOENT ? 127 : 126);
}

/* ---- the recorder ---- */

int target_spawn(struct target *t, char *const *argv, const char *user, int stdout_fd,
		 const sigset_t *mask, int nice, struct err *err)
{
	struct passwd *pw = NULL;
	int go[2], result[2];

	if (user && !(pw = getpwnam(user)))
		return err_set(err, -EINVAL,
			       "there is no user '%s': give a name that `getent passwd` lists",
			       user);
	if (pw && geteuid() && geteuid() != pw->pw_uid)
		return err_set(err, -EPERM, "running the command as '%s' needs root: use sudo",
			       user);
	if (pipe2(go, O_CLOEXEC))
		return err_sys(err, -errno, "cannot start the command");
	if (pipe2(result, O_CLOEXEC)) {
		int code = -errno;

		close(go[0]);
		close(go[1]);
		return err_sys(err, code, "cannot start the command");
	}
	*t = (struct target){ .go_fd = go[1], .result_fd = result[0] };
	t->pid = fork();
	if (!t->pid)
		child(t, go[0], result[1], argv, pw, stdout_fd, mask, nice);
	close(go[0]);
	close(result[1]);
	if (t->pid < 0) {
		int code = -errno;

		close(go[1]);
		close(result[0]);
		*t = TARGET_NONE;
		return err_sys(err, code, "cannot start the command");
	}
	return 0;
}

int target_go(struct target *t, const char *command, struct err *err)
{
	int code = 0;
	ssize_t n;

	if (write(t->go_fd, "g", 1) != 1) {
		int gone = -errno;

		if (gone != -EPIPE)
			return err_sys(err, gone, "cannot let the command run");
		target_reap(t, true);
		return err_set(err, -ECANCELED,
			       "the command ended before it was let run: nothing was recorded");
	}
	close(t->go_fd);
	t->go_fd = -1;
	do
		n = read(t->result_fd, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	close(t->result_fd);
	t->result_fd = -1;
	if (n != sizeof(code))
		return 0;
	target_reap(t, true);
	if (code == ENOENT || code == EACCES)
		return find_error(command, -code, err);
	return err_sys(err, -code, "cannot run '%s'", command);
}

void target_reap(struct target *t, bool block)
{
	pid_t pid;

	if (t->pid <= 0 || t->reaped)
		return;
	do
		pid = waitpid(t->pid, &t->status, block ? 0 : WNOHANG);
	while (pid < 0 && errno == EINTR);
	t->reaped = pid == t->pid || (pid < 0 && errno == ECHILD);
}

int target_exit_status(const struct target *t)
{
	if (t->pid <= 0)
		return 0;
	return WIFSIGNALED(t->status) ? 128 + WTERMSIG(t->status) : WEXITSTATUS(t->status);
}

void target_end(struct target *t)
{
	struct timespec tick = { .tv_nsec = 10 * NSEC_PER_MSEC };

	if (t->go_fd >= 0)
		close(t->go_fd);
	if (t->result_fd >= 0)
		close(t->result_fd);
	t->go_fd = t->result_fd = -1;
	target_reap(t, false);
	if (t->pid <= 0 || t->reaped)
		return;
	kill(t->pid, SIGTERM);
	kill(t->pid, SIGCONT);
	for (int i = 0; i < 100 && !t->reaped; i++) {
		nanosleep(&tick, NULL);
		target_reap(t, false);
	}
	if (!t->reaped)
		kill(t->pid, SIGKILL);
	target_reap(t, true);
}
