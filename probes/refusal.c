// SPDX-License-Identifier: GPL-2.0-only
/* libbpf's messages, and what is told of them: see refusal.h. */
#include "probes/refusal.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/confined.h"
#include "probes/sched_kernel.h"

#define LOG_END "-- END PROG LOAD LOG --"

static struct {
	char name[64]; /* of the first program or map that a message was about; "": none was */
	bool is_map;
	char reason[160]; /* the verifier's */
	char last[160];   /* any other message */
} refused;

static void copy_line(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%.*s", (int)strcspn(from, "\n"), from);
}

/* "prog 'NAME': ..." or "map 'NAME': ..." */
static void note_name(const char *text)
{
	bool is_map = !strncmp(text, "map '", 5);
	const char *name = is_map ? text + 5 : text + 6;

	if (*refused.name || (!is_map && strncmp(text, "prog '", 6) != 0))
		return;
	refused.is_map = is_map;
	snprintf(refused.name, sizeof(refused.name), "%.*s", (int)strcspn(name, "'\n"), name);
}

/* The reason is the log's last line but for the statistics. */
static void note_log(char *text)
{
	char *end = strstr(text, LOG_END), *line;

	while (end && end > text) {
		*end = '\0';
		line = strrchr(text, '\n');
		if (line && line[1] && strncmp(line + 1, "processed ", 10) != 0 &&
		    strncmp(line + 1, "verification time", 17) != 0 &&
		    strncmp(line + 1, "stack depth", 11) != 0) {
			copy_line(refused.reason, sizeof(refused.reason), line + 1);
			return;
		}
		end = line;
	}
}

static int keep_message(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_(free_p) char *all = NULL;
	char *text;

	if (level != LIBBPF_WARN || vasprintf(&all, fmt, ap) < 0)
		return 0;
	text = strncmp(all, "libbpf: ", 8) ? all : all + 8;
	note_name(text);
	if (strstr(text, LOG_END))
		note_log(text);
	else
		copy_line(refused.last, sizeof(refused.last), text);
	return 0;
}

void refusal_listen(void)
{
	memset(&refused, 0, sizeof(refused));
	libbpf_set_print(keep_message);
}

bool refusal_is_map(const char *name)
{
	return refused.is_map && !strcmp(refused.name, name);
}

bool refusal_is_program(const char *begin)
{
	return *refused.name && !refused.is_map && !strncmp(refused.name, begin, strlen(begin));
}

/*
 * The helper that reads the kernel's memory is there on every kernel since 5.5, but for those that are locked down. libbpf puts the one
 * of older kernels in its place then, which is not there either.
 */
static bool is_locked_down(void)
{
	struct confined c;

	confined_look(&c);
	return !strcmp(c.lockdown, "confidentiality") ||
	       (strstr(refused.reason, "bpf_probe_read") &&
		(strstr(refused.reason, "unknown func") ||
		 strstr(refused.reason, "cannot use helper")));
}

/* Without type information libbpf finds nothing to attach to. */
static bool has_btf(struct err *err)
{
	struct btf *btf = sched_kernel_btf(err);

	btf__free(btf);
	return btf;
}

/*
 * What the programs are made of: bpf_task_pt_regs (5.15, dd6e10fbd9fb), and on arm64 atomic operations that fetch (5.18, 1902472b4fa9).
 * Vendors put newer parts into older kernels, so a kernel's age is a reason only once it has refused.
 */
#if defined(__aarch64__)
#define MIN_MINOR 18
#else
#define MIN_MINOR 15
#endif

static bool is_too_old(struct utsname *uts)
{
	unsigned int major, minor;

	return !uname(uts) && sscanf(uts->release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < MIN_MINOR));
}

int refusal_error(struct err *err, int code, const char *what)
{
	struct utsname uts;

	/* an EACCES beside the verifier's reason is its word */
	if (code == -EPERM || code == -ENOSYS || (code == -EACCES && !*refused.reason))
		return confined_from_bpf(err, code);
	if (is_locked_down())
		return err_set(
			err, code,
			"the kernel is locked down (confidentiality): BPF programs may not read its "
			"memory; boot it without lockdown=confidentiality");
	if (code == -ESRCH && !has_btf(err))
		return code;
	if (code == -EMFILE)
		return err_set(
			err, code,
			"the kernel refused %s: this process may not have so many open files; raise the limit (ulimit -n 1024)",
			what);
	if (is_too_old(&uts))
		return err_set(
			err, code,
			"the kernel refused %s: BPF programs of whyscale need Linux 5.%d or later, this is %s",
			what, MIN_MINOR, uts.release);
	if (refused.is_map)
		return err_sys(err, code, "the kernel refused %s: their map '%s' cannot be made",
			       what, refused.name);
	if (*refused.name && code == -E2BIG)
		return err_set(
			err, code,
			"the kernel refused %s: '%s' takes its verifier too long (%s); ask for less: a "
			"smaller --stack-size, no --python",
			what, refused.name, *refused.reason ? refused.reason : "too large");
	if (*refused.name && *refused.reason)
		return err_sys(err, code, "the kernel refused %s: '%s', %s", what, refused.name,
			       refused.reason);
	return err_sys(err, code, "the kernel refused %s (%s)", what,
		       *refused.last ? refused.last : "without a word");
}
