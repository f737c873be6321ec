// SPDX-License-Identifier: GPL-2.0-only
/*
 * walk cost NAME SECONDS ID...    prints the runs, and the nanoseconds in them, of the BPF program of that name among these
 * walk PID LOW HIGH LOW HIGH      runs walk.bpf.c on that process at 999 Hz until a signal ends it; prints the samples in the leaf, and
 *                                 those of them without its caller
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef uint32_t u32;
typedef uint64_t u64;
#include "walk.skel.h"

static int look_at(u32 id, struct bpf_prog_info *ret)
{
	int fd = bpf_prog_get_fd_by_id(id), r = -1;
	u32 len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (fd >= 0) {
		r = bpf_obj_get_info_by_fd(fd, ret, &len);
		close(fd);
	}
	return r;
}

static int cost(const char *name, unsigned int seconds, char **ids)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct bpf_prog_info before, after;

	while (*ids && (look_at((u32)atoi(*ids), &before) || strcmp(before.name, name) != 0))
		ids++;
	if (stats < 0 || !*ids)
		return 1;
	sleep(seconds);
	if (look_at(before.id, &after))
		return 1;
	printf("%llu %llu\n", (unsigned long long)(after.run_cnt - before.run_cnt),
	       (unsigned long long)(after.run_time_ns - before.run_time_ns));
	close(stats);
	return 0;
}

static int attach(struct walk_bpf *skel)
{
	struct perf_event_attr attr = { .size = sizeof(attr),
					.type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = 1000000000 / 999 };

	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
		int walk =
			(int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		int look =
			(int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (walk < 0 || look < 0) /* an offline CPU */
			continue;
		if (!bpf_program__attach_perf_event(skel->progs.walk, walk) ||
		    !bpf_program__attach_perf_event(skel->progs.look, look))
			return 1;
	}
	return 0;
}

static void wait_for_signal(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigwait(&set, &sig);
}

int main(int argc, char **argv)
{
	struct walk_bpf *skel;

	if (argc > 4 && !strcmp(argv[1], "cost"))
		return cost(argv[2], (unsigned int)atoi(argv[3]), argv + 4);
	skel = argc == 6 ? walk_bpf__open() : NULL;
	if (!skel)
		return 2;
	skel->rodata->tgid = (u32)atoi(argv[1]);
	skel->rodata->caller_low = strtoull(argv[2], NULL, 16);
	skel->rodata->caller_high = strtoull(argv[3], NULL, 16);
	skel->rodata->leaf_low = strtoull(argv[4], NULL, 16);
	skel->rodata->leaf_high = strtoull(argv[5], NULL, 16);
	if (walk_bpf__load(skel) || attach(skel)) {
		fprintf(stderr, "walk: needs root\n");
		return 1;
	}
	wait_for_signal();
	printf("%llu %llu\n", (unsigned long long)skel->bss->in_leaf,
	       (unsigned long long)skel->bss->without_caller);
	return 0;
}
