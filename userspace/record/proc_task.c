// SPDX-License-Identifier: GPL-2.0-only
/* A thread's files in /proc: see proc_task.h. */
#include "record/proc_task.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STAT_STATE 3 /* fields of stat, counted from 1 as in proc(5) */
#define STAT_STARTTIME 22

static bool read_file(pid_t pid, pid_t tid, const char *name, char *text, size_t size)
{
	_cleanup_(close_p) int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

bool proc_read_schedstat(pid_t pid, pid_t tid, struct proc_schedstat *ret)
{
	char text[96];

	return read_file(pid, tid, "schedstat", text, sizeof(text)) &&
	       sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ret->exec_ns, &ret->delay_ns,
		      &ret->runs) == 3;
}

/* The number behind a name and its colon; the kernel escapes newlines in names of threads. */
static bool status_number(const char *text, const char *name, uint64_t *ret_value)
{
	const char *at = strstr(text, name);

	if (at)
		*ret_value = strtoull(at + strlen(name), NULL, 10);
	return at;
}

bool proc_read_status(pid_t pid, pid_t tid, struct proc_status *ret)
{
	char text[16384];
	uint64_t tgid;

	if (!read_file(pid, tid, "status", text, sizeof(text)) ||
	    !status_number(text, "\nTgid:", &tgid) ||
	    !status_number(text, "\nvoluntary_ctxt_switches:", &ret->voluntary) ||
	    !status_number(text, "\nnonvoluntary_ctxt_switches:", &ret->involuntary))
		return false;
	ret->tgid = (pid_t)tgid;
	return true;
}

/* "PID (COMM) S PPID ...": the name may hold anything, so it ends at the last parenthesis. */
bool proc_parse_stat(const char *line, struct proc_stat *ret)
{
	const char *name = strchr(line, '('), *at = strrchr(line, ')');
	size_t len;

	if (!name || !at || at < name || at[1] != ' ')
		return false;
	len = at - name - 1;
	len = len < sizeof(ret->comm) ? len : sizeof(ret->comm) - 1;
	memcpy(ret->comm, name + 1, len);
	ret->comm[len] = '\0';
	if (sscanf(at + 2, "%c %d", &ret->state, &ret->ppid) != 2)
		return false;
	at += 2;
	for (int field = STAT_STATE; field < STAT_STARTTIME; field++) {
		at = strchr(at, ' ');
		if (!at)
			return false;
		at++;
	}
	return sscanf(at, "%" SCNu64, &ret->start_ticks) == 1;
}

bool proc_read_stat(pid_t pid, pid_t tid, struct proc_stat *ret)
{
	char text[1024];

	return read_file(pid, tid, "stat", text, sizeof(text)) && proc_parse_stat(text, ret);
}
