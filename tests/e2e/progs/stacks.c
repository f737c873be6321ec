// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose call stacks are known: stacks MODE N, without frame pointers (-O2).
 *
 *   burn N    computes for N ms of CPU time in main -> outer_burn -> middle_burn -> inner_burn
 *   clock N   the same in main -> outer_clock, asking what time it is all the while
 *   bare N    the same in main -> outer_bare -> bare_burn, which has no call frame information and no frame pointer
 *   sleep N   sleeps N times 1 ms in main -> outer_sleep -> inner_sleep, with a counter and the time on the stack
 *   vary N    the same, with N different addresses on the stack: each makes another stack
 *   deep N    sleeps once below N frames of descend(), of 256 bytes each
 *   flood N   as lock, with another address on a stack of 4 KiB each time
 *   places N  reads N times from one descriptor in main -> outer_read -> inner_read, which is in turn a timer and a socket: each read
 *             waits 1 ms, at another place in the kernel
 *   vfork N   waits N ms in main -> outer_vfork -> vfork(), in the child of which the time passes
 *   lock N    main waits N times for a semaphore in outer_lock, which a thread posts in waker
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;
static sem_t sem, answer;

static unsigned long long cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static __attribute__((noipa)) void inner_burn(unsigned long long until)
{
	do
		for (int i = 0; i < 100000; i++)
			sink += i;
	while (cpu_ns() < until);
}

static __attribute__((noipa)) void middle_burn(unsigned long long until)
{
	volatile char pad[200];

	pad[0] = 1;
	inner_burn(until);
	sink += pad[0];
}

static __attribute__((noipa)) void outer_burn(int ms)
{
	middle_burn(cpu_ns() + ms * 1000000ull);
	sink++;
}

static __attribute__((noipa)) void outer_clock(int ms)
{
	unsigned long long until = cpu_ns() + ms * 1000000ull;
	struct timespec ts;

	do
		for (int i = 0; i < 100000; i++) {
			clock_gettime(CLOCK_MONOTONIC, &ts);
			sink += ts.tv_nsec;
		}
	while (cpu_ns() < until);
}

void bare_burn(unsigned long turns);
__asm__(".text\n"
	".globl bare_burn\n"
	".type bare_burn, %function\n"
	"bare_burn:\n"
#if defined(__x86_64__)
	"	push %rbp\n"
	"	mov $4711, %ebp\n"
	"1:	dec %rdi\n"
	"	jnz 1b\n"
	"	pop %rbp\n"
#else
	"	stp x29, x30, [sp, -16]!\n"
	"	mov x29, 4711\n"
	"1:	subs x0, x0, 1\n"
	"	b.ne 1b\n"
	"	ldp x29, x30, [sp], 16\n"
#endif
	"	ret\n"
	".size bare_burn, .-bare_burn\n");

static __attribute__((noipa)) void outer_bare(int ms)
{
	unsigned long long until = cpu_ns() + ms * 1000000ull;

	do
		bare_burn(1000000);
	while (cpu_ns() < until);
}

static __attribute__((noipa)) void inner_sleep(const volatile unsigned long *what)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
	sink += *what;
}

static __attribute__((noipa)) void outer_sleep(int i)
{
	volatile unsigned long what[3] = { i, time(NULL) * 1000000000ul + i, ~0ul - i };

	inner_sleep(what);
	sink++;
}

static __attribute__((noipa)) void outer_vary(char *address)
{
	volatile unsigned long what[2] = { (unsigned long)address, 0 };

	inner_sleep(what);
	sink++;
}

static __attribute__((noipa)) void descend(int n)
{
	volatile unsigned long what[30] = { n };

	if (n > 1)
		descend(n - 1);
	else
		inner_sleep(what);
	sink += what[0];
}

static __attribute__((noipa)) void inner_read(int fd)
{
	unsigned long what = 0;

	if (read(fd, &what, sizeof(what)) > 0)
		sink += what;
}

static __attribute__((noipa)) void outer_read(int n)
{
	const struct itimerspec ms = { .it_value.tv_nsec = 1000000 };
	const struct timeval limit = { .tv_usec = 1000 };
	int timer = timerfd_create(CLOCK_MONOTONIC, 0), pair[2];

	if (timer < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (int i = 0; i < n; i++) {
		timerfd_settime(timer, 0, &ms, NULL);
		dup2(i % 2 ? pair[0] : timer, 100);
		inner_read(100);
	}
}

static __attribute__((noipa)) void outer_lock(void)
{
	sem_wait(&sem);
	sem_post(&answer);
	sink++;
}

static __attribute__((noipa)) void outer_flood(char *address)
{
	volatile unsigned long what[512] = { (unsigned long)address };

	sem_wait(&sem);
	sem_post(&answer);
	sink += what[0];
}

static __attribute__((noipa)) void post_one(void)
{
	struct timespec ms = { .tv_nsec = 2000000 };

	nanosleep(&ms, NULL);
	sem_post(&sem);
	sink++;
}

static void *waker(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		post_one();
		sem_wait(&answer);
	}
	return NULL;
}

static void *flooder(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		sem_post(&sem);
		sem_wait(&answer);
	}
	return NULL;
}

/* With a frame, so that vfork() is no tail call; the child must not return. */
static __attribute__((noipa)) void outer_vfork(int n)
{
	struct timespec ts = { n / 1000, n % 1000 * 1000000l };
	pid_t pid = vfork();

	if (!pid) {
		nanosleep(&ts, NULL);
		_exit(0);
	}
	sink += pid > 0;
}

/* address NULL: slowly, in outer_lock() */
static __attribute__((noipa)) void lock(int n, char *address)
{
	pthread_t thread;

	sem_init(&sem, 0, 0);
	sem_init(&answer, 0, 0);
	pthread_create(&thread, NULL, address ? flooder : waker, &n);
	for (int i = 0; i < n; i++)
		address ? outer_flood(address + i) : outer_lock();
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	char *somewhere = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "burn"))
		outer_burn(n);
	if (!strcmp(argv[1], "clock"))
		outer_clock(n);
	if (!strcmp(argv[1], "bare"))
		outer_bare(n);
	for (int i = 0; i < n && !strcmp(argv[1], "sleep"); i++)
		outer_sleep(i);
	for (int i = 0; i < n && !strcmp(argv[1], "vary"); i++)
		outer_vary(somewhere + i);
	if (!strcmp(argv[1], "deep"))
		descend(n);
	if (!strcmp(argv[1], "vfork"))
		outer_vfork(n);
	if (!strcmp(argv[1], "places"))
		outer_read(n);
	if (!strcmp(argv[1], "lock"))
		lock(n, NULL);
	if (!strcmp(argv[1], "flood"))
		lock(n, somewhere);
	return 0;
}
