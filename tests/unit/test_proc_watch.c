// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watch of /proc, on processes whose numbers are known: against wait4's rusage of a zombie, whose numbers are final, and
 * against trees built here. The source itself is included, to try both ways of finding children.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "record/proc_watch.c"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NSEC_PER_MSEC };

	nanosleep(&ts, NULL);
}

static void spin_ms(uint64_t ms)
{
	uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ms * NSEC_PER_MSEC;

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static struct proc_watch *watch(const pid_t *ids, size_t nr, bool only_threads)
{
	struct proc_watch *w = NULL;
	struct err err = {};

	assert_int_equal(proc_watch_new(ids, nr, only_threads, monotonic_ns(), &w, &err), 0);
	return w;
}

/* A look that is not refused for its cost. */
static void look(struct proc_watch *w)
{
	uint32_t before = w->look;

	w->credit_ns = CREDIT_MAX_NS;
	proc_watch_look(w);
	assert_int_equal(w->look, before + 1);
}

/* The entry of a tid, which must be exactly one. */
static const json_t *entry(const json_t *list, pid_t tid)
{
	const json_t *found = NULL, *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
		if (json_integer_value(json_object_get(one, "tid")) == tid) {
			assert_null(found);
			found = one;
		}
	assert_non_null(found);
	return found;
}

static uint64_t number(const json_t *of, const char *key)
{
	assert_true(json_is_integer(json_object_get(of, key)));
	return json_integer_value(json_object_get(of, key));
}

/* ---- one process ---- */

static void await(int fd)
{
	char none;

	if (read(fd, &none, 1) != 1)
		_exit(3);
}

/*
 * A child that works once it is told to. It ends, and its numbers are final while nobody has waited for it. They are those
 * of wait4, which has them from the same place but in microseconds.
 */
static void test_one_process(void **unused)
{
	int go[2], status;
	struct rusage usage;
	const json_t *e, *first;
	struct proc_watch *w;
	uint64_t cpu_us;
	json_t *list;
	pid_t pid;

	(void)unused;
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		await(go[0]);
		spin_ms(30);
		for (int i = 0; i < 50; i++)
			sleep_ms(1);
		spin_ms(30);
		_exit(0);
	}
	sleep_ms(20);
	w = watch(&pid, 1, false);
	assert_int_equal(write(go[1], "g", 1), 1);
	while (waitid(P_PID, (id_t)pid, &(siginfo_t){}, WEXITED | WNOWAIT | WNOHANG) ||
	       !w->threads[0].zombie) {
		sleep_ms(4);
		look(w);
	}
	look(w); /* after its very last switch */
	look(w);
	list = proc_watch_threads(w);
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	e = entry(list, pid);
	first = json_object_get(e, "first");
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(number(e, "tgid"), pid);
	assert_int_equal(number(e, "voluntary") + number(first, "voluntary"), usage.ru_nvcsw);
	assert_int_equal(number(e, "involuntary") + number(first, "involuntary"), usage.ru_nivcsw);
	cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ull +
		 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	assert_in_range((number(e, "exec_ns") + number(first, "exec_ns")) / 1000, cpu_us - 2,
			cpu_us + 2);
	assert_in_range(number(e, "voluntary"), 50, 60);
	assert_in_range(number(e, "exec_ns") / NSEC_PER_MSEC, 60, 80);
	/* it lived for as long as it ran, waited and slept */
	assert_true(number(e, "end_ns") - number(e, "start_ns") >=
		    number(e, "exec_ns") + number(e, "delay_ns") + 50 * NSEC_PER_MSEC);
	json_decref(list);
	proc_watch_free(w);
	close(go[0]);
	close(go[1]);
}

/* ---- a tree ---- */

/* What the processes of a tree tell, in memory that they share. */
struct tree {
	pid_t leader, thread, child, child_thread, grandchild;
	int end; /* a pipe: closed, all end */
};

static struct tree *tree;

static void *wait_for_end(void *ret_tid)
{
	char none;

	prctl(PR_SET_NAME, "a thread");
	__atomic_store_n((pid_t *)ret_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (read(tree->end, &none, 1) > 0)
		;
	return NULL;
}

static pid_t spawn(void (*run)(void))
{
	pid_t pid = fork();

	if (!pid) {
		run();
		_exit(0);
	}
	return pid;
}

static void grandchild(void)
{
	pid_t self;

	wait_for_end(&self);
}

static void child(void)
{
	pthread_t t;

	pthread_create(&t, NULL, wait_for_end, &tree->child_thread);
	tree->grandchild = spawn(grandchild);
	pthread_join(t, NULL);
}

static void parent(void)
{
	pthread_t t;

	pthread_create(&t, NULL, wait_for_end, &tree->thread);
	tree->child = spawn(child);
	pthread_join(t, NULL);
	waitpid(tree->child, NULL, 0);
}

static void start_tree(int ret_end[2])
{
	pid_t pid;

	assert_int_equal(pipe(ret_end), 0);
	memset(tree, 0, sizeof(*tree));
	tree->end = ret_end[0];
	pid = fork();
	if (!pid) {
		close(ret_end[1]);
		parent();
		_exit(0);
	}
	tree->leader = pid;
	while (!__atomic_load_n(&tree->grandchild, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&tree->child_thread, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&tree->thread, __ATOMIC_SEQ_CST))
		sleep_ms(1);
	sleep_ms(10);
}

/* A tree of three processes and two more threads, found at the first look (grow == false), or as it grows. */
static void check_tree(bool scan, bool grow)
{
	pid_t self = getpid();
	struct proc_watch *w = NULL;
	json_t *list;
	int end[2];

	if (grow)
		w = watch(&self, 1, false);
	start_tree(end);
	if (!grow)
		w = watch(&tree->leader, 1, false);
	w->scan = scan;
	/* again the first look, in this way of looking */
	if (!grow && scan) {
		w->nr = w->look = 0;
		memset(w->heads, 0, sizeof(w->heads));
	}
	look(w);
	look(w);
	list = proc_watch_threads(w);
	assert_int_equal(json_array_size(list), grow ? 6 : 5);
	assert_int_equal(number(entry(list, tree->leader), "tgid"), tree->leader);
	assert_int_equal(number(entry(list, tree->thread), "tgid"), tree->leader);
	assert_int_equal(number(entry(list, tree->child), "tgid"), tree->child);
	assert_int_equal(number(entry(list, tree->child_thread), "tgid"), tree->child);
	assert_int_equal(number(entry(list, tree->grandchild), "tgid"), tree->grandchild);
	assert_string_equal(
		json_string_value(json_object_get(entry(list, tree->child_thread), "comm")),
		"a thread");
	/* who was born meanwhile has no history; who was there has one */
	if (grow)
		assert_int_equal(
			number(json_object_get(entry(list, tree->child), "first"), "exec_ns"), 0);
	else
		assert_true(number(json_object_get(entry(list, tree->child), "first"), "exec_ns") >
			    0);
	json_decref(list);
	close(end[1]);
	waitpid(tree->leader, NULL, 0);
	close(end[0]);
	look(w);
	assert_int_equal(w->nr, grow ? 6 : 5);
	proc_watch_free(w);
}

static void test_tree(void **unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++)
		check_tree(i & 1, i & 2);
}

/* The child's parent ends: it is still followed. */
static void test_orphan(void **unused)
{
	struct proc_watch *w;
	json_t *list;
	int end[2];

	(void)unused;
	start_tree(end);
	w = watch(&tree->leader, 1, false);
	kill(tree->leader, SIGKILL);
	waitpid(tree->leader, NULL, 0);
	for (int i = 0; i < 3; i++) {
		sleep_ms(5);
		look(w);
	}
	list = proc_watch_threads(w);
	assert_int_equal(json_array_size(list), 5);
	assert_true(number(entry(list, tree->child), "end_ns") >
		    number(entry(list, tree->leader), "end_ns") + 5 * NSEC_PER_MSEC);
	json_decref(list);
	proc_watch_free(w);
	close(end[0]);
	close(end[1]);
}

/* ---- threads ---- */

static pid_t spinner_tid;

static void *spinner(void *ms)
{
	__atomic_store_n(&spinner_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	spin_ms((uintptr_t)ms);
	return NULL;
}

/* A thread that is born and ends while it is watched: its life and its time, within a look's interval. */
static void test_born_and_gone(void **unused)
{
	pid_t self = getpid();
	struct proc_watch *w = watch(&self, 1, false);
	uint64_t born_ns, gone_ns;
	const json_t *e;
	json_t *list;
	pthread_t t;

	(void)unused;
	sleep_ms(30);
	look(w);
	born_ns = monotonic_ns() - w->epoch_ns;
	pthread_create(&t, NULL, spinner, (void *)60);
	for (int i = 0; i < 300 && pthread_tryjoin_np(t, NULL); i++) {
		sleep_ms(2);
		look(w);
	}
	gone_ns = monotonic_ns() - w->epoch_ns;
	sleep_ms(20);
	look(w);
	list = proc_watch_threads(w);
	e = entry(list, spinner_tid);
	assert_int_equal(number(json_object_get(e, "first"), "exec_ns"), 0);
	/* a running thread's time is up to a tick old, and a look comes every 2 ms or, when the CPUs are busy, later */
	assert_in_range(number(e, "exec_ns"), 10 * NSEC_PER_MSEC, 65 * NSEC_PER_MSEC);
	assert_in_range(number(e, "start_ns"), born_ns - 3 * NSEC_PER_MSEC,
			born_ns + 100 * NSEC_PER_MSEC);
	assert_in_range(number(e, "end_ns"), number(e, "start_ns") + 10 * NSEC_PER_MSEC, gone_ns);
	json_decref(list);
	proc_watch_free(w);
}

static void test_only_threads(void **unused)
{
	struct proc_watch *w;
	json_t *list;
	pthread_t t;

	(void)unused;
	spinner_tid = 0;
	pthread_create(&t, NULL, spinner, (void *)50);
	while (!__atomic_load_n(&spinner_tid, __ATOMIC_SEQ_CST))
		sleep_ms(1);
	w = watch(&spinner_tid, 1, true);
	sleep_ms(30);
	look(w);
	pthread_join(t, NULL);
	look(w);
	list = proc_watch_threads(w);
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(number(entry(list, spinner_tid), "tgid"), getpid());
	assert_in_range(number(entry(list, spinner_tid), "exec_ns"), 1, 60 * NSEC_PER_MSEC);
	json_decref(list);
	proc_watch_free(w);
}

/* exec keeps the process and changes its name; a name may be anything but is valid JSON. */
static void test_names(void **unused)
{
	struct proc_watch *w;
	int go[2];
	json_t *list;
	pid_t pid;

	(void)unused;
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, "\xff\x1b) Z (");
		await(go[0]);
		execl("/bin/sleep", "sleep", "100", NULL);
		_exit(3);
	}
	sleep_ms(20);
	w = watch(&pid, 1, false);
	list = proc_watch_threads(w);
	assert_string_equal(json_string_value(json_object_get(entry(list, pid), "comm")),
			    "?\x1b) Z (");
	json_decref(list);
	assert_int_equal(write(go[1], "g", 1), 1);
	sleep_ms(50);
	look(w);
	list = proc_watch_threads(w);
	assert_string_equal(json_string_value(json_object_get(entry(list, pid), "comm")), "sleep");
	json_decref(list);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	proc_watch_free(w);
	close(go[0]);
	close(go[1]);
}

/* ---- its cost ---- */

/* Looked at without a pause, many threads still cost a twentieth of a CPU and what was saved up. */
static void test_bounded(void **unused)
{
	static pthread_t threads[200];
	static pid_t tids[LEN(threads)];
	pid_t self = getpid();
	struct proc_watch *w;
	uint64_t begin, wall_ns, cpu_ns = 0;
	int end[2];

	(void)unused;
	assert_int_equal(pipe(end), 0);
	tree->end = end[0];
	for (size_t i = 0; i < LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_end, &tids[i]), 0);
	w = watch(&self, 1, false);
	begin = monotonic_ns();
	do {
		uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		uint32_t looks = w->look;

		proc_watch_look(w);
		if (w->look != looks)
			cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		wall_ns = monotonic_ns() - begin;
	} while (wall_ns < 500 * NSEC_PER_MSEC);
	assert_int_equal(w->nr, LEN(threads) + 1);
	assert_true(w->look > 10);
	/* one look more may have been begun */
	assert_true(cpu_ns < wall_ns / COST_SHARE + CREDIT_MAX_NS + cpu_ns / w->look * 3);
	close(end[1]);
	for (size_t i = 0; i < LEN(threads); i++)
		pthread_join(threads[i], NULL);
	close(end[0]);
	proc_watch_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_process),  cmocka_unit_test(test_tree),
		cmocka_unit_test(test_orphan),       cmocka_unit_test(test_born_and_gone),
		cmocka_unit_test(test_only_threads), cmocka_unit_test(test_names),
		cmocka_unit_test(test_bounded),
	};

	tree = mmap(NULL, sizeof(*tree), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tree == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
