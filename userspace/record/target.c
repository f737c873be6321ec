// SPDX-License-Identifier: GPL-2.0-only
/* The recorded command: see target.h. */
#include "record/target.h"

#include <elf.h>
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

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"

/* ---- files that the kernel does not run ---- */

/* The file's first bytes: how many there are, 0 when it cannot be read. */
static size_t first_bytes(const char *path, uint8_t *bytes, size_t size)
{
	_cleanup_(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, bytes, size);

	return n < 0 ? 0 : (size_t)n;
}

/* A shell takes what execve(2) refuses for a script, unless it has such bytes (POSIX calls it "not a text file"). */
static bool is_binary(const char *path)
{
	uint8_t bytes[256];
	size_t n = first_bytes(path, bytes, sizeof(bytes));
	const uint8_t *line_end = memchr(bytes, '\n', n);

	return n >= SELFMAG && (!memcmp(bytes, ELFMAG, SELFMAG) ||
				memchr(bytes, 0, line_end ? (size_t)(line_end - bytes) : n));
}

/* For which machine a program is, from its ELF header; NULL: it does not tell, or not one of these. */
static const char *machine_of(const char *path)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} known[] = {
		{ EM_386, "32-bit x86" }, { EM_ARM, "32-bit ARM" }, { EM_X86_64, "x86-64" },
		{ EM_AARCH64, "arm64" },  { EM_RISCV, "RISC-V" },   { EM_PPC64, "64-bit POWER" },
		{ EM_S390, "S/390" },     { EM_MIPS, "MIPS" },      { EM_LOONGARCH, "LoongArch" },
	};
	uint8_t bytes[EI_NIDENT + 4];
	uint16_t machine;

	if (first_bytes(path, bytes, sizeof(bytes)) < sizeof(bytes) ||
	    memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return NULL;
	machine = bytes[EI_DATA] == ELFDATA2MSB ?
			  (uint16_t)(bytes[EI_NIDENT + 2] << 8 | bytes[EI_NIDENT + 3]) :
			  (uint16_t)(bytes[EI_NIDENT + 3] << 8 | bytes[EI_NIDENT + 2]);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].machine == machine)
			return known[i].name;
	return "another kind of machine";
}

static int format_error(const char *command, struct err *err)
{
	char path[PATH_MAX];
	const char *machine = path_find(command, path) ? NULL : machine_of(path);
	const char *ours = machine_of("/proc/self/exe");

	if (!machine)
		return err_set(
			err, -ENOEXEC,
			"'%s' may not be run: it is neither a program nor a script that this kernel knows",
			command);
	if (ours && !strcmp(machine, ours))
		return err_set(
			err, -ENOEXEC,
			"'%s' may not be run: it is a damaged program, or no program but a part of one",
			command);
	return err_set(
		err, -ENOEXEC,
		"'%s' may not be run: it is a program for %s, and this machine is %s; take one that was built for this machine",
		command, machine, ours ? ours : "of another kind");
}

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

/* As execvp(3), which would have a shell run what is no script. Returns the errno. */
static int run(char *const *argv)
{
	char path[PATH_MAX];

	if (!path_find(argv[0], path)) {
		execv(path, argv);
		if (errno == ENOEXEC && is_binary(path))
			return ENOEXEC;
	}
	execvp(argv[0], argv);
	return errno;
}

static _Noreturn void child(const struct target *t, int wait_fd, int result_fd, char *const *argv,
			    const struct passwd *pw, int stdout_fd, const sigset_t *mask, int nice,
			    const struct rlimit *files)
{
	char none;
	int code;

	close(t->go_fd);
	setpriority(PRIO_PROCESS, 0, nice);
	setrlimit(RLIMIT_NOFILE, files);
	if (stdout_fd >= 0 && dup2(stdout_fd, STDOUT_FILENO) < 0)
		_exit(126);
	become(pw);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (read(wait_fd, &none, 1) != 1)
		_exit(125); /* the recorder is gone: nothing was let run */
	code = run(argv);
	if (write(result_fd, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(code == ENOENT ? 127 : 126);
}

/* ---- the recorder ---- */

int target_spawn(struct target *t, char *const *argv, const char *user, int stdout_fd,
		 const sigset_t *mask, int nice, const struct rlimit *files, struct err *err)
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
		child(t, go[0], result[1], argv, pw, stdout_fd, mask, nice, files);
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
	if (code == ENOEXEC)
		return format_error(command, err);
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
