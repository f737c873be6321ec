// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs in which it is known who wakes whom, whom a wait is for and who has the CPU:
 *
 *   ring K ROUNDS [processes]   K threads (or processes) on one CPU pass a token through pipes. Each waits until the next one is
 *                               asleep before it writes: so thread i wakes thread i+1 exactly ROUNDS times
 *   path B C MAIN DECOY         main starts B, which burns B ms and wakes C, which burns C ms and wakes main, which burns MAIN ms.
 *                               The decoy burns DECOY ms meanwhile, on another CPU if there is one, and nobody waits for it
 *   hogs MS                     two threads burn until MS ms have passed, on the first CPU that is allowed
 *   squat MS                    one process, named "squatter", does the same
 *
 * Each thread appends a line of JSON to the file named by $CHAIN_FACTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MSEC 1000000ull
#define RING_MAX 64

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void fact(const char *role, int number)
{
	const char *path = getenv("CHAIN_FACTS");
	char line[256];
	int fd, n;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	n = snprintf(line, sizeof(line),
		     "{\"role\":\"%s\",\"number\":%d,\"pid\":%d,\"tid\":%d,\"cpu_ns\":%llu,"
		     "\"now_ns\":%llu}\n",
		     role, number, (int)getpid(), (int)own_tid(),
		     (unsigned long long)now(CLOCK_THREAD_CPUTIME_ID),
		     (unsigned long long)now(CLOCK_MONOTONIC));
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		die("CHAIN_FACTS");
	close(fd);
}

static void burn(uint64_t ns)
{
	uint64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* The n-th of the allowed CPUs, or the last one. */
static void pin(int n)
{
	cpu_set_t all, one;
	int last = -1;

	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity");
	for (int cpu = 0; cpu < CPU_SETSIZE && n >= 0; cpu++) {
		if (CPU_ISSET(cpu, &all)) {
			last = cpu;
			n--;
		}
	}
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity");
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		die("pthread_create");
	return t;
}

/* ---- ring ---- */

struct ring {
	int nr, rounds;
	int pipe[RING_MAX][2]; /* i reads from i */
	volatile pid_t tid[RING_MAX];
};

static struct ring *ring;

/* In an interruptible sleep, seen from the same CPU: so it has left that. A ring's thread sleeps nowhere but in its read. */
static bool asleep(pid_t tid)
{
	char path[64], text[256] = "", *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(path);
	close(fd);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

static void pass_on(int i)
{
	int next = (i + 1) % ring->nr;
	char token = 't';

	while (!ring->tid[next] || !asleep(ring->tid[next]))
		sched_yield();
	if (write(ring->pipe[next][1], &token, 1) != 1)
		die("write");
}

static void *ring_member(void *arg)
{
	int i = (int)(intptr_t)arg;
	char token;

	pin(0);
	ring->tid[i] = own_tid();
	for (int round = 0; round < ring->rounds; round++) {
		if (read(ring->pipe[i][0], &token, 1) != 1)
			die("read");
		if (i != ring->nr - 1 || round != ring->rounds - 1)
			pass_on(i);
	}
	fact("member", i);
	return NULL;
}

/* Who begins is the one before the first: so that each is woken in each round. */
static void do_ring(int nr, int rounds, bool processes)
{
	pthread_t thread[RING_MAX];
	pid_t child[RING_MAX];

	if (nr < 2 || nr > RING_MAX)
		die("ring: 2 to 64 members");
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	ring->nr = nr;
	ring->rounds = rounds;
	for (int i = 0; i < nr; i++)
		if (pipe(ring->pipe[i]))
			die("pipe");
	pin(0);
	for (int i = 0; i < nr; i++) {
		if (!processes) {
			thread[i] = start(ring_member, (void *)(intptr_t)i);
			continue;
		}
		child[i] = fork();
		if (!child[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			ring_member((void *)(intptr_t)i);
			_exit(0);
		}
	}
	pass_on(nr - 1);
	fact("starter", 0);
	for (int i = 0; i < nr; i++) {
		if (processes)
			waitpid(child[i], NULL, 0);
		else
			pthread_join(thread[i], NULL);
	}
}

/* ---- path ---- */

static int to_c[2], to_main[2];
static long burn_ms[4];
static volatile pid_t path_c_tid;

/* Both that are waited for on the path are seen asleep in their reads before it begins. */
static void *path_b(void *arg)
{
	struct timespec moment = { 0, 200000 };
	char c = 'b';

	(void)arg;
	prctl(PR_SET_NAME, "path-b");
	pin(0);
	while (!path_c_tid || !asleep(path_c_tid) || !asleep(getpid()))
		nanosleep(&moment, NULL);
	burn((uint64_t)burn_ms[0] * MSEC);
	fact("b", 0);
	if (write(to_c[1], &c, 1) != 1)
		die("write");
	return NULL;
}

static void *path_c(void *arg)
{
	char c;

	(void)arg;
	prctl(PR_SET_NAME, "path-c");
	pin(0);
	path_c_tid = own_tid();
	if (read(to_c[0], &c, 1) != 1)
		die("read");
	burn((uint64_t)burn_ms[1] * MSEC);
	fact("c", 0);
	if (write(to_main[1], &c, 1) != 1)
		die("write");
	return NULL;
}

static void *path_decoy(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "path-decoy");
	pin(1);
	burn((uint64_t)burn_ms[3] * MSEC);
	fact("decoy", 0);
	return NULL;
}

static void do_path(void)
{
	pthread_t b, c, decoy;
	char token;

	if (pipe(to_c) || pipe(to_main))
		die("pipe");
	c = start(path_c, NULL);
	decoy = start(path_decoy, NULL);
	b = start(path_b, NULL);
	if (read(to_main[0], &token, 1) != 1)
		die("read");
	burn((uint64_t)burn_ms[2] * MSEC);
	fact("main", 0);
	pthread_join(b, NULL);
	pthread_join(c, NULL);
	pthread_join(decoy, NULL);
}

/* ---- hogs, squat ---- */

static uint64_t end_ns;
static pthread_barrier_t barrier;

static void *hog(void *arg)
{
	pthread_barrier_wait(&barrier);
	while (now(CLOCK_MONOTONIC) < end_ns)
		;
	fact("hog", (int)(intptr_t)arg);
	return NULL;
}

static void do_hogs(long ms)
{
	pthread_t t[2];

	pin(0); /* the hogs are born pinned */
	pthread_barrier_init(&barrier, NULL, 2);
	end_ns = now(CLOCK_MONOTONIC) + (uint64_t)ms * MSEC;
	for (int i = 0; i < 2; i++)
		t[i] = start(hog, (void *)(intptr_t)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static void do_squat(long ms)
{
	uint64_t until = now(CLOCK_MONOTONIC) + (uint64_t)ms * MSEC;

	prctl(PR_SET_NAME, "squatter");
	pin(0);
	while (now(CLOCK_MONOTONIC) < until)
		;
	fact("squatter", 0);
}

int main(int argc, char **argv)
{
	long n[4] = { 0 };

	for (int i = 0; i < 4 && i + 2 < argc; i++)
		n[i] = strtol(argv[i + 2], NULL, 10);
	if (argc > 3 && !strcmp(argv[1], "ring")) {
		do_ring((int)n[0], (int)n[1], argc > 4 && !strcmp(argv[4], "processes"));
	} else if (argc > 5 && !strcmp(argv[1], "path")) {
		memcpy(burn_ms, n, sizeof(burn_ms));
		do_path();
	} else if (argc > 2 && !strcmp(argv[1], "hogs")) {
		do_hogs(n[0]);
	} else if (argc > 2 && !strcmp(argv[1], "squat")) {
		do_squat(n[0]);
	} else {
		fprintf(stderr, "usage: chain ring K ROUNDS [processes] | path B C MAIN DECOY | "
				"hogs MS | squat MS\n");
		return 2;
	}
	return 0;
}
