// SPDX-License-Identifier: GPL-2.0-only
/*
 * elsewhere ROUNDS: a thread waits for a CPU while another one that it may use stands idle. Facts as in facts.h.
 *
 * A hog has the first CPU. The roamer comes there, where it may use no other one, and works; then it allows itself all again and yields:
 * now it waits for the hog, until the kernel sees that a CPU is idle and brings one of them there. Exit status 77: there is one CPU.
 */
#include "facts.h"

static atomic_bool over;
static cpu_set_t all;

/* As the kernel has it in /proc/timer_list. */
struct look {
	uint64_t now_ns;
	/* of each CPU, until then, at least and at most: where its tick goes on, it may have left what it last entered */
	uint64_t least_ns[CPU_SETSIZE], most_ns[CPU_SETSIZE];
	uint64_t done_ns; /* or, where it became busy meanwhile, until then */
};

static void look_at(struct look *l)
{
	FILE *f = fopen("/proc/timer_list", "re");
	unsigned long long ns, stopped = 0, entry = 0, exit = 0, idle = 0;
	char line[256];
	int cpu = -1;

	if (!f) {
		die("/proc/timer_list");
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "now at %llu", &ns) == 1)
			l->now_ns = ns;
		else if (sscanf(line, "cpu: %d", &cpu) == 1 && cpu >= CPU_SETSIZE)
			die("too many CPUs");
		else if (sscanf(line, " .tick_stopped : %llu", &ns) == 1)
			stopped = ns;
		else if (sscanf(line, " .idle_entrytime : %llu", &ns) == 1)
			entry = ns;
		else if (sscanf(line, " .idle_exittime : %llu", &ns) == 1)
			exit = ns;
		else if (sscanf(line, " .idle_sleeptime : %llu", &ns) == 1)
			idle = ns;
		else if (sscanf(line, " .iowait_sleeptime: %llu", &ns) == 1 && cpu >= 0) {
			uint64_t last = entry > exit && l->now_ns > entry ? l->now_ns - entry : 0;

			l->least_ns[cpu] = idle + ns + (stopped ? last : 0);
			l->most_ns[cpu] = idle + ns + last;
		}
	}
	fclose(f);
	l->done_ns = wall();
}

static void *hog(void *arg)
{
	(void)arg;
	pin(0);
	while (!atomic_load(&over))
		;
	fact("hog", ",\"cpu_ns\":%llu", (unsigned long long)cpu());
	return NULL;
}

/* Of its time on the first CPU: some other one was idle for as long as the one that was longest, or longer; known to off_ns. */
static void tell(const struct look *a, const struct look *b)
{
	uint64_t least = 0, most = 0;

	for (int i = 1; i < CPU_SETSIZE; i++) {
		uint64_t surely = 0;

		if (b->least_ns[i] > a->most_ns[i])
			surely = b->least_ns[i] - a->most_ns[i];
		least = surely > least ? surely : least;
		if (b->most_ns[i] > a->least_ns[i])
			most += b->most_ns[i] - a->least_ns[i];
	}
	fact("roamer",
	     ",\"from_ns\":%llu,\"to_ns\":%llu,\"least_ns\":%llu,\"most_ns\":%llu,\"off_ns\":%llu",
	     (unsigned long long)a->now_ns, (unsigned long long)b->now_ns,
	     (unsigned long long)least, (unsigned long long)most,
	     (unsigned long long)(a->done_ns - a->now_ns + b->done_ns - b->now_ns));
}

static void *roamer(void *arg)
{
	static struct look before, after;

	for (long round = (long)(intptr_t)arg; round; round--) {
		pin(0);
		burn(5 * MSEC);
		if (sched_setaffinity(0, sizeof(all), &all))
			die("sched_setaffinity");
		look_at(&before);
		sched_yield();
		look_at(&after);
		tell(&before, &after);
	}
	atomic_store(&over, true);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[2];

	facts_open();
	if (argc != 2) {
		fprintf(stderr, "elsewhere ROUNDS\n");
		return 2;
	}
	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity");
	if (CPU_COUNT(&all) < 2 || !CPU_ISSET(0, &all))
		return 77;
	t[0] = start(hog, NULL);
	t[1] = start(roamer, (void *)(intptr_t)strtol(argv[1], NULL, 10));
	pthread_join(t[1], NULL);
	pthread_join(t[0], NULL);
	return 0;
}
