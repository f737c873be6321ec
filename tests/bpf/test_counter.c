// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters, on programs whose numbers are known by design, against getrusage and the CPU clock of the program itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/bpf/counter_role.h"
#include "tests/bpf/own_fds.h"

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
	meta = counter_record_role("sleep", 0, &t);
	n = counter_value(meta, "context-switches");
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
	idle = counter_record_role("nothing", 0, &none);
	touching = counter_record_role("touch", 0, &t);
	assert_true(t.faults >= PAGES);
	assert_true(counter_value(touching, "page-faults") >= t.faults);
	assert_in_range(counter_value(touching, "page-faults") - counter_value(idle, "page-faults"),
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
	idle = counter_record_role("nothing", 0, &none);
	meta = counter_record_role("spin", 0, &t);
	more = 2 * counter_value(idle, "task-clock") + 10 * NSEC_PER_MSEC;
	json_decref(idle);
	assert_in_range(counter_value(meta, "task-clock"), t.cpu_ns, t.cpu_ns + more);
	assert_string_equal(
		json_string_value(json_object_get(counter_of(meta, "task-clock"), "unit")), "ns");
	if (counter_unavailable(meta, "cycles"))
		assert_non_null(
			strstr(counter_unavailable(meta, "cycles"), "no hardware counters"));
	else
		assert_true(counter_value(meta, "cycles") > SPIN_MS * 10000);
	json_decref(meta);
}

/* What the held child does before its exec is not the command's. */
static void test_counts_from_exec(void **unused)
{
	struct told t;
	json_t *idle, *meta;
	uint64_t start;

	(void)unused;
	idle = counter_record_role("nothing", 0,
				   &t); /* what its start takes: much, on an emulated machine */
	start = counter_value(idle, "task-clock");
	json_decref(idle);
	meta = counter_record_role("nothing", SPIN_MS, &t);
	assert_in_range(counter_value(meta, "task-clock"), 1,
			2 * start + SPIN_MS / 2 * NSEC_PER_MSEC);
	json_decref(meta);
}

static void test_inherits(void **unused)
{
	struct told t;
	json_t *meta;

	(void)unused;
	need_kernel_view();
	meta = counter_record_role("family", 0, &t);
	/* t does not have the child's, which are the fourth part */
	assert_in_range(counter_value(meta, "context-switches"), t.switches + SLEEPS_LEAST,
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
	counter_sleep_often(SLEEPS);
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
	meta = counter_record(&env, crew_work, NULL);
	assert_in_range(counter_value(meta, "context-switches"), THREADS * SLEEPS_LEAST,
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
	meta = counter_record(&env, crew_work, NULL);
	assert_in_range(counter_value(meta, "context-switches"), SLEEPS_LEAST, 2 * SLEEPS);
	json_decref(meta);
}

static void sleep_here(void *unused)
{
	(void)unused;
	counter_sleep_often(SLEEPS);
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
	meta = counter_record(&env, sleep_here, NULL);
	assert_true(counter_value(meta, "context-switches") >= SLEEPS_LEAST);
	assert_non_null(strstr(counter_unavailable(meta, "task-clock"), "idle"));
	json_decref(meta);
}

/* ---- file descriptors, and things taken away ---- */

static void look_at_fds(void *arg)
{
	bool all_cloexec, were_cloexec = *(bool *)arg;

	assert_true(own_fds_count(&all_cloexec) >= 5);
	assert_true(all_cloexec || !were_cloexec);
}

static void test_fds(void **unused)
{
	pid_t self = getpid();
	struct probe_env env = { .mode = PROBE_PIDS, .ids = &self, .nr_ids = 1 };
	bool all_cloexec;
	size_t before = own_fds_count(&all_cloexec);

	(void)unused;
	json_decref(counter_record(&env, look_at_fds, &all_cloexec));
	assert_int_equal(own_fds_count(&all_cloexec), before);
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
		meta = counter_record(&env, do_nothing, NULL);
		assert_non_null(strstr(counter_unavailable(meta, "task-clock"), "no thread"));
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
	meta = counter_record(&env, sleep_here, NULL);
	if (!json_object_get(counter_of(meta, "task-clock"), "value"))
		return 2;
	if (json_object_get(counter_of(meta, "task-clock"), "user_only"))
		return 3; /* the clock has all of it */
	if (!counter_unavailable(meta, "context-switches") ||
	    !counter_unavailable(meta, "cpu-migrations"))
		return 4; /* it would read 0 */
	if (!strstr(counter_unavailable(meta, "context-switches"), "perf_event_paranoid=2"))
		return 5;
	if (!json_is_true(json_object_get(counter_of(meta, "page-faults"), "user_only")))
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
		_exit(counter_play(argv[1], atoi(argv[2])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
