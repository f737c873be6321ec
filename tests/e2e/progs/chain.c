// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs in which it is known who wakes whom, whom a wait is for and who has the CPU:
 *
 *   ring K ROUNDS [processes]   K threads (or processes) on one CPU pass a token through pipes. Each waits until the next one is
 *                               asleep before it writes: so thread i wakes thread i+1 exactly ROUNDS times
 *   path B C MAIN DECOY         main starts B, which burns B ms and wakes C, which burns C ms and wakes main, which burns MAIN ms.
 *                               The decoy burns DECOY ms beside B, on another CPU if there is one, and nobody waits for it. Who
 *                               burns goes on until the kernel has the one before no more (B: the decoy). Needs root
 *   hogs MS [PID]               two threads burn until MS ms have passed, on the first CPU that is allowed; they tell how long the
 *                               process PID had a CPU meanwhile
 *   timer N                     a thread sleeps N times for 2 ms; another one burns on the same CPU meanwhile, and is what the timer
 *                               interrupts
 *   squat MS                    one process, named "squatter", does the same
 *
 * Each thread appends a line of JSON to the file named by $CHAIN_FACTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

/*
 * Of a path: moments before and after it handed over (main: before it made B, and once it had); its CPU time when it did (main: when
 * it had burned), and what of that was before it was handed to; the same from outside: after it had handed
 * over, before it waited for that. A hypervisor may take the CPU away between such a moment and the event.
 */
static __thread uint64_t from_ns, to_ns, given_cpu_ns, off_path_ns, given_after_ns, off_before_ns;
static __thread uint64_t other_ns; /* of a hog: how long PID had a CPU while it burned */

static void fact(const char *role, int number)
{
	const char *path = getenv("CHAIN_FACTS");
	char line[512];
	int fd, n;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	n = snprintf(line, sizeof(line),
		     "{\"role\":\"%s\",\"number\":%d,\"pid\":%d,\"tid\":%d,\"cpu_ns\":%llu,"
		     "\"now_ns\":%llu,\"from_ns\":%llu,\"to_ns\":%llu,\"given_cpu_ns\":%llu,"
		     "\"off_path_ns\":%llu,\"given_after_ns\":%llu,\"off_before_ns\":%llu,"
		     "\"other_ns\":%llu}\n",
		     role, number, (int)getpid(), (int)own_tid(),
		     (unsigned long long)now(CLOCK_THREAD_CPUTIME_ID),
		     (unsigned long long)now(CLOCK_MONOTONIC), (unsigned long long)from_ns,
		     (unsigned long long)to_ns, (unsigned long long)given_cpu_ns,
		     (unsigned long long)off_path_ns, (unsigned long long)given_after_ns,
		     (unsigned long long)off_before_ns, (unsigned long long)other_ns);
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

static int to_c[2], to_main[2], to_decoy[2];
static long burn_ms[4];
static volatile pid_t path_tid[3];
enum { PATH_B, PATH_C, PATH_DECOY };

/*
 * Burns for so long, and until the kernel has no thread tid of this process any more. Nothing in it blocks: so it is the path, whatever
 * else the machine does, and nobody who has burned before is there to be waited for.
 */
static void burn_and_see_gone(uint64_t ns, pid_t tid)
{
	uint64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end || !syscall(SYS_tgkill, getpid(), tid, 0))
		;
}

/*
 * What is left to do is little. A moment before a thread leaves its CPU for the last time the kernel has it no more: in real time nobody
 * takes that CPU from it in between, for as long as the next one burns.
 */
static void end_soon(void)
{
	struct sched_param real_time = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &real_time))
		die("SCHED_FIFO");
}

static void hand_over(int fd)
{
	given_cpu_ns = now(CLOCK_THREAD_CPUTIME_ID);
	from_ns = now(CLOCK_MONOTONIC);
	if (write(fd, "t", 1) != 1)
		die("write");
	to_ns = now(CLOCK_MONOTONIC);
	given_after_ns = now(CLOCK_THREAD_CPUTIME_ID);
}

static void wait_for(int fd)
{
	char token;

	if (read(fd, &token, 1) != 1)
		die("read");
}

static void see_asleep(const volatile pid_t *tid)
{
	struct timespec moment = { 0, 200000 };

	while (!*tid || !asleep(*tid))
		nanosleep(&moment, NULL);
}

static void *path_b(void *arg)
{
	pid_t main_tid = getpid();

	(void)arg;
	prctl(PR_SET_NAME, "path-b");
	pin(0);
	path_tid[PATH_B] = own_tid();
	see_asleep(&main_tid);
	hand_over(to_decoy[1]);
	burn_and_see_gone((uint64_t)burn_ms[PATH_B] * MSEC, path_tid[PATH_DECOY]);
	end_soon();
	hand_over(to_c[1]);
	fact("b", 0);
	return NULL;
}

static void *path_c(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "path-c");
	pin(0);
	path_tid[PATH_C] = own_tid();
	off_before_ns = now(CLOCK_THREAD_CPUTIME_ID);
	wait_for(to_c[0]);
	off_path_ns = now(CLOCK_THREAD_CPUTIME_ID);
	burn_and_see_gone((uint64_t)burn_ms[PATH_C] * MSEC, path_tid[PATH_B]);
	end_soon();
	hand_over(to_main[1]);
	fact("c", 0);
	return NULL;
}

static void *path_decoy(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "path-decoy");
	pin(1);
	path_tid[PATH_DECOY] = own_tid();
	wait_for(to_decoy[0]);
	burn((uint64_t)burn_ms[3] * MSEC);
	end_soon();
	fact("decoy", 0);
	return NULL;
}

/* Who waits is seen asleep in its read before the next one is made: while they are made they have nothing to wait for each other. */
static void do_path(void)
{
	pthread_t b, c, decoy;

	if (pipe(to_c) || pipe(to_main) || pipe(to_decoy))
		die("pipe");
	c = start(path_c, NULL);
	see_asleep(&path_tid[PATH_C]);
	decoy = start(path_decoy, NULL);
	see_asleep(&path_tid[PATH_DECOY]);
	off_path_ns = now(CLOCK_THREAD_CPUTIME_ID);
	from_ns = now(CLOCK_MONOTONIC);
	b = start(path_b, NULL);
	to_ns = now(CLOCK_MONOTONIC);
	wait_for(to_main[0]);
	off_path_ns = now(CLOCK_THREAD_CPUTIME_ID) - off_path_ns;
	burn_and_see_gone((uint64_t)burn_ms[2] * MSEC, path_tid[PATH_C]);
	given_cpu_ns = given_after_ns = now(CLOCK_THREAD_CPUTIME_ID);
	off_before_ns = off_path_ns;
	fact("main", 0);
	/* all are gone: nobody waits here */
	pthread_join(b, NULL);
	pthread_join(c, NULL);
	pthread_join(decoy, NULL);
}

/* ---- hogs, squat ---- */

static uint64_t end_ns;
static pthread_barrier_t barrier;
static long other_pid;

/* Time on a CPU of a process of one thread, up to its last moment there. */
static uint64_t other_ran(void)
{
	char path[64], text[128] = "";
	int fd;

	if (!other_pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%ld/schedstat", other_pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(path);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void *hog(void *arg)
{
	pthread_barrier_wait(&barrier);
	other_ns = other_ran();
	while (now(CLOCK_MONOTONIC) < end_ns)
		;
	other_ns = other_ran() - other_ns;
	fact("hog", (int)(intptr_t)arg);
	return NULL;
}

static void do_hogs(long ms)
{
	uint64_t ran = other_ran();
	pthread_t t[2];

	pin(0); /* the hogs are born pinned */
	pthread_barrier_init(&barrier, NULL, 2);
	end_ns = now(CLOCK_MONOTONIC) + (uint64_t)ms * MSEC;
	for (int i = 0; i < 2; i++)
		t[i] = start(hog, (void *)(intptr_t)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	other_ns = other_ran() - ran;
	fact("hogs", 0);
}

/* ---- timer ---- */

static atomic_bool slept;

static void *burner(void *arg)
{
	(void)arg;
	while (!atomic_load(&slept))
		;
	fact("burner", 0);
	return NULL;
}

/* `number` in its fact: how often it left the CPU of its own doing, while it slept. */
static void *sleeper(void *arg)
{
	struct timespec moment = { 0, 2000000 };
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	for (long n = (long)(intptr_t)arg; n > 0; n--)
		nanosleep(&moment, NULL);
	getrusage(RUSAGE_THREAD, &after);
	atomic_store(&slept, true);
	fact("sleeper", (int)(after.ru_nvcsw - before.ru_nvcsw));
	return NULL;
}

static void do_timer(long n)
{
	pthread_t t[2];

	pin(0);
	t[0] = start(burner, NULL);
	t[1] = start(sleeper, (void *)(intptr_t)n);
	pthread_join(t[1], NULL);
	pthread_join(t[0], NULL);
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
	/* else a page of the program that is read from the disk is waited for, by several, who wake each other */
	if (mlockall(MCL_CURRENT))
		perror("mlockall");
	if (argc > 3 && !strcmp(argv[1], "ring")) {
		do_ring((int)n[0], (int)n[1], argc > 4 && !strcmp(argv[4], "processes"));
	} else if (argc > 5 && !strcmp(argv[1], "path")) {
		memcpy(burn_ms, n, sizeof(burn_ms));
		do_path();
	} else if (argc > 2 && !strcmp(argv[1], "hogs")) {
		other_pid = n[1];
		do_hogs(n[0]);
	} else if (argc > 2 && !strcmp(argv[1], "timer")) {
		do_timer(n[0]);
	} else if (argc > 2 && !strcmp(argv[1], "squat")) {
		do_squat(n[0]);
	} else {
		fprintf(stderr, "usage: chain ring K ROUNDS [processes] | path B C MAIN DECOY | "
				"hogs MS [PID] | timer N | squat MS\n");
		return 2;
	}
	return 0;
}
