// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many of something, a known number: crowd WORKLOAD NUMBER [NUMBER].
 *
 *   threads N        N threads that all live at once, then end
 *   processes N      N children, one after the other
 *   rename N HZ      a thread that changes its name N times, HZ times a second; the last name is "last"
 *   bomb N           children that have children, until fork(2) is refused or N processes live at once; then all end
 *   reuse N          N children, one after the other, that all have the same pid: needs a pid namespace of its own, and its root
 *
 * It prints what it did, one line "WORKLOAD: N", and ends with status 7: so both can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (64u << 10)
#define STATUS 7

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static int done(const char *workload, long n)
{
	printf("%s: %ld\n", workload, n);
	return fflush(stdout) ? 99 : STATUS;
}

static pthread_barrier_t all_there;

static void *wait_for_all(void *arg)
{
	pthread_barrier_wait(&all_there);
	return arg;
}

static int threads(long n)
{
	pthread_t *ids = calloc((size_t)n, sizeof(*ids));
	pthread_attr_t attr;
	long sum = 0;

	if (!ids || pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK_BYTES) ||
	    pthread_barrier_init(&all_there, NULL, (unsigned int)n))
		die("threads");
	for (long i = 0; i < n; i++)
		if ((errno = pthread_create(&ids[i], &attr, wait_for_all, (void *)1)))
			die("pthread_create");
	for (long i = 0; i < n; i++) {
		void *one;

		if (pthread_join(ids[i], &one))
			die("pthread_join");
		sum += (long)one;
	}
	return done("threads", sum);
}

static int processes(long n)
{
	long sum = 0;

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			die("fork");
		if (!pid)
			_exit((int)(i & 0x3f));
		if (waitpid(pid, &status, 0) != pid)
			die("waitpid");
		sum += WIFEXITED(status) && WEXITSTATUS(status) == (i & 0x3f);
	}
	return done("processes", sum);
}

static int rename_often(long n, long hz)
{
	struct timespec next;
	char name[32]; /* the kernel cuts it to 15 */

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "name-%ld", i);
		if (prctl(PR_SET_NAME, i + 1 < n ? name : "last"))
			die("prctl");
		next.tv_nsec += 1000000000 / hz;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return done("rename", n);
}

/* Every process forks until it is refused; the last writer of the pipe closing it ends them all. */
struct bomb {
	long made, refused;
};

static _Noreturn void bomb_one(struct bomb *b, long most, int hold)
{
	char none;

	while (__atomic_add_fetch(&b->made, 1, __ATOMIC_SEQ_CST) <= most) {
		pid_t pid = fork();

		if (pid < 0) {
			__atomic_sub_fetch(&b->made, 1, __ATOMIC_SEQ_CST);
			__atomic_add_fetch(&b->refused, 1, __ATOMIC_SEQ_CST);
			break;
		}
	}
	if (read(hold, &none, 1) < 0)
		_exit(98);
	while (wait(NULL) > 0)
		;
	_exit(0);
}

static int bomb(long most)
{
	struct bomb *b =
		mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec while_it_grows = { .tv_nsec = 500000000 };
	int hold[2];
	pid_t first;

	if (b == MAP_FAILED || pipe2(hold, O_CLOEXEC))
		die("bomb");
	b->made = 1;
	first = fork();
	if (first < 0)
		die("fork");
	if (!first) {
		close(hold[1]);
		bomb_one(b, most, hold[0]);
	}
	nanosleep(&while_it_grows, NULL);
	close(hold[1]);
	if (waitpid(first, NULL, 0) != first)
		die("waitpid");
	printf("refused: %ld\n", b->refused);
	return done("bomb", b->made < most ? b->made : most);
}

static void next_pid(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%d", pid - 1) < 0)
		die("/proc/sys/kernel/ns_last_pid");
	close(fd);
}

static int reuse(long n)
{
	pid_t wanted = getpid() + 100;
	long same = 0;

	for (long i = 0; i < n; i++) {
		pid_t pid;

		next_pid(wanted);
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid)
			_exit(0);
		same += pid == wanted;
		if (waitpid(pid, NULL, 0) != pid)
			die("waitpid");
	}
	return done("reuse", same);
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[2]) : 0, more = argc > 3 ? atol(argv[3]) : 0;

	if (n > 0 && !strcmp(argv[1], "threads"))
		return threads(n);
	if (n > 0 && !strcmp(argv[1], "processes"))
		return processes(n);
	if (n > 0 && more > 0 && !strcmp(argv[1], "rename"))
		return rename_often(n, more);
	if (n > 0 && !strcmp(argv[1], "bomb"))
		return bomb(n);
	if (n > 0 && !strcmp(argv[1], "reuse"))
		return reuse(n);
	fprintf(stderr, "usage: crowd threads|processes|rename|bomb|reuse NUMBER [NUMBER]\n");
	return 98;
}
