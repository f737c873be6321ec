// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings probe on programs that map, exec and fork: what it tells must lead from each address to what /proc/PID/maps says is
 * there, and to the build id that readelf finds in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "record/record.h"
#include "tests/bpf/maps_role.h"
#include "tests/bpf/own_fds.h"
#include "trace/reader.h"

static const struct probe *probe(void)
{
	return probe_by_name("maps");
}

static void need_root(void)
{
	if (!geteuid())
		return;
	print_message("SKIP: watching all processes needs root\n");
	skip();
}

/* ---- the tests ---- */

static unsigned int count_execs(const char *role)
{
	unsigned int n = 0;

	while ((role = strstr(role, "exec:")) && ++n)
		role++;
	return n;
}

static void test_command(void **unused)
{
	static const char *const roles[] = {
		"nothing",           "library",           "file shared",          "hide",
		"exec:library file", "library file fork", "exec:exec:shared fork"
	};

	(void)unused;
	need_root();
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct maps_run r = maps_hold(roles[i]);
		uint32_t child = 0;
		json_t *meta;

		print_message("  %s\n", roles[i]);
		maps_open_probe(&r, PROBE_COMMAND, r.pid);
		maps_start_probe(&r);
		maps_let(r.go);
		maps_tick(&r);
		meta = maps_stop_probe(&r);
		assert_int_equal(maps_number(meta, "lost"), 0);
		assert_int_equal(maps_number(meta, "stored"), r.told.nr);
		json_decref(meta);
		if (strstr(roles[i], "fork"))
			child = maps_check(&r, true);
		assert_int_equal(maps_check(&r, true), r.pid);
		assert_int_equal(maps_count(&r.told, (uint32_t)r.pid, MAPPING_EXEC),
				 1 + count_execs(roles[i]));
		assert_int_equal(maps_count(&r.told, child, MAPPING_FORK), child != 0);
		maps_end(&r);
	}
}

/* A process that runs already: first what it has, then what it does. */
static void test_running(void **unused)
{
	struct maps_run r = maps_hold("wait library file shared hide fork");
	uint32_t child;

	(void)unused;
	need_root();
	maps_let(r.go);
	maps_check(&r, false);
	maps_open_probe(&r, PROBE_PIDS, 0);
	maps_start_probe(&r);
	assert_true(maps_count(&r.told, (uint32_t)r.pid, MAPPING_ADD) >= 5);
	assert_int_equal(r.told.all[r.told.nr - 1].time_ns, 0);
	maps_let(r.in);
	maps_tick(&r);
	json_decref(maps_stop_probe(&r));
	child = maps_check(&r, true);
	assert_int_equal(maps_check(&r, true), r.pid);
	assert_int_equal(maps_count(&r.told, child, MAPPING_FORK), 1);
	maps_end(&r);
}

/* One that maps, execs and forks while the recorder attaches to it. */
static void test_attached_meanwhile(void **unused)
{
	(void)unused;
	need_root();
	for (useconds_t i = 0; i < 20; i++) {
		struct maps_run r = maps_hold("wait exec:library file fork");

		maps_let(r.go);
		maps_check(&r, false);
		maps_open_probe(&r, PROBE_PIDS, 0);
		maps_let(r.in);
		usleep(i * 200);
		maps_start_probe(&r);
		maps_tick(&r);
		json_decref(maps_stop_probe(&r));
		maps_check(&r, true);
		assert_int_equal(maps_check(&r, true), r.pid);
		maps_end(&r);
	}
}

/* A thread's process is known; what it forks is not followed. */
static void test_thread(void **unused)
{
	struct maps_run r = maps_hold("wait library fork");
	uint32_t child;

	(void)unused;
	need_root();
	maps_let(r.go);
	maps_check(&r, false);
	maps_open_probe(&r, PROBE_TIDS, 0);
	maps_start_probe(&r);
	maps_let(r.in);
	maps_tick(&r);
	json_decref(maps_stop_probe(&r));
	child = maps_check(&r, false);
	assert_int_equal(maps_check(&r, true), r.pid);
	for (size_t i = 0; i < r.told.nr; i++)
		assert_int_not_equal(r.told.all[i].tgid, child);
	maps_end(&r);
}

static void test_machine(void **unused)
{
	struct maps_run r = maps_hold("wait library exec:file");

	(void)unused;
	need_root();
	maps_open_probe(&r, PROBE_ALL, 0);
	maps_start_probe(&r);
	maps_let(r.go);
	maps_check(&r, false);
	maps_let(r.in);
	maps_tick(&r);
	json_decref(maps_stop_probe(&r));
	assert_int_equal(maps_check(&r, true), r.pid);
	assert_int_equal(maps_count(&r.told, (uint32_t)getpid(), MAPPING_ADD), 0);
	assert_true(maps_count(&r.told, (uint32_t)getppid(), MAPPING_ADD) >= 3);
	maps_end(&r);
}

/* MAPS_FLOOD mappings at one place are told once, beside what was there before. */
static void test_flood(void **unused)
{
	struct maps_run r = maps_hold("anonymous-flood library");
	size_t before;

	(void)unused;
	need_root();
	maps_open_probe(&r, PROBE_COMMAND, r.pid);
	maps_start_probe(&r);
	before = r.told.nr;
	maps_let(r.go);
	maps_tick(&r);
	json_decref(maps_stop_probe(&r));
	maps_check(&r, true);
	assert_true(before > 3 && r.told.nr - before < 60);
	maps_end(&r);
}

/* Nobody reads while the rings overflow: it is told, and what lives is found in /proc, also a child that nothing was told of. */
static void test_overflow(void **unused)
{
	struct maps_run r = maps_hold("code-flood library fork stay");
	struct pollfd texts = { .fd = fileno(r.texts), .events = POLLIN };
	uint32_t child;
	json_t *meta;

	(void)unused;
	need_root();
	maps_open_probe(&r, PROBE_COMMAND, r.pid);
	maps_start_probe(&r);
	maps_let(r.go);
	assert_int_equal(poll(&texts, 1, 20000), 1);
	meta = maps_stop_probe(&r);
	assert_true(maps_number(meta, "lost") > MAPS_FLOOD / 2);
	json_decref(meta);
	child = maps_check(&r, true);
	assert_int_equal(maps_check(&r, true), r.pid);
	assert_int_equal(maps_count(&r.told, child, MAPPING_FORK), 1);
	maps_end(&r);
}

/* ---- in a trace ---- */

static void run_whyscale(const char *command, const char *trace)
{
	char exe[4096], line[10000];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(len > 0);
	exe[len] = '\0';
	for (int up = 0; up < 2; up++)
		*strrchr(exe, '/') = '\0';
	snprintf(line, sizeof(line), "'%s/whyscale' %s '%s' >/dev/null", exe, command, trace);
	assert_int_equal(system(line), 0);
}

/* A shell that starts a shell that becomes cat, which says what it has mapped. */
static void test_recorded(void **unused)
{
	char dir[] = "/tmp/test_maps.XXXXXX", trace[64], text[64];
	char *argv[] = { "bash", "-c", "bash -c 'echo $$; exec cat /proc/self/maps' >$0; true",
			 text, NULL };
	struct record_options opts = {
		.what = RECORD_COMMAND, .argv = argv, .output = trace, .stdout_fd = -1
	};
	struct record_result result;
	struct trace_reader *reader;
	struct maps_run r = {};
	struct err err = {};
	uint32_t pid;

	(void)unused;
	need_root();
	assert_non_null(mkdtemp(dir));
	snprintf(trace, sizeof(trace), "%s/trace", dir);
	snprintf(text, sizeof(text), "%s/text", dir);
	if (record_run(&opts, &result, &err) || trace_open(trace, &reader, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(trace_each_mapping(reader, maps_told_add, &r.told, &err), 0);
	assert_int_equal(maps_number(trace_meta(reader), "stored"), r.told.nr);
	assert_int_equal(maps_number(trace_meta(reader), "lost"), 0);
	trace_close(reader);
	r.texts = fopen(text, "re");
	pid = maps_check(&r, true);
	assert_int_equal(maps_count(&r.told, pid, MAPPING_FORK), 1);
	assert_int_equal(maps_count(&r.told, pid, MAPPING_EXEC), 2);
	run_whyscale("report", trace);
	run_whyscale("script", trace);
	fclose(r.texts);
	maps_told_free(&r.told);
	unlink(trace);
	unlink(text);
	assert_int_equal(rmdir(dir), 0);
}

/* ---- the recorder's side ---- */

static void test_fds(void **unused)
{
	struct maps_run r = { .pid = getpid() };
	bool before_cloexec, all_cloexec;
	size_t before = own_fds_count(&before_cloexec);

	(void)unused;
	need_root();
	maps_open_probe(&r, PROBE_PIDS, 0);
	assert_true(own_fds_count(&all_cloexec) > before);
	assert_true(all_cloexec || !before_cloexec);
	maps_start_probe(&r);
	json_decref(maps_stop_probe(&r));
	assert_int_equal(own_fds_count(&all_cloexec), before);
	assert_int_equal(r.told.nr, 0); /* not ourselves */
}

/* The exit status of the child is the number of the first thing that is wrong. */
static int without_privilege(void)
{
	struct maps_run r = { .pid = getpid() };
	const char *why;
	struct err err = {};
	json_t *meta;

	if (setuid(65534))
		return 1;
	if (!probe()->check(&err) || !strstr(err.msg, "perf_event_paranoid is 2"))
		return 2;
	maps_open_probe(&r, PROBE_PIDS, 0);
	maps_start_probe(&r);
	if (probe()->tick(r.state))
		return 3;
	meta = maps_stop_probe(&r);
	why = json_string_value(json_object_get(json_object_get(meta, "maps"), "unavailable"));
	return !why || !strstr(why, "needs root (CAP_PERFMON)") ? 4 : 0;
}

static void test_without_privilege(void **unused)
{
	char *level = NULL;
	struct err err;
	int status;
	bool as_needed;
	pid_t pid;

	(void)unused;
	need_root();
	assert_int_equal(file_read_text("/proc/sys/kernel/perf_event_paranoid", &level, &err), 0);
	as_needed = atoi(level) == 2;
	free(level);
	if (!as_needed) {
		print_message("SKIP: needs perf_event_paranoid=2\n");
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
	need_root();
	assert_int_equal(probe()->check(&why), 0);
	assert_int_equal(why.code, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_attached_meanwhile),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_fds),
		cmocka_unit_test(test_without_privilege),
	};

	if (argc == 4)
		_exit(maps_play(argv[1], atoi(argv[2]), atoi(argv[3])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
