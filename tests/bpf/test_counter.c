// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters, on programs whose numbers are known by design, against getrusage and the CPU clock of the program itself.
 *
 * The programs are this file, run again with a role as its arguments: a role tells what it counted itself through a pipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "probes/probe.h"

#define SLEEPS 500
/* A timer may fire before the thread is off its CPU, on a virtual one: then there is no switch. */
#define SLEEPS_LEAST (SLEEPS - SLEEPS / 20)
#define PAGES 2000
#define SPIN_MS 150
#define THREADS 3

/* What a role saw of itself, from main() to its end. */
struct told {
	uint64_t switches, faults, cpu_ns;
	pid_t tids[THREADS];
};

/* ---- the roles ---- */

static void spin(uint64_t ms)
{
	uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * NSEC_PER_MSEC;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

static void sleep_often(int times)
{
	struct timespec ts = { .tv_nsec = 100000 };

	for (int i = 0; i < times; i++)
		nanosleep(&ts, NULL);
}

static void touch_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = PAGES * page;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || madvise(at, len, MADV_NOHUGEPAGE))
		_exit(3);
	for (size_t i = 0; i < PAGES; i++)
		at[i * page] = 1;
}

static void *sleeping_thread(void *arg)
{
	(void)arg;
	sleep_often(SLEEPS);
	return NULL;
}

/* A child process and threads of its own, SLEEPS each. */
static void make_family(void)
{
	pthread_t threads[THREADS];
	pid_t pid = fork();

	if (!pid) {
		sleep_often(SLEEPS);
		_exit(0);
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, sleeping_thread, NULL))
			_exit(3);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	waitpid(pid, NULL, 0);
}

static void add_usage(struct told *t, int sign)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	t->switches += sign * (u.ru_nvcsw + u.ru_nivcsw);
	t->faults += sign * (u.ru_minflt + u.ru_majflt);
	t->cpu_ns += sign * (int64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int play(const char *role, int out)
{
	struct told t = {};

	add_usage(&t, -1);
	if (!strcmp(role, "sleep"))
		sleep_often(SLEEPS);
	else if (!strcmp(role, "touch"))
		touch_pages();
	else if (!strcmp(role, "spin"))
		spin(SPIN_MS);
	else if (!strcmp(role, "family"))
		make_family();
	add_usage(&t, 1);
	return write(out, &t, sizeof(t)) == sizeof(t) ? 0 : 3;
}

/* ---- recording them ---- */

static json_t *record(struct probe_env *env, void (*meanwhile)(void *), void *arg)
{
	const struct probe *p = probe_by_name("counter_task");
	json_t *meta = json_object();
	void *state = NULL;
	struct err err = {};

	env->bufs_fd = -1;
	assert_non_null(p);
	assert_int_equal(p->open(env, &state, &err), 0);
	assert_int_equal(p->start(state, &err), 0);
	meanwhile(arg);
	assert_int_equal(p->stop(state, &err), 0);
	assert_int_equal(p->meta(state, meta), 0);
	p->close(state);
	return meta;
}

static const json_t *counter(const json_t *meta, const char *name)
{
	return json_object_get(json_object_get(meta, "counters"), name);
}

static const char *unavailable(const json_t *meta, const char *name)
{
	return json_string_value(json_object_get(counter(meta, name), "unavailable"));
}

static uint64_t value(const json_t *meta, const char *name)
{
	const json_t *v = json_object_get(counter(meta, name), "value");

	if (!json_is_integer(v))
		fail_msg("%s: %s", name, unavailable(meta, name));
	return json_integer_value(v);
}

/* A role, held before its exec. */
struct held {
	pid_t pid;
	int go, told;
	struct told t;
};

static struct held hold(const char *role, uint64_t spin_before_ms)
{
	int go[2], told[2];
	struct held h;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	h = (struct held){ .pid = fork(), .go = go[1], .told = told[0] };
	if (!h.pid) {
		char none, fd[16];

		close(go[1]);
		if (read(go[0], &none, 1) != 1)
			_exit(3);
		spin(spin_before_ms);
		fcntl(told[1], F_SETFD, 0);
		snprintf(fd, sizeof(fd), "%d", told[1]);
		execl("/proc/self/exe", "test_counter", role, fd, NULL);
		_exit(3);
	}
	close(go[0]);
	close(told[1]);
	return h;
}

static void let_go(void *arg)
{
	struct held *h = arg;
	int status;

	assert_int_equal(write(h->go, "g", 1), 1);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(h->told, &h->t, sizeof(h->t)), sizeof(h->t));
	close(h->go);
	close(h->told);
}

static json_t *record_role(const char *role, uint64_t spin_before_ms, struct told *ret_told)
{
	struct held h = hold(role, spin_before_ms);
	struct probe_env env = { .mode = PROBE_COMMAND, .command = h.pid };
	json_t *meta = record(&env, let_go, &h);

	*ret_told = h.t;
	return meta;
}

static int paranoid_level(void)
{
	char *text;
	struct err err;
	int level;

	if (file_read_text("/proc/sys/kernel/perf_event_paranoid", &text, &err))
		return 2;
	level = atoi(text);
	free(text);
	return level;
}

/* Switches and migrations happen in the kernel. */
static void need_kernel_view(void)
{
	if (geteuid() && paranoid_level() > 1) {
		print_message("SKIP: counting switches needs root (perf_event_paranoid > 1)\n");
		skip();
	}
}

/* ---- the tests ---- */

static void test_switches(void **unused)
{
	struct told t;
	json_t *meta;
	uint64_t n;

	(void)unused;
	need_kernel_view();
	meta = record_role("sleep", 0, &t);
	n = value(meta, "context-switches");
	assert_true(t.switches >= SLEEPS_LEAST);
	/* beyond main(): the rest of exec and exit, with the last switch of all */
	assert_in_range(n, t.switches, t.switches + 20);
	json_decref(meta);
}

/* The same program without touching pages gives what starting and ending it takes. */
static void test_page_faults(void **unused)
{
	struct told t, none;
	json_t *touching, *idle;

	(void)unused;
	idle = record_role("nothing", 0, &none);
	touching = record_role("touch", 0, &t);
	assert_true(t.faults >= PAGES);
	assert_true(value(touching, "page-faults") >= t.faults);
	assert_in_range(value(touching, "page-faults") - value(idle, "page-faults"),
			PAGES - PAGES / 4, PAGES + PAGES / 4);
	json_decref(touching);
	json_decref(idle);
}

/* Beside what the program says of itself: what starting and ending it takes, which is long where a processor is emulated. */
static void test_cpu_time(void **unused)
{
	struct told t, none;
	json_t *meta, *idle;
	uint64_t more;

	(void)unused;
	idle = record_role("nothing", 0, &none);
	meta = record_role("spin", 0, &t);
	more = 2 * value(idle, "task-clock") + 10 * NSEC_PER_MSEC;
	json_decref(idle);
	assert_in_range(value(meta, "task-clock"), t.cpu_ns, t.cpu_ns + more);
	assert_string_equal(json_string_value(json_object_get(counter(meta, "task-clock"), "unit")),
			    "ns");
	if (unavailable(meta, "cycles"))
		assert_non_null(strstr(unavailable(meta, "cycles"), "no hardware counters"));
	else
		assert_true(value(meta, "cycles") > SPIN_MS * 10000);
	json_decref(meta);
}

/* What the held child does before its exec is not the command's. */
static void test_counts_from_exec(void **unused)
{
	struct told t;
	json_t *meta;

	(void)unused;
	meta = record_role("nothing", SPIN_MS, &t);
	assert_in_range(value(meta, "task-clock"), 1, SPIN_MS / 2 * NSEC_PER_MSEC);
	json_decref(meta);
}

static void test_inherits(void **unused)
{
	struct told t;
	json_t *meta;

	(void)unused;
	need_kernel_view();
	meta = record_role("family", 0, &t);
	/* t does not have the child's, which are the fourth part */
	assert_in_range(value(meta, "context-switches"), t.switches + SLEEPS_LEAST,
			t.switches + 2 * SLEEPS);
	assert_true(t.switches >= THREADS * SLEEPS_LEAST);
	json_decref(meta);
}

/* Threads of this process, which wait until they are let go. */
struct crew {
	pthread_t threads[THREADS];
	pid_t tids[THREADS];
	pthread_barrier_t ready, begin;
};

static struct crew crew;

static void *crew_thread(void *arg)
{
	crew.tids[(intptr_t)arg] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&crew.ready);
	pthread_barrier_wait(&crew.begin);
	sleep_often(SLEEPS);
	return NULL;
}

static void crew_start(void)
{
	pthread_barrier_init(&crew.ready, NULL, THREADS + 1);
	pthread_barrier_init(&crew.begin, NULL, THREADS + 1);
	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&crew.threads[i], NULL, crew_thread, (void *)i), 0);
	pthread_barrier_wait(&crew.ready);
}

static void crew_work(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&crew.begin);
	for (int i = 0; i < THREADS; i++)
		pthread_join(crew.threads[i], NULL);
}

static void test_running_process(void **unused)
{
	pid_t self = getpid();
	struct probe_env env = { .mode = PROBE_PIDS, .ids = &self, .nr_ids = 1 };
	json_t *meta;

	(void)unused;
	need_kernel_view();
	crew_start();
	meta = record(&env, crew_work, NULL);
	assert_in_range(value(meta, "context-switches"), THREADS * SLEEPS_LEAST,
			(THREADS + 1) * SLEEPS);
	json_decref(meta);
}

static void test_one_thread(void **unused)
{
	struct probe_env env = { .mode = PROBE_TIDS, .ids = crew.tids, .nr_ids = 1 };
	json_t *meta;

	(void)unused;
	need_kernel_view();
	crew_start();
	meta = record(&env, crew_work, NULL);
	assert_in_range(value(meta, "context-switches"), SLEEPS_LEAST, 2 * SLEEPS);
	json_decref(meta);
}

static void sleep_here(void *unused)
{
	(void)unused;
	sleep_often(SLEEPS);
}

static void test_machine(void **unused)
{
	struct probe_env env = { .mode = PROBE_ALL };
	json_t *meta;

	(void)unused;
	if (geteuid()) {
		print_message("SKIP: counting on whole CPUs needs root\n");
		skip();
	}
	meta = record(&env, sleep_here, NULL);
	assert_true(value(meta, "context-switches") >= SLEEPS_LEAST);
	assert_non_null(strstr(unavailable(meta, "task-clock"), "idle"));
	json_decref(meta);
}

/* ---- file descriptors, and things taken away ---- */

static size_t count_fds(bool *ret_all_cloexec)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	size_t n = 0;

	*ret_all_cloexec = true;
	while ((e = readdir(dir))) {
		int fd = atoi(e->d_name);

		n++;
		if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			*ret_all_cloexec = false;
	}
	closedir(dir);
	return n;
}

static void look_at_fds(void *arg)
{
	bool all_cloexec, were_cloexec = *(bool *)arg;

	assert_true(count_fds(&all_cloexec) >= 5);
	assert_true(all_cloexec || !were_cloexec);
}

static void test_fds(void **unused)
{
	pid_t self = getpid();
	struct probe_env env = { .mode = PROBE_PIDS, .ids = &self, .nr_ids = 1 };
	bool all_cloexec;
	size_t before = count_fds(&all_cloexec);

	(void)unused;
	json_decref(record(&env, look_at_fds, &all_cloexec));
	assert_int_equal(count_fds(&all_cloexec), before);
}

static void do_nothing(void *unused)
{
	(void)unused;
}

static void test_nobody_there(void **unused)
{
	pid_t pid = fork();
	struct probe_env env = { .ids = &pid, .nr_ids = 1 };

	(void)unused;
	if (!pid)
		_exit(0);
	/* first a zombie, then nothing */
	for (int i = 0; i < 4; i++) {
		json_t *meta;

		env.mode = i & 1 ? PROBE_TIDS : PROBE_PIDS;
		if (i == 0)
			waitid(P_PID, (id_t)pid, &(siginfo_t){}, WEXITED | WNOWAIT);
		if (i == 2)
			waitpid(pid, NULL, 0);
		meta = record(&env, do_nothing, NULL);
		assert_non_null(strstr(unavailable(meta, "task-clock"), "no thread"));
		json_decref(meta);
	}
}

/* The exit status of the child is the number of the first thing that is wrong. */
static int without_privilege(void)
{
	pid_t self;
	struct probe_env env = { .mode = PROBE_TIDS, .ids = &self, .nr_ids = 1 };
	json_t *meta;

	if (setuid(65534))
		return 1;
	self = getpid();
	meta = record(&env, sleep_here, NULL);
	if (!json_object_get(counter(meta, "task-clock"), "value"))
		return 2;
	if (json_object_get(counter(meta, "task-clock"), "user_only"))
		return 3; /* the clock has all of it */
	if (!unavailable(meta, "context-switches") || !unavailable(meta, "cpu-migrations"))
		return 4; /* it would read 0 */
	if (!strstr(unavailable(meta, "context-switches"), "perf_event_paranoid=2"))
		return 5;
	if (!json_is_true(json_object_get(counter(meta, "page-faults"), "user_only")))
		return 6;
	return 0;
}

static void test_without_privilege(void **unused)
{
	pid_t pid;
	int status;

	(void)unused;
	if (geteuid() || paranoid_level() != 2) {
		print_message("SKIP: needs root, to give it up, and perf_event_paranoid=2\n");
		skip();
	}
	pid = fork();
	if (!pid)
		_exit(without_privilege());
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void test_check(void **unused)
{
	struct err why = {};

	(void)unused;
	assert_int_equal(probe_by_name("counter_task")->check(&why), 0);
	assert_int_equal(why.code, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_page_faults),
		cmocka_unit_test(test_cpu_time),
		cmocka_unit_test(test_counts_from_exec),
		cmocka_unit_test(test_inherits),
		cmocka_unit_test(test_running_process),
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_fds),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_without_privilege),
	};

	if (argc == 3)
		_exit(play(argv[1], atoi(argv[2])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
