// SPDX-License-Identifier: GPL-2.0-only
/* Privileges and what takes them away: see confined.h. */
#include "base/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/* Inodes of the initial namespaces: PROC_USER_INIT_INO, PROC_PID_INIT_INO in include/linux/proc_ns.h. */
#define INITIAL_USER_NS 0xeffffffd
#define INITIAL_PID_NS 0xeffffffc

#define SECCOMP_FILTER 2 /* SECCOMP_MODE_FILTER */

/* ---- looking ---- */

static bool is_other(const char *path, ino_t initial)
{
	struct stat st;

	return !stat(path, &st) && st.st_ino != initial;
}

static uint64_t effective(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static bool is_filtered(void)
{
	_cleanup_(free_p) char *status = NULL;
	struct err none;
	const char *at;

	if (file_read_text("/proc/self/status", &status, &none))
		return false;
	at = strstr(status, "\nSeccomp:");
	return at && atoi(at + strlen("\nSeccomp:")) == SECCOMP_FILTER;
}

/* "none [integrity] confidentiality" */
static void look_at_lockdown(struct confined *c)
{
	_cleanup_(free_p) char *text = NULL;
	const char *begin, *end;
	struct err none;

	if (file_read_text("/sys/kernel/security/lockdown", &text, &none))
		return;
	begin = strchr(text, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		snprintf(c->lockdown, sizeof(c->lockdown), "%.*s", (int)(end - begin - 1),
			 begin + 1);
}

void confined_look(struct confined *ret_confined)
{
	_cleanup_(free_p) char *paranoid = NULL;
	struct confined *c = ret_confined;
	struct err none;

	*c = (struct confined){
		.uid = geteuid(),
		.capabilities = effective(),
		.user_ns = is_other("/proc/self/ns/user", INITIAL_USER_NS),
		.pid_ns = is_other("/proc/self/ns/pid", INITIAL_PID_NS),
		.seccomp = is_filtered(),
		.perf_event_paranoid = INT_MIN,
	};
	look_at_lockdown(c);
	if (!file_read_text("/proc/sys/kernel/perf_event_paranoid", &paranoid, &none) && *paranoid)
		c->perf_event_paranoid = (int)strtol(paranoid, NULL, 10);
}

bool confined_has(const struct confined *c, int capability)
{
	return c->capabilities >> capability & 1;
}

int confined_proc(struct err *why)
{
	char text[24];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	if (n <= 0)
		return err_set(
			why, -ENOTSUP,
			"/proc is not mounted here: mount it with `mount -t proc proc /proc`");
	text[n] = '\0';
	if (atol(text) == getpid())
		return 0;
	return err_set(
		why, -ENOTSUP,
		"/proc shows another pid namespace than the one whyscale is in (%s and %d are "
		"numbers of the same process): mount this one's with `mount -t proc proc "
		"/proc`, or make it with `unshare --mount-proc`",
		text, getpid());
}

/* ---- sentences ---- */

/* What a capability in a container is asked for by. */
static int say_missing(struct err *err, int code, const struct confined *c, const char *what,
		       const char *missing)
{
	if (c->uid)
		return err_set(err, code,
			       "%s needs root (CAP_BPF and CAP_PERFMON): run it with sudo", what);
	return err_set(err, code,
		       "%s needs %s, which this root does not have: give it to the container "
		       "(--cap-add BPF --cap-add PERFMON, or --privileged)",
		       what, missing);
}

static const char hidden[] = ", or a seccomp filter (a container's policy) hides it";

/* That it is allowed, but for a filter or a policy. */
static int say_policy(struct err *err, int code, const struct confined *c, const char *call)
{
	if (c->seccomp)
		return err_set(
			err, code,
			"a seccomp filter (a container's policy) forbids %s: allow it there, or "
			"use --security-opt seccomp=unconfined",
			call);
	return err_set(
		err, code,
		"the kernel refuses %s to a process that has the privilege: a security module "
		"(SELinux, AppArmor) forbids it; see the kernel's log for which",
		call);
}

static int say_user_ns(struct err *err, int code, const char *what)
{
	return err_set(
		err, code,
		"%s needs privileges over the whole kernel, which the root of a user namespace "
		"(a rootless container) does not have: run it on the host",
		what);
}

int confined_from_bpf(struct err *err, int code)
{
	static const char what[] = "loading BPF programs";
	struct confined c;
	bool admin;

	confined_look(&c);
	if (code == -ENOSYS)
		return err_set(err, code,
			       "there is no bpf(2) here: the kernel was built without "
			       "CONFIG_BPF_SYSCALL%s",
			       c.seccomp ? hidden : "");
	admin = confined_has(&c, CAP_SYS_ADMIN);
	if (c.user_ns)
		return say_user_ns(err, code, what);
	if (!admin && !confined_has(&c, CAP_BPF))
		return say_missing(err, code, &c, what,
				   confined_has(&c, CAP_PERFMON) ? "CAP_BPF" :
								   "CAP_BPF and CAP_PERFMON");
	if (!admin && !confined_has(&c, CAP_PERFMON))
		return say_missing(err, code, &c, what, "CAP_PERFMON");
	return say_policy(err, code, &c, "bpf(2)");
}

int confined_from_perf(struct err *err, int code, const char *what)
{
	struct confined c;

	confined_look(&c);
	if (code == -ENOSYS)
		return err_set(err, code,
			       "there is no perf_event_open(2) here: the kernel was built without "
			       "CONFIG_PERF_EVENTS%s",
			       c.seccomp ? hidden : "");
	if (c.user_ns)
		return say_user_ns(err, code, what);
	if (confined_has(&c, CAP_PERFMON) || confined_has(&c, CAP_SYS_ADMIN) ||
	    c.perf_event_paranoid < 1)
		return say_policy(err, code, &c, "perf_event_open(2)");
	if (!c.uid)
		return say_missing(err, code, &c, what, "CAP_PERFMON");
	return err_set(
		err, code,
		"%s needs root (CAP_PERFMON), as kernel.perf_event_paranoid is %d: run it with "
		"sudo",
		what, c.perf_event_paranoid);
}
