// SPDX-License-Identifier: GPL-2.0-only
/* Programs that count what they do: see counter_role.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bpf/counter_role.h"

static void spin(uint64_t ms)
{
	uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * NSEC_PER_MSEC;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

void counter_sleep_often(int times)
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
	counter_sleep_often(SLEEPS);
	return NULL;
}

/* A child process and threads of its own, SLEEPS each. */
static void make_family(void)
{
	pthread_t threads[THREADS];
	pid_t pid = fork();

	if (!pid) {
		counter_sleep_often(SLEEPS);
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

int counter_play(const char *role, int out)
{
	struct told t = {};

	add_usage(&t, -1);
	if (!strcmp(role, "sleep"))
		counter_sleep_often(SLEEPS);
	else if (!strcmp(role, "touch"))
		touch_pages();
	else if (!strcmp(role, "spin"))
		spin(SPIN_MS);
	else if (!strcmp(role, "family"))
		make_family();
	add_usage(&t, 1);
	return write(out, &t, sizeof(t)) == sizeof(t) ? 0 : 3;
}

json_t *counter_record(struct probe_env *env, void (*meanwhile)(void *), void *arg)
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

const json_t *counter_of(const json_t *meta, const char *name)
{
	return json_object_get(json_object_get(meta, "counters"), name);
}

const char *counter_unavailable(const json_t *meta, const char *name)
{
	return json_string_value(json_object_get(counter_of(meta, name), "unavailable"));
}

uint64_t counter_value(const json_t *meta, const char *name)
{
	const json_t *v = json_object_get(counter_of(meta, name), "value");

	if (!json_is_integer(v))
		fail_msg("%s: %s", name, counter_unavailable(meta, name));
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

json_t *counter_record_role(const char *role, uint64_t spin_before_ms, struct told *ret_told)
{
	struct held h = hold(role, spin_before_ms);
	struct probe_env env = { .mode = PROBE_COMMAND, .command = h.pid };
	json_t *meta = counter_record(&env, let_go, &h);

	*ret_told = h.t;
	return meta;
}
