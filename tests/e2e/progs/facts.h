/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs with known locks share: time, threads, and the lines of JSON that each appends to the file named by
 * $KNOWN_FACTS, which tests/e2e/oracle_locks.py compares with the report. Each program includes it once, so all is static.
 *
 * A call that may block is measured by its own thread with a tally: the wall time, the CPU time and the voluntary switches between
 * its begin and its end. A thread does nothing else in between, so the voluntary switches are its waits, counted by the kernel.
 */
#ifndef PROGS_FACTS_H
#define PROGS_FACTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MSEC 1000000ull
#define USEC 1000ull
#define HELPER static __attribute__((unused))

HELPER int facts_fd = -1;

HELPER void die(const char *what)
{
	perror(what);
	_exit(99);
}

HELPER uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

HELPER uint64_t wall(void)
{
	return now(CLOCK_MONOTONIC);
}

HELPER uint64_t cpu(void)
{
	return now(CLOCK_THREAD_CPUTIME_ID);
}

HELPER pid_t gettid_(void)
{
	return (pid_t)syscall(SYS_gettid);
}

HELPER void facts_open(void)
{
	const char *path = getenv("KNOWN_FACTS");

	if (!path || !*path)
		return;
	facts_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (facts_fd < 0)
		die(path);
}

/* One line; `fmt` adds members, e.g. ",\"count\":%d". Without $KNOWN_FACTS it goes to standard output. */
__attribute__((format(printf, 2, 3))) HELPER void fact(const char *role, const char *fmt, ...)
{
	char line[1024], more[768];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line),
		     "{\"role\":\"%s\",\"pid\":%d,\"tid\":%d,\"now_ns\":%llu%s}\n", role,
		     (int)getpid(), (int)gettid_(), (unsigned long long)wall(), more);
	if (write(facts_fd < 0 ? STDOUT_FILENO : facts_fd, line, (size_t)n) != n)
		die("facts");
}

HELPER void burn(uint64_t ns)
{
	uint64_t end = cpu() + ns;

	while (cpu() < end)
		;
}

HELPER void rest(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull) };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Pins the calling thread to the `which`-th of the CPUs that it may use. False: there are not so many. */
HELPER bool pin(int which)
{
	static cpu_set_t allowed;
	static bool known;
	cpu_set_t set;

	if (!known && sched_getaffinity(0, sizeof(allowed), &allowed))
		die("sched_getaffinity");
	known = true;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &allowed) || which-- > 0)
			continue;
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			die("sched_setaffinity");
		return true;
	}
	return false;
}

/* A child that dies with its parent: nothing is left behind when a test kills it. */
HELPER pid_t child_of(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

HELPER void reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		_exit(98);
}

HELPER pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		die("pthread_create");
	return t;
}

/* ---- who is blocked ---- */

/* One thread that is about to block. It may live in memory that two processes share. */
struct actor {
	atomic_int pid, tid;
	atomic_int calling; /* the round in whose blocking call it is, or enters at once */
};

HELPER void actor_is_me(struct actor *a)
{
	atomic_store(&a->pid, (int)getpid());
	atomic_store(&a->tid, (int)gettid_());
}

/* Whether /proc says that it sleeps (S) or waits in the kernel (D). No stdio: that has locks of its own. */
HELPER bool actor_asleep(const struct actor *a)
{
	char path[64], line[512], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", atomic_load(&a->pid),
		 atomic_load(&a->tid));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = 0;
	end = strrchr(line, ')');
	return end && (end[2] == 'S' || end[2] == 'D');
}

/*
 * Returns when the actor is blocked in its call of that round, seen twice: a thread is shown asleep from when it decides to sleep.
 * In between it rests, or stays on its CPU.
 */
HELPER void await_blocked(const struct actor *a, int round, bool may_rest)
{
	for (int seen = 0; seen < 2;) {
		uint64_t until = wall() + 100 * USEC;

		seen = atomic_load(&a->calling) == round && actor_asleep(a) ? seen + 1 : 0;
		if (may_rest)
			rest(100 * USEC);
		else
			while (wall() < until)
				;
	}
}

/* ---- what a call that may block took ---- */

struct tally {
	uint64_t calls, waits, wait_ns, wait_cpu_ns,
		longest_ns; /* times: only of calls that blocked */
};

struct before {
	uint64_t wall_ns, cpu_ns;
	long voluntary;
};

HELPER long voluntary_switches(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nvcsw;
}

HELPER struct before tally_begin(void)
{
	struct before b = { .cpu_ns = cpu(), .voluntary = voluntary_switches() };

	b.wall_ns = wall();
	return b;
}

HELPER void tally_end(struct tally *t, struct before b)
{
	uint64_t took_ns = wall() - b.wall_ns;
	long waits = voluntary_switches() - b.voluntary;

	t->calls++;
	if (!waits)
		return;
	t->waits += (uint64_t)waits;
	t->wait_ns += took_ns;
	t->wait_cpu_ns += cpu() - b.cpu_ns;
	if (took_ns > t->longest_ns)
		t->longest_ns = took_ns;
}

#define TALLY(t, call)                                \
	({                                            \
		struct before before = tally_begin(); \
		int tally_result = (call);            \
                                                      \
		tally_end(t, before);                 \
		tally_result;                         \
	})

/* The line of a thread that waited for `lock`. */
HELPER void fact_waiter(const char *lock, const struct tally *t)
{
	fact("waiter",
	     ",\"lock\":\"%s\",\"calls\":%llu,\"waits\":%llu,\"wait_ns\":%llu,\"wait_cpu_ns\":%llu,\"longest_ns\":%llu",
	     lock, (unsigned long long)t->calls, (unsigned long long)t->waits,
	     (unsigned long long)t->wait_ns, (unsigned long long)t->wait_cpu_ns,
	     (unsigned long long)t->longest_ns);
}

/*
 * Where the lock is: all futex words of it lie within `size` bytes. When an ELF file holds it: which one, and how far from its
 * beginning, which is what nm prints of a shared object.
 */
HELPER void fact_lock(const char *lock, const void *address, size_t size)
{
	char object[400] = "null,\"offset\":null";
	Dl_info info;

	if (dladdr(address, &info) && info.dli_fname)
		snprintf(object, sizeof(object), "\"%s\",\"offset\":%llu", info.dli_fname,
			 (unsigned long long)((uintptr_t)address - (uintptr_t)info.dli_fbase));
	fact("lock", ",\"lock\":\"%s\",\"address\":\"0x%llx\",\"size\":%zu,\"object\":%s", lock,
	     (unsigned long long)(uintptr_t)address, size, object);
}

/* ---- the programs' main ---- */

struct workload {
	const char *name;
	void (*run)(const long *n);
};

HELPER int facts_main(int argc, char **argv, const struct workload *workloads, size_t nr)
{
	long n[4] = { 0 };

	for (int i = 2; i < argc && i < 6; i++)
		n[i - 2] = atol(argv[i]);
	facts_open();
	alarm(60); /* whatever goes wrong, nothing stays */
	for (size_t i = 0; argc > 1 && i < nr; i++) {
		if (strcmp(argv[1], workloads[i].name))
			continue;
		workloads[i].run(n);
		return 0;
	}
	fprintf(stderr, "usage: %s WORKLOAD [NUMBER...]:", argv[0]);
	for (size_t i = 0; i < nr; i++)
		fprintf(stderr, " %s", workloads[i].name);
	fprintf(stderr, "\n");
	return 2;
}

#endif
