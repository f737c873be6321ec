// SPDX-License-Identifier: GPL-2.0-only
/*
 * The strategies: the table, the split, what a user may ask for, the result's JSON, and the C ones
 * really run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "strategy/capacity.h"
#include "strategy/count_loop.h"
#include "strategy/python.h"
#include "strategy/strategy.h"
#include "strategy/strategy_args.h"
#include "strategy/strategy_result.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define BIG "4611686018427387904" /* 2^62 */

/* --- the table --- */

static void test_table(void **state)
{
	static const struct {
		const char *name, *language, *baseline;
		bool single;
	} expected[] = {
		{ "c-single", "C", "c-single", true },
		{ "c-threads", "C", "c-single", false },
		{ "py-single", "Python", "py-single", true },
		{ "py-threads", "Python", "py-single", false },
		{ "py-processes", "Python", "py-single", false },
		{ "py-thread-pool", "Python", "py-single", false },
		{ "py-process-pool", "Python", "py-single", false },
	};
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < NR(expected); i++) {
		const struct strategy *strategy = strategy_at(i);

		assert_non_null(strategy);
		assert_string_equal(strategy->name, expected[i].name);
		assert_string_equal(strategy_language_name(strategy), expected[i].language);
		assert_string_equal(strategy_baseline(strategy)->name, expected[i].baseline);
		assert_int_equal(strategy->single, expected[i].single);
		assert_true(strlen(strategy->summary) > 20);
		assert_int_equal(!strategy->run, !!strategy->source);
		assert_ptr_equal(strategy_find(expected[i].name, &err), strategy);
		assert_non_null(strstr(strategy_names(), expected[i].name));
		assert_true(strategy_default_count(strategy, true) >=
			    strategy_default_count(strategy, false));
	}
	assert_null(strategy_at(NR(expected)));
	assert_int_equal(strategy_default_count(strategy_at(0), true), 2000000000);
	assert_int_equal(strategy_default_count(strategy_at(2), true), 200000000);
}

static void test_unknown_name(void **state)
{
	static const char *const names[] = { "", "c", "C-single", "c-single ", "py-asyncio" };
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < NR(names); i++) {
		assert_null(strategy_find(names[i], &err));
		assert_int_equal(err.code, -EINVAL);
		assert_non_null(strstr(err.msg, "py-process-pool"));
		assert_int_equal(strategy_exit_status(err.code), 2);
	}
}

static void test_python_source(void **state)
{
	(void)state;
	for (size_t i = 0; strategy_at(i); i++) {
		const char *source = strategy_at(i)->source;

		if (!source)
			continue;
		assert_non_null(strstr(source, strategy_at(i)->name));
		assert_string_equal(source + strlen(source) - strlen("main(run)\n"), "main(run)\n");
	}
}

/* --- the split --- */

static void test_share(void **state)
{
	static const struct {
		const char *name;
		uint64_t count;
		unsigned int workers;
		uint64_t first, last;
	} cases[] = {
		{ "even", 100, 4, 25, 25 },
		{ "remainder to the first", 7, 2, 4, 3 },
		{ "one worker", 7, 1, 7, 7 },
		{ "more workers than turns", 2, 5, 1, 0 },
		{ "one turn", 1, 3, 1, 0 },
		{ "prime by prime", 1000003, 7, 142858, 142857 },
		{ "the most", STRATEGY_COUNT_MAX, 3, 1537228672809129302, 1537228672809129301 },
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		unsigned int n = cases[i].workers;
		uint64_t sum = 0;

		print_message("%s\n", cases[i].name);
		for (unsigned int k = 0; k < n; k++) {
			uint64_t share = strategy_share(cases[i].count, n, k);

			sum += share;
			assert_in_range(share, cases[i].count / n, cases[i].count / n + 1);
		}
		assert_int_equal(sum, cases[i].count);
		assert_int_equal(strategy_share(cases[i].count, n, 0), cases[i].first);
		assert_int_equal(strategy_share(cases[i].count, n, n - 1), cases[i].last);
	}
}

/* --- what a user may ask for --- */

static void test_parse_count(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t expected;
	} cases[] = {
		{ "1", 0, 1 },
		{ "007", 0, 7 },
		{ "1000000", 0, 1000000 },
		{ "2_000_000_000", 0, 2000000000 },
		{ BIG, 0, STRATEGY_COUNT_MAX },
		{ "4611686018427387905", -EINVAL, 0 },
		{ "9223372036854775808", -EINVAL, 0 },
		{ "18446744073709551617", -EINVAL, 0 },
		{ "99999999999999999999999999999999999999", -EINVAL, 0 },
		{ "0", -EINVAL, 0 },
		{ "000", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "_1", -EINVAL, 0 },
		{ "1_", -EINVAL, 0 },
		{ "1__0", -EINVAL, 0 },
		{ "1,000", -EINVAL, 0 },
		{ "1e9", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "abc", -EINVAL, 0 },
		{ "99999999999999999999x", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct err err = {};
		uint64_t value = 0;

		print_message("'%s'\n", cases[i].text);
		assert_int_equal(strategy_parse_count(cases[i].text, &value, &err), cases[i].rc);
		assert_int_equal(value, cases[i].expected);
		assert_int_equal(!err.msg[0], !cases[i].rc);
		assert_int_equal(strategy_exit_status(err.code), cases[i].rc ? 2 : 0);
	}
}

static void test_parse_workers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned int expected;
	} cases[] = {
		{ "1", 0, 1 },
		{ "16", 0, 16 },
		{ "0", -EINVAL, 0 },
		{ "-2", -EINVAL, 0 },
		{ "two", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "2147483648", -EINVAL, 0 },
		{ "4294967297", -EINVAL, 0 },
		{ "99999999999999999999", -EINVAL, 0 },
	};
	char text[32];
	const char *limit = NULL;
	uint64_t max = strategy_max_workers(&limit);
	unsigned int value = 0;
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		value = 0;
		print_message("'%s'\n", cases[i].text);
		assert_int_equal(strategy_parse_workers(cases[i].text, &value, &err), cases[i].rc);
		assert_int_equal(value, cases[i].expected);
	}
	/* Threads come and go on the machine, hence the distance from the limit. */
	snprintf(text, sizeof(text), "%" PRIu64, max + 1000);
	assert_int_equal(strategy_parse_workers(text, &value, &err), -EINVAL);
	assert_non_null(strstr(err.msg, limit));
	assert_true(strategy_default_workers() >= 1);
}

static void test_args_check(void **state)
{
	struct strategy_job job = { .workers = 5 };
	struct err err = {};

	(void)state;
	job.strategy = strategy_find("c-single", &err);
	assert_int_equal(strategy_args_check(&job, &err), 0);
	assert_int_equal(job.workers, 1);
	assert_int_equal(job.count, strategy_default_count(job.strategy, false));

	job = (struct strategy_job){ .strategy = strategy_find("c-threads", &err), .full = true };
	assert_int_equal(strategy_args_check(&job, &err), 0);
	assert_int_equal(job.workers, strategy_default_workers());
	assert_int_equal(job.count, 2000000000);

	job = (struct strategy_job){ .strategy = strategy_at(1), .count = STRATEGY_COUNT_MAX + 1 };
	assert_int_equal(strategy_args_check(&job, &err), -EINVAL);
	job = (struct strategy_job){ .strategy = strategy_at(1), .workers = UINT32_MAX };
	assert_int_equal(strategy_args_check(&job, &err), -EINVAL);
}

static void test_python_find(void **state)
{
	static const struct {
		const char *python;
		int rc, status;
	} cases[] = {
		{ "sh", 0, 0 }, /* any program is found as a Python would be */
		{ "/bin/sh", 0, 0 },
		{ "", -ENOENT, 127 },
		{ "no-such-python", -ENOENT, 127 },
		{ "/nonexistent/python3", -ENOENT, 127 },
		{ "/etc/passwd", -EACCES, 126 },
		{ "/etc", -EACCES, 126 },
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct err err = {};
		char path[PATH_MAX];

		print_message("'%s'\n", cases[i].python);
		assert_int_equal(python_find(cases[i].python, path, &err), cases[i].rc);
		assert_int_equal(strategy_exit_status(err.code), cases[i].status);
		if (!cases[i].rc)
			assert_int_equal(path[0], '/');
	}
}

/* --- the result's JSON --- */

#define WORKER(index, counted)                                              \
	"{\"index\":" index ",\"pid\":12,\"tid\":null,\"counted\":" counted \
	",\"begin_ns\":150,\"end_ns\":180,\"cpu_ns\":25,\"exec_ns\":24,\"delay_ns\":null}"
#define RESULT(nr, count, counted, workers)                                           \
	"{\"name\":\"x\",\"workers\":" nr ",\"count\":" count ",\"counted\":" counted \
	",\"t0_ns\":100,\"t1_ns\":200,\"worker\":[" workers "]}"

static const struct {
	const char *name, *json,
		*error; /* error: part of the sentence; NULL: it is a good result */
} parse_cases[] = {
	{ "good", RESULT("2", "7", "7", WORKER("0", "4") "," WORKER("1", "3")), NULL },
	{ "a worker without work", RESULT("2", "1", "1", WORKER("0", "1") "," WORKER("1", "0")),
	  NULL },
	{ "the most", RESULT("1", BIG, BIG, WORKER("0", BIG)), NULL },
	{ "empty", "", "without a result" },
	{ "truncated", "{\"name\":\"x\",\"workers\":2,\"cou", "not whole JSON" },
	{ "two objects", RESULT("1", "1", "1", WORKER("0", "1")) "{}", "not whole JSON" },
	{ "junk", "Segmentation fault", "not whole JSON" },
	{ "a key twice", "{\"name\":\"x\",\"name\":\"y\"}", "not whole JSON" },
	{ "an array", "[]", "lacks 'name'" },
	{ "no workers", "{\"name\":\"x\",\"worker\":[]}", "lacks 'workers'" },
	{ "no worker", "{\"name\":\"x\",\"workers\":1}", "lacks 'worker'" },
	{ "zero workers", RESULT("0", "1", "1", ""), "'workers'" },
	{ "one lost", RESULT("2", "7", "7", WORKER("0", "4") "," WORKER("1", "2")), "counted 6" },
	{ "one too many", RESULT("1", "7", "8", WORKER("0", "8")), "count was 7" },
	{ "summed wrongly", RESULT("1", "7", "6", WORKER("0", "7")), "summed 6" },
	{ "fewer than it says", RESULT("2", "4", "4", WORKER("0", "4")), "more or fewer" },
	{ "out of order", RESULT("1", "4", "4", WORKER("1", "4")), "out of order" },
	{ "negative", RESULT("1", "4", "4", WORKER("0", "-4")), "'counted'" },
	{ "a fraction", RESULT("1", "4", "4", WORKER("0", "4.0")), "no integer in 'counted'" },
	{ "null where it must be known", RESULT("1", "4", "4", WORKER("0", "null")), "no integer" },
	{ "over 2^62", RESULT("1", "4611686018427387905", "1", WORKER("0", "1")), "'count'" },
	{ "no worker object", RESULT("1", "1", "1", "3"), "'worker'" },
	{ "a worker without keys", RESULT("1", "1", "1", "{\"index\":0}"), "lacks 'pid'" },
};

static void test_parse_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(parse_cases); i++) {
		struct strategy_result result = {};
		struct err err = {};
		int rc = strategy_result_parse(parse_cases[i].json, strlen(parse_cases[i].json),
					       &result, &err);

		print_message("%s: %s\n", parse_cases[i].name, err.msg);
		assert_int_equal(rc, parse_cases[i].error ? -EPROTO : 0);
		if (parse_cases[i].error)
			assert_non_null(strstr(err.msg, parse_cases[i].error));
		strategy_result_free(&result);
	}
}

static void test_parse_values(void **state)
{
	struct strategy_result result = {};
	struct err err = {};

	(void)state;
	assert_int_equal(strategy_result_parse(parse_cases[0].json, strlen(parse_cases[0].json),
					       &result, &err),
			 0);
	assert_string_equal(result.name, "x");
	assert_null(result.interpreter);
	assert_int_equal(result.manager_pid, -1);
	assert_int_equal(result.nr, 2);
	assert_int_equal(result.t0_ns, 100);
	assert_int_equal(result.t1_ns, 200);
	assert_int_equal(result.worker[1].index, 1);
	assert_int_equal(result.worker[1].counted, 3);
	assert_int_equal(result.worker[1].pid, 12);
	assert_int_equal(result.worker[1].tid, -1);
	assert_int_equal(result.worker[1].cpu_ns, 25);
	assert_int_equal(result.worker[1].exec_ns, 24);
	assert_int_equal(result.worker[1].delay_ns, -1);
	strategy_result_free(&result);
}

/* Any prefix of a good result is refused, and nothing is read behind its end. */
static void test_parse_every_prefix(void **state)
{
	const char *json = parse_cases[0].json;

	(void)state;
	for (size_t len = 0; len < strlen(json); len++) {
		struct strategy_result result = {};
		struct err err = {};

		assert_int_equal(strategy_result_parse(json, len, &result, &err), -EPROTO);
	}
}

/* --- the C strategies, really run --- */

static void test_count_to(void **state)
{
	static const uint64_t counts[] = { 0, 1, 2, 1000, 12345678 };

	(void)state;
	for (size_t i = 0; i < NR(counts); i++)
		assert_int_equal(count_to(counts[i]), counts[i]);
}

static void check_worker(const struct strategy_result *result, unsigned int i)
{
	const struct strategy_worker *worker = &result->worker[i];

	assert_int_equal(worker->index, i);
	assert_int_equal(worker->pid, getpid());
	assert_true(worker->tid > 0);
	assert_true(result->t0_ns <= worker->begin_ns && worker->begin_ns <= worker->end_ns &&
		    worker->end_ns <= result->t1_ns);
	assert_true(worker->cpu_ns >= 0);
	assert_int_equal(worker->counted,
			 strategy_share(result->count, (unsigned int)result->nr, i));
}

static void test_run_c(void **state)
{
	static const struct {
		const char *name;
		uint64_t count;
		unsigned int workers;
	} cases[] = {
		{ "c-single", 1, 1 },        { "c-single", 100000007, 1 },
		{ "c-threads", 1, 1 },       { "c-threads", 1, 7 },
		{ "c-threads", 7, 7 },       { "c-threads", 100000007, 2 },
		{ "c-threads", 100003, 64 },
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		_cleanup_(strategy_result_free) struct strategy_result result = {};
		_cleanup_(close_p) int fd = memfd_create("result", MFD_CLOEXEC);
		struct err err = {};
		struct strategy_job job = {
			.strategy = strategy_find(cases[i].name, &err),
			.count = cases[i].count,
			.workers = cases[i].workers,
			.result_fd = fd,
		};

		print_message("%s %" PRIu64 " %u\n", cases[i].name, cases[i].count,
			      cases[i].workers);
		assert_int_equal(strategy_run(&job, &err), 0);
		assert_int_equal(strategy_result_read(fd, &result, &err), 0);
		assert_string_equal(result.name, cases[i].name);
		assert_int_equal(result.counted, cases[i].count);
		assert_int_equal(result.nr, cases[i].workers);
		for (unsigned int k = 0; k < result.nr; k++)
			check_worker(&result, k);
	}
}

/*
 * A worker that is told to stop does, far from its goal, and the check finds that something is
 * missing.
 */
static void test_stop(void **state)
{
	struct strategy_result result = {};
	struct err err = {};
	const atomic_bool stop = true;

	(void)state;
	assert_int_equal(strategy_result_init(&result, "x", 1, STRATEGY_COUNT_MAX, &err), 0);
	count_worker_run(STRATEGY_COUNT_MAX, &stop, &result.worker[0]);
	assert_true(result.worker[0].counted < STRATEGY_COUNT_MAX);
	result.counted = result.worker[0].counted;
	assert_int_equal(strategy_result_check(&result, &err), -EPROTO);
	strategy_result_free(&result);
}

static void test_write_error(void **state)
{
	struct strategy_result result = {};
	struct err err = {};

	(void)state;
	assert_int_equal(strategy_result_init(&result, "x", 1, 1, &err), 0);
	assert_int_equal(strategy_result_write(&result, -1, &err), -EBADF);
	assert_true(err.msg[0]);
	strategy_result_free(&result);
}

static void test_capacity(void **state)
{
	struct capacity capacity;
	struct err err = {};

	(void)state;
	assert_int_equal(capacity_measure(0, 80000000, &capacity, &err), 0);
	assert_int_equal(capacity.cpus, strategy_default_workers());
	assert_true(capacity.rate_alone > 1e6 && capacity.rate_together > 1e6);
	assert_true(capacity.worth_min <= capacity.worth && capacity.worth <= capacity.worth_max);
	assert_true(capacity.worth > 0.1 && capacity.inflation > 0.1);
	assert_int_equal(capacity_measure(1, 16000000, &capacity, &err), 0);
	assert_int_equal(capacity.cpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_unknown_name),
		cmocka_unit_test(test_python_source),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_parse_count),
		cmocka_unit_test(test_parse_workers),
		cmocka_unit_test(test_args_check),
		cmocka_unit_test(test_python_find),
		cmocka_unit_test(test_parse_result),
		cmocka_unit_test(test_parse_values),
		cmocka_unit_test(test_parse_every_prefix),
		cmocka_unit_test(test_count_to),
		cmocka_unit_test(test_run_c),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_write_error),
		cmocka_unit_test(test_capacity),
	};

	return cmocka_run_group_tests_name("strategy", tests, NULL, NULL);
}
