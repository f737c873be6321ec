// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs whose answer is known by design: known WORKLOAD [NUMBER...].
 *
 * Every thread appends a line of JSON to the file named by $KNOWN_FACTS: who it is, what it did, and the kernel's own counts of
 * it just then (getrusage, /proc/thread-self/schedstat). tests/e2e/oracle.py compares these with the report.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "known_waits.h"

/* ---- burn MS ---- */
static void do_burn(const long *n)
{
	burn((uint64_t)n[0] * MSEC);
	fact("burn", ",\"ms\":%ld", n[0]);
}

/* ---- sleeps N US ---- */
static void do_sleeps(const long *n)
{
	for (long i = 0; i < n[0]; i++)
		rest((uint64_t)n[1] * 1000);
	fact("sleeps", ",\"count\":%ld,\"us\":%ld", n[0], n[1]);
}

/* ---- pingpong N: two processes, a byte to and fro ---- */
static void do_pingpong(const long *n)
{
	int to[2], fro[2];
	char byte = 0;
	pid_t pid;

	if (pipe(to) || pipe(fro))
		die("pipe");
	pid = child_of();
	for (long i = 0; i < n[0]; i++) {
		if (pid && write(to[1], &byte, 1) != 1)
			die("write");
		if (read(pid ? fro[0] : to[0], &byte, 1) != 1)
			die("read");
		if (!pid && write(fro[1], &byte, 1) != 1)
			die("write");
	}
	fact("pingpong", ",\"count\":%ld", n[0]);
	if (!pid)
		_exit(0);
	reap(pid);
}

/* ---- mutex THREADS ROUNDS HOLD_US: sleeps with the lock held ---- */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *mutex_worker(void *arg)
{
	const long *n = arg;

	pthread_barrier_wait(&barrier);
	for (long i = 0; i < n[1]; i++) {
		pthread_mutex_lock(&mutex);
		rest((uint64_t)n[2] * 1000);
		pthread_mutex_unlock(&mutex);
	}
	fact("mutex", ",\"threads\":%ld,\"rounds\":%ld,\"us\":%ld", n[0], n[1], n[2]);
	return NULL;
}

static void do_mutex(const long *n)
{
	pthread_t t[64];

	pthread_barrier_init(&barrier, NULL, (unsigned int)n[0]);
	for (long i = 0; i < n[0]; i++)
		t[i] = start(mutex_worker, (void *)n);
	for (long i = 0; i < n[0]; i++)
		pthread_join(t[i], NULL);
}

/*
 * ---- yields N: two threads on one CPU. Of each call it is known, from the kernel's count of its switches, whether there was one. More
 * than one: it was preempted besides, or schedule() looked again before it returned, and the call was switched out twice. ----
 */
static long involuntary(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nivcsw;
}

static void *yielder(void *arg)
{
	long n = *(const long *)arg, switched = 0, more = 0, before, after;

	pin(-1);
	pthread_barrier_wait(&barrier);
	before = involuntary();
	for (long i = 0; i < n; i++) {
		sched_yield();
		after = involuntary();
		switched += after > before;
		more += after > before ? after - before - 1 : 0;
		before = after;
	}
	fact("yields", ",\"count\":%ld,\"switched\":%ld,\"more\":%ld", n, switched, more);
	return NULL;
}

static void do_yields(const long *n)
{
	pthread_t a, b;

	pthread_barrier_init(&barrier, NULL, 2);
	a = start(yielder, (void *)n);
	b = start(yielder, (void *)n);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

/* ---- forks N: children that exec; chain N: each forks the next ---- */
static void do_forks(const long *n)
{
	for (long i = 0; i < n[0]; i++) {
		pid_t pid = child_of();

		if (!pid) {
			execl(self_path, "known", "burn", "1", NULL);
			die("execl");
		}
		reap(pid);
	}
	fact("forks", ",\"count\":%ld", n[0]);
}

static void do_chain(const long *n)
{
	if (n[0] > 0) {
		long next = n[0] - 1;
		pid_t pid = child_of();

		if (!pid) {
			do_chain(&next);
			_exit(0);
		}
		reap(pid);
	}
	rest(2 * MSEC);
	fact("chain", ",\"left\":%ld", n[0]);
}

/* ---- exec_thread MS: a thread that is not the leader calls exec; the leader sleeps ---- */
static void *exec_now(void *arg)
{
	char ms[24];

	snprintf(ms, sizeof(ms), "%ld", *(const long *)arg);
	while (!asleep(getpid()))
		rest(MSEC);
	rest(5 * MSEC);
	fact("before_exec", "%s", "");
	execl(self_path, "known", "burn", ms, NULL);
	die("execl");
	return NULL;
}

static void do_exec_thread(const long *n)
{
	start(exec_now, (void *)n);
	while (true)
		rest(1000 * MSEC);
}

/* ---- leader_exits MS: the first thread ends, another burns on ---- */
static void *burn_on(void *arg)
{
	rest(20 * MSEC);
	burn(*(const uint64_t *)arg * MSEC);
	fact("other", "%s", "");
	return NULL;
}

static void do_leader_exits(const long *n)
{
	start(burn_on, (void *)n);
	fact("leader", ",\"ms\":%ld", n[0]);
	pthread_exit(NULL);
}

/* ---- vfork MS ---- */
static void do_vfork(const long *n)
{
	struct timespec ts = { 0, n[0] * 1000000L };
	pid_t pid = vfork();

	if (!pid) {
		nanosleep(&ts, NULL);
		_exit(0);
	}
	fact("vfork", ",\"child\":%d,\"ms\":%ld", (int)pid, n[0]);
	reap(pid);
}

/* ---- hogs MS: two processes on one CPU for the same time ---- */
static void do_hogs(const long *n)
{
	uint64_t from, to;
	pid_t pid;

	pin(-1);
	from = now(CLOCK_MONOTONIC) + 20 * MSEC;
	to = from + (uint64_t)n[0] * MSEC;
	pid = child_of();
	burn_until(to);
	fact("hog", ",\"from_ns\":%llu,\"to_ns\":%llu", (unsigned long long)from,
	     (unsigned long long)to);
	if (!pid)
		_exit(0);
	reap(pid);
}

/* ---- stopped MS ---- */
static void do_stopped(const long *n)
{
	uint64_t from;
	int status;
	pid_t pid = child_of();

	if (!pid) {
		while (true)
			rest(1000 * MSEC);
	}
	rest(10 * MSEC);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	from = now(CLOCK_MONOTONIC);
	rest((uint64_t)n[0] * MSEC);
	fact("stopper", ",\"child\":%d,\"stopped_ns\":%llu", (int)pid,
	     (unsigned long long)(now(CLOCK_MONOTONIC) - from));
	kill(pid, SIGCONT);
	rest(10 * MSEC);
	kill(pid, SIGKILL);
	reap(pid);
}

/* ---- pid_reuse: two children with one pid ---- */
static bool set_last_pid(pid_t pid)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	bool done = f && fprintf(f, "%d", (int)pid) > 0;

	if (f && fclose(f))
		done = false;
	return done;
}

static void do_pid_reuse(const long *n)
{
	pid_t first = child_of(), again = 0;

	(void)n;
	if (!first) {
		rest(5 * MSEC);
		_exit(0);
	}
	reap(first);
	for (int i = 0; i < 50 && again != first; i++) {
		if (!set_last_pid(first - 1))
			break;
		again = child_of();
		if (!again) {
			burn(5 * MSEC);
			_exit(0);
		}
		reap(again);
	}
	fact("pid_reuse", ",\"first\":%d,\"again\":%d", (int)first, (int)again);
}

/* ---- names: what a terminal, HTML and JSON must not get as it is ---- */
static const char *const odd_names[] = {
	"\033[31mred\033[0m",
	"a\nb\rc\td",
	"\"<&>'\\",
	"\xff\xfe\x80",
	"\x01\x02\x7f",
	"%s%n%d",
	"\xc2\x9b"
	"31m",
	"",
};

static void *named(void *arg)
{
	prctl(PR_SET_NAME, arg);
	rest(2 * MSEC);
	fact("named", "%s", "");
	return NULL;
}

static void do_names(const long *n)
{
	(void)n;
	for (size_t i = 0; i < sizeof(odd_names) / sizeof(odd_names[0]); i++)
		pthread_join(start(named, (void *)odd_names[i]), NULL);
}

/* ---- bursts TIMES ROUNDS: quiet, then two processes on one CPU switch as fast as they can; quiet at the end ---- */
static void do_bursts(const long *n)
{
	pin(-1);
	for (long i = 0; i < n[0]; i++) {
		rest(400 * MSEC);
		do_pingpong(n + 1);
	}
	rest(300 * MSEC);
}

static const struct workload {
	const char *name;
	void (*run)(const long *n);
} workloads[] = {
	{ "burn", do_burn },
	{ "sleeps", do_sleeps },
	{ "pingpong", do_pingpong },
	{ "mutex", do_mutex },
	{ "yields", do_yields },
	{ "forks", do_forks },
	{ "chain", do_chain },
	{ "exec_thread", do_exec_thread },
	{ "leader_exits", do_leader_exits },
	{ "vfork", do_vfork },
	{ "hogs", do_hogs },
	{ "stopped", do_stopped },
	{ "waits", do_waits },
	{ "pid_reuse", do_pid_reuse },
	{ "names", do_names },
	{ "bursts", do_bursts },
	{ "blocked", do_blocked },
};

int main(int argc, char **argv)
{
	const char *facts = getenv("KNOWN_FACTS");
	long n[4] = { 0 };

	self_path = "/proc/self/exe";
	for (int i = 2; i < argc && i < 6; i++)
		n[i - 2] = atol(argv[i]);
	if (facts && *facts) {
		facts_fd = open(facts, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (facts_fd < 0)
			die(facts);
	}
	for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(argv[1], workloads[i].name))
			continue;
		workloads[i].run(n);
		return 0;
	}
	fprintf(stderr, "usage: known WORKLOAD [NUMBER...]\n");
	return 2;
}
