// SPDX-License-Identifier: GPL-2.0-only
/*
 * books OUT COMMAND...: runs the command and writes to OUT, as JSON, what the kernel says about it by ways that whyscale
 * does not use: /proc of the zombie (its last switch is behind it), and getrusage(RUSAGE_CHILDREN) over all its descendants. The
 * exit status is the command's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The number after `key` in /proc/PID/FILE, or -1. */
static long long number(int pid, const char *file, const char *key)
{
	char path[64], line[256];
	long long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "r");
	while (f && value < 0 && fgets(line, sizeof(line), f)) {
		char *colon = strrchr(line, ':');

		if (!strncmp(line, key, strlen(key)) && colon)
			value = atoll(colon + 1);
	}
	if (f)
		fclose(f);
	return value;
}

int main(int argc, char **argv)
{
	struct timespec ts = { 0, 20 * 1000000L };
	unsigned long long exec_ns = 0, delay_ns = 0, slices = 0;
	struct rusage ru;
	int status, child_status = 0;
	siginfo_t info;
	char path[64];
	FILE *f, *out;
	pid_t pid, child;

	if (argc < 3) {
		fprintf(stderr, "usage: books OUT COMMAND...\n");
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child < 0)
		return 1;
	if (!child) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	nanosleep(&ts, NULL);
	out = fopen(argv[1], "w");
	if (!out)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)child);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu %llu %llu", &exec_ns, &delay_ns, &slices) != 3)
		exec_ns = 0;
	if (f)
		fclose(f);
	fprintf(out,
		"{\"self\":%d,\"pid\":%d,\"exec_ns\":%llu,\"delay_ns\":%llu,\"voluntary\":%lld,\"involuntary\":%lld,"
		"\"migrations\":%lld,",
		(int)getpid(), (int)child, exec_ns, delay_ns,
		number(child, "status", "voluntary_ctxt_switches"),
		number(child, "status", "nonvoluntary_ctxt_switches"),
		number(child, "sched", "se.nr_migrations"));
	while ((pid = wait(&status)) > 0 || errno == EINTR)
		if (pid == child)
			child_status = status;
	getrusage(RUSAGE_CHILDREN, &ru);
	fprintf(out, "\"children_voluntary\":%ld,\"children_involuntary\":%ld}\n", ru.ru_nvcsw,
		ru.ru_nivcsw);
	fclose(out);
	return WIFSIGNALED(child_status) ? 128 + WTERMSIG(child_status) : WEXITSTATUS(child_status);
}
