// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs whose answer is known by design: known WORKLOAD [NUMBER...].
 *
 * Every thread appends a line of JSON to the file named by $KNOWN_FACTS: who it is, what it did, and the kernel's own counts of
 * it just then (getrusage, /proc/thread-self/schedstat). tests/e2e/oracle.py compares these with the report.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MSEC 1000000ull

static int facts_fd = -1;
static const char *self_path;

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static pid_t gettid_(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* One line; `fmt` adds members, e.g. ",\"count\":%d". */
__attribute__((format(printf, 2, 3))) static void fact(const char *role, const char *fmt, ...)
{
	unsigned long long exec = 0, delay = 0, slices = 0;
	char line[1024], more[512];
	struct rusage ru;
	FILE *f;
	va_list ap;
	int n;

	if (facts_fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	getrusage(RUSAGE_THREAD, &ru);
	f = fopen("/proc/thread-self/schedstat", "r");
	if (!f || fscanf(f, "%llu %llu %llu", &exec, &delay, &slices) != 3)
		exec = 0;
	if (f)
		fclose(f);
	n = snprintf(line, sizeof(line),
		     "{\"role\":\"%s\",\"pid\":%d,\"tid\":%d,\"voluntary\":%ld,\"involuntary\":%ld,"
		     "\"exec_ns\":%llu,\"delay_ns\":%llu,\"cpu_ns\":%llu,\"now_ns\":%llu%s}\n",
		     role, (int)getpid(), (int)gettid_(), ru.ru_nvcsw, ru.ru_nivcsw, exec, delay,
		     (unsigned long long)now(CLOCK_THREAD_CPUTIME_ID),
		     (unsigned long long)now(CLOCK_MONOTONIC), more);
	if (write(facts_fd, line, (size_t)n) != n)
		die("facts");
}

static void burn(uint64_t ns)
{
	uint64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void burn_until(uint64_t moment)
{
	while (now(CLOCK_MONOTONIC) < moment)
		;
}

static void rest(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull) };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0) { /* the first that is allowed */
		if (sched_getaffinity(0, sizeof(set), &set))
			die("sched_getaffinity");
		for (cpu = 0; !CPU_ISSET(cpu, &set); cpu++)
			;
	}
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static pid_t child_of(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG,
		      SIGKILL); /* nothing is left behind when a test kills its parent */
	return pid;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		die("pthread_create");
	return t;
}

static bool asleep(pid_t tid)
{
	char path[64], line[512], *state = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (!f)
		return true; /* it has ended already */
	if (fgets(line, sizeof(line), f))
		state = strrchr(line, ')');
	fclose(f);
	return state && state[2] == 'S';
}

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
static pthread_barrier_t barrier;

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
	alarm(60);
	while (true)
		;
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
