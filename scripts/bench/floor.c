// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a command while every BPF program is timed, and prints the run time of those that ran: name, runs, nanoseconds. The programs
 * of floor.bpf.c run beside them, so that all are measured in one run.
 *
 *   floor COMMAND [ARG...]    floor --list: only prints, for use within the command
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor.skel.h"

static void list(void)
{
	unsigned int id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {};
		unsigned int len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.run_cnt)
			printf("%s %llu %llu\n", info.name, (unsigned long long)info.run_cnt,
			       (unsigned long long)info.run_time_ns);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	struct floor_bpf *floor;
	int status = 1;
	pid_t pid;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	floor = floor_bpf__open_and_load();
	if (argc < 2 || !floor || floor_bpf__attach(floor) ||
	    bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) {
		fprintf(stderr, "floor: needs a command, and root\n");
		return 1;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	floor_bpf__destroy(floor);
	return status ? 1 : 0;
}
