// SPDX-License-Identifier: GPL-2.0-only
/* The fixture of the tests that record: see one_trace.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/bpf/one_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/probe.h"

#define TRIES 3

static char directory[] = "/tmp/whyscale-bpf-XXXXXX";
char one_trace[64], one_facts[64];

int one_trace_setup(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(one_trace, sizeof(one_trace), "%s/trace", directory);
	snprintf(one_facts, sizeof(one_facts), "%s/facts", directory);
	return setenv("KNOWN_FACTS", one_facts, 1);
}

int one_trace_teardown(void **state)
{
	char old[80];

	(void)state;
	snprintf(old, sizeof(old), "%s.old", one_trace);
	unlink(old);
	unlink(one_trace);
	unlink(one_facts);
	return rmdir(directory);
}

char *one_prog(const char *name)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	assert_true(n > 0);
	path[n] = '\0';
	sprintf(strrchr(path, '/'), "/progs/%.40s", name);
	return path;
}

void need_bpf(void)
{
	const struct probe *sched = probe_by_name("sched");
	struct err why = {};

	assert_non_null(sched);
	if (sched->check(&why)) {
		print_message("SKIP: %s\n", why.msg);
		skip();
	}
}

struct record_result one_record(struct record_options opts)
{
	struct record_result result;
	struct err err = {};

	opts.output = one_trace;
	opts.stdout_fd = -1;
	unlink(one_facts);
	if (record_run(&opts, &result, &err))
		fail_msg("record_run: %s", err.msg);
	assert_true(result.bpf);
	return result;
}

struct record_result one_command(char *const *argv)
{
	struct record_result result =
		one_record((struct record_options){ .what = RECORD_COMMAND, .argv = argv });

	assert_int_equal(result.exit_status, 0);
	return result;
}

void one_whole_command(char *const *argv)
{
	need_bpf();
	for (int i = 0; i < TRIES; i++)
		if (!one_command(argv).lost)
			return;
	print_message("SKIP: records were lost %d times\n", TRIES);
	skip();
}

int64_t one_number(const json_t *fact, const char *key)
{
	const json_t *value = json_object_get(fact, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

struct loaded *one_load(void)
{
	struct loaded *l = NULL;
	struct err err = {};

	if (load_trace(one_trace, &l, &err))
		fail_msg("load_trace: %s", err.msg);
	assert_false(l->state.damaged);
	assert_false(l->state.incomplete);
	assert_int_equal(ledger_malformed(l->ledger), 0);
	return l;
}

const struct thread *one_thread(const struct loaded *l, uint32_t tid)
{
	for (size_t i = 0; i < l->nr_threads; i++)
		if (l->threads[i]->tid == tid)
			return l->threads[i];
	fail_msg("thread %u is not in the trace", tid);
	return NULL;
}

pid_t one_burner(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	alarm(20);
	while (true)
		;
}
