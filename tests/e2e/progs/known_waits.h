/* SPDX-License-Identifier: GPL-2.0-only */
/* The workloads of known.c that wait, in every way: `waits` and `blocked`. */
#ifndef PROGS_KNOWN_WAITS_H
#define PROGS_KNOWN_WAITS_H

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "known.h"

/*
 * ---- waits MS: one thread for each kind of wait, all at once. Those with a timeout end by themselves. The others are seen asleep
 * by the main thread (/proc), which then lets MS pass before it ends their waits. ----
 */
struct wait_kind {
	const char *name;
	void (*wait)(uint64_t ns);
};

static int in_pipe[2], in_socket[2], in_poll[2], in_select[2], in_epoll[2], in_event, in_queue,
	in_listen;
static sem_t in_sem;
static pthread_mutex_t in_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t in_cond = PTHREAD_COND_INITIALIZER;
static bool in_cond_set;
static char lock_path[] = "/tmp/whyscale-known-XXXXXX";
static pthread_t in_joined;
static volatile pid_t wait_tid[32];
static uint64_t wait_ns;

static void w_nanosleep(uint64_t ns)
{
	rest(ns);
}

static void w_poll_none(uint64_t ns)
{
	poll(NULL, 0, (int)(ns / MSEC));
}

static void w_select_none(uint64_t ns)
{
	struct timeval tv = { 0, (suseconds_t)(ns / 1000) };

	select(0, NULL, NULL, NULL, &tv);
}

static void w_poll_pipe(uint64_t ns)
{
	struct pollfd p = { .fd = in_poll[0], .events = POLLIN };

	poll(&p, 1, (int)(ns / MSEC));
}

static void w_select_pipe(uint64_t ns)
{
	struct timeval tv = { 0, (suseconds_t)(ns / 1000) };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(in_select[0], &set);
	select(in_select[0] + 1, &set, NULL, NULL, &tv);
}

static void w_epoll(uint64_t ns)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	epoll_ctl(fd, EPOLL_CTL_ADD, in_epoll[0], &ev);
	epoll_wait(fd, &ev, 1, (int)(ns / MSEC));
}

static void w_pipe(uint64_t ns)
{
	char byte;

	(void)ns;
	if (read(in_pipe[0], &byte, 1) != 1)
		die("pipe");
}

static void w_socket(uint64_t ns)
{
	char byte;

	(void)ns;
	if (recv(in_socket[0], &byte, 1, 0) != 1)
		die("recv");
}

static void w_event(uint64_t ns)
{
	uint64_t value;

	(void)ns;
	if (read(in_event, &value, 8) != 8)
		die("eventfd");
}

static void w_msgrcv(uint64_t ns)
{
	struct {
		long type;
		char byte;
	} m;

	(void)ns;
	if (msgrcv(in_queue, &m, 1, 0, 0) < 0)
		die("msgrcv");
}

static void w_accept(uint64_t ns)
{
	struct sockaddr a;
	socklen_t len = sizeof(a);

	(void)ns;
	if (accept(in_listen, &a, &len) < 0 && errno != EINVAL)
		die("accept");
}

static void w_sem(uint64_t ns)
{
	(void)ns;
	sem_wait(&in_sem);
}

static void w_cond(uint64_t ns)
{
	(void)ns;
	pthread_mutex_lock(&in_mutex);
	while (!in_cond_set)
		pthread_cond_wait(&in_cond, &in_mutex);
	pthread_mutex_unlock(&in_mutex);
}

static void w_barrier(uint64_t ns)
{
	(void)ns;
	pthread_barrier_wait(&barrier);
}

static void w_join(uint64_t ns)
{
	(void)ns;
	pthread_join(in_joined, NULL);
}

static void w_wait4(uint64_t ns)
{
	pid_t pid = child_of();

	if (!pid) {
		rest(ns);
		_exit(0);
	}
	reap(pid);
}

static void w_flock(uint64_t ns)
{
	int fd = open(lock_path, O_RDWR);

	(void)ns;
	if (fd < 0 || flock(fd, LOCK_EX))
		die("flock");
}

static void w_futex_timed(uint64_t ns)
{
	struct timespec ts = { 0, (long)ns };
	int word = 0;

	syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &ts, NULL, 0);
}

static void w_sigwait(uint64_t ns)
{
	struct timespec ts = { 0, (long)ns };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, &ts);
}

static const struct wait_kind kinds[] = {
	{ "nanosleep", w_nanosleep },
	{ "poll_none", w_poll_none },
	{ "select_none", w_select_none },
	{ "poll_pipe", w_poll_pipe },
	{ "select_pipe", w_select_pipe },
	{ "epoll", w_epoll },
	{ "pipe", w_pipe },
	{ "socket", w_socket },
	{ "eventfd", w_event },
	{ "msgrcv", w_msgrcv },
	{ "accept", w_accept },
	{ "sem", w_sem },
	{ "cond", w_cond },
	{ "barrier", w_barrier },
	{ "join", w_join },
	{ "wait4", w_wait4 },
	{ "flock", w_flock },
	{ "futex_timed", w_futex_timed },
	{ "sigwait", w_sigwait },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void *wait_thread(void *arg)
{
	const struct wait_kind *kind = arg;

	prctl(PR_SET_NAME, kind->name);
	wait_tid[kind - kinds] = gettid_();
	kind->wait(wait_ns);
	fact(kind->name, ",\"ms\":%llu", (unsigned long long)(wait_ns / MSEC));
	return NULL;
}

static void *joined_thread(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "joined");
	sem_wait(&in_sem);
	return NULL;
}

static void wake_all(void)
{
	struct {
		long type;
		char byte;
	} m = { 1, 0 };
	uint64_t one = 1;

	if (write(in_pipe[1], "", 1) != 1 || send(in_socket[1], "", 1, 0) != 1 ||
	    write(in_event, &one, 8) != 8 || msgsnd(in_queue, &m, 1, 0))
		die("wake");
	shutdown(in_listen, SHUT_RDWR);
	sem_post(&in_sem);
	sem_post(&in_sem);
	pthread_mutex_lock(&in_mutex);
	in_cond_set = true;
	pthread_cond_broadcast(&in_cond);
	pthread_mutex_unlock(&in_mutex);
	pthread_barrier_wait(&barrier);
}

static void do_waits(const long *n)
{
	pthread_t t[KINDS];
	struct sockaddr any = { .sa_family = AF_UNIX };
	int lock;

	wait_ns = (uint64_t)n[0] * MSEC;
	lock = mkstemp(lock_path);
	in_event = eventfd(0, 0);
	in_queue = msgget(IPC_PRIVATE, 0600);
	in_listen = socket(AF_UNIX, SOCK_STREAM, 0);
	if (lock < 0 || flock(lock, LOCK_EX) || pipe(in_pipe) || pipe(in_poll) || pipe(in_select) ||
	    pipe(in_epoll) || socketpair(AF_UNIX, SOCK_STREAM, 0, in_socket) || in_event < 0 ||
	    in_queue < 0 || bind(in_listen, &any, sizeof(any.sa_family)) || listen(in_listen, 1) ||
	    sem_init(&in_sem, 0, 0))
		die("waits");
	pthread_barrier_init(&barrier, NULL, 2);
	in_joined = start(joined_thread, NULL);
	for (size_t i = 0; i < KINDS; i++)
		t[i] = start(wait_thread, (void *)&kinds[i]);
	for (size_t i = 0; i < KINDS; i++)
		while (!wait_tid[i] || !asleep(wait_tid[i]))
			rest(MSEC);
	rest(wait_ns);
	wake_all();
	close(lock); /* and with it the lock goes */
	for (size_t i = 0; i < KINDS; i++)
		pthread_join(t[i], NULL);
	msgctl(in_queue, IPC_RMID, NULL);
	unlink(lock_path);
}

/* ---- blocked: threads that stay as they are until killed, for attaching ---- */
static void do_blocked(const long *n)
{
	static const size_t which[] = { 0, 3, 6, 7, 11 }; /* nanosleep poll_pipe pipe socket sem */

	(void)n;
	wait_ns = 900 * MSEC * 1000;
	if (pipe(in_pipe) || pipe(in_poll) || socketpair(AF_UNIX, SOCK_STREAM, 0, in_socket) ||
	    sem_init(&in_sem, 0, 0))
		die("blocked");
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		size_t k = which[i];

		start(wait_thread, (void *)&kinds[k]);
		while (!wait_tid[k] || !asleep(wait_tid[k]))
			rest(MSEC);
		if (dprintf(STDOUT_FILENO, "%s %d\n", kinds[k].name, (int)wait_tid[k]) < 0)
			die("stdout");
	}
	if (dprintf(STDOUT_FILENO, "ready %d\n", (int)getpid()) < 0)
		die("stdout");
	prctl(PR_SET_NAME, "hog");
	alarm(600);
	while (true)
		;
}

#endif
