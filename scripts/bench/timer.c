// SPDX-License-Identifier: GPL-2.0-only
/* timer HZ: so many interrupts a second on each CPU, by the same event as samples have, and nothing done in them. Until a signal ends it. */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long hz = argc > 1 ? atol(argv[1]) : 999, cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct perf_event_attr attr = { .size = sizeof(attr),
					.type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = (unsigned long)(1000000000 / hz) };
	int opened = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		opened += syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0) >= 0;
		usleep((useconds_t)(1000000 / hz / cpus));
	}
	if (!opened) {
		fprintf(stderr, "timer: needs root\n");
		return 1;
	}
	pause();
	return 0;
}
