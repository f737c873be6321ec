// SPDX-License-Identifier: GPL-2.0-only
/* A strategy's result: its memory, its check, and its JSON form in both directions. */
#include "strategy/strategy_result.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "strategy/strategy.h"

#define RESULT_BYTES_MAX (64 << 20) /* 32768 workers take 8 MB; more is not a result */

static void json_decref_p(json_t **json)
{
	json_decref(*json);
}

int strategy_result_init(struct strategy_result *ret, const char *name, unsigned int nr,
			 uint64_t count, struct err *err)
{
	*ret = (struct strategy_result){ .gil = -1, .manager_pid = -1, .count = count, .nr = nr };
	ret->name = strdup(name);
	ret->worker = calloc(nr ? nr : 1, sizeof(*ret->worker));
	if (!ret->name || !ret->worker) {
		strategy_result_free(ret);
		return err_sys(err, -ENOMEM, "no memory for the result of %u workers", nr);
	}
	for (unsigned int i = 0; i < nr; i++)
		ret->worker[i] = (struct strategy_worker){
			.index = i,
			.pid = -1,
			.tid = -1,
			.cpu_ns = -1,
			.exec_ns = -1,
			.delay_ns = -1,
		};
	return 0;
}

void strategy_result_free(struct strategy_result *result)
{
	free(result->name);
	free(result->interpreter);
	free(result->worker);
	*result = (struct strategy_result){};
}

int strategy_result_check(const struct strategy_result *result, struct err *err)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < result->nr; i++)
		if (__builtin_add_overflow(sum, result->worker[i].counted, &sum))
			return err_set(err, -EPROTO, "%s: the workers' counts overflow",
				       result->name);
	if (sum != result->count || result->counted != result->count)
		return err_set(err, -EPROTO,
			       "%s: the workers counted %" PRIu64
			       " and the strategy summed %" PRIu64 ", but the count was %" PRIu64,
			       result->name, sum, result->counted, result->count);
	return 0;
}

/* --- writing --- */

/* null stands for what is not known, -1 in the struct. */
static json_t *int_or_null(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *worker_to_json(const struct strategy_worker *worker)
{
	return json_pack("{s:i, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "index",
			 (int)worker->index, "pid", (json_int_t)worker->pid, "tid",
			 int_or_null(worker->tid), "counted", (json_int_t)worker->counted,
			 "begin_ns", (json_int_t)worker->begin_ns, "end_ns",
			 (json_int_t)worker->end_ns, "cpu_ns", int_or_null(worker->cpu_ns),
			 "exec_ns", int_or_null(worker->exec_ns), "delay_ns",
			 int_or_null(worker->delay_ns));
}

static json_t *result_to_json(const struct strategy_result *result)
{
	json_t *workers = json_array();

	for (size_t i = 0; i < result->nr; i++)
		if (json_array_append_new(workers, worker_to_json(&result->worker[i]))) {
			json_decref(workers);
			return NULL;
		}
	return json_pack("{s:s, s:s?, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "name",
			 result->name, "interpreter", result->interpreter, "gil",
			 result->gil < 0 ? json_null() : json_boolean(result->gil), "manager_pid",
			 int_or_null(result->manager_pid), "workers", (json_int_t)result->nr,
			 "count", (json_int_t)result->count, "counted", (json_int_t)result->counted,
			 "t0_ns", (json_int_t)result->t0_ns, "t1_ns", (json_int_t)result->t1_ns,
			 "worker", workers);
}

/* Given to json_dump_callback(): returns 0, or -1 with errno set. */
static int write_all(const char *buffer, size_t size, void *data)
{
	const int *fd = data;

	while (size) {
		ssize_t n = write(*fd, buffer, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buffer += n;
		size -= (size_t)n;
	}
	return 0;
}

int strategy_result_write(const struct strategy_result *result, int fd, struct err *err)
{
	_cleanup_(json_decref_p) json_t *json = result_to_json(result);
	_cleanup_(free_p) char *text = json ? json_dumps(json, 0) : NULL;

	if (!text)
		return err_sys(err, -ENOMEM, "%s: no memory to write the result", result->name);
	if (write_all(text, strlen(text), &fd) || write_all("\n", 1, &fd))
		return err_sys(err, -errno, "%s: cannot write the result", result->name);
	return 0;
}

/* --- reading --- */

static int key_error(struct err *err, const char *key, const char *what)
{
	return err_set(err, -EPROTO, "the strategy's result has %s in '%s'", what, key);
}

/* The integer at `key`, between min and max; if min is -1, null is read as -1. */
static int get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret,
		   struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return err_set(err, -EPROTO, "the strategy's result lacks '%s'", key);
	if (json_is_null(value) && min == -1) {
		*ret = -1;
		return 0;
	}
	if (!json_is_integer(value))
		return key_error(err, key, "no integer");
	*ret = json_integer_value(value);
	if (*ret < (min < 0 ? 0 : min) || *ret > max)
		return key_error(err, key, "an impossible number");
	return 0;
}

/*
 * A worker's numbers, in one table: the key, the least value (-1: may be null), where the number
 * goes.
 */
static int worker_from_json(const json_t *json, size_t index, struct strategy_worker *ret,
			    struct err *err)
{
	int64_t at = 0, pid = 0, tid = 0, counted = 0;
	const struct {
		const char *key;
		int64_t min, max, *ret;
	} fields[] = {
		{ "index", 0, UINT32_MAX, &at },
		{ "pid", 1, INT32_MAX, &pid },
		{ "tid", -1, INT32_MAX, &tid },
		{ "counted", 0, (int64_t)STRATEGY_COUNT_MAX, &counted },
		{ "begin_ns", 0, INT64_MAX, &ret->begin_ns },
		{ "end_ns", 0, INT64_MAX, &ret->end_ns },
		{ "cpu_ns", -1, INT64_MAX, &ret->cpu_ns },
		{ "exec_ns", -1, INT64_MAX, &ret->exec_ns },
		{ "delay_ns", -1, INT64_MAX, &ret->delay_ns },
	};

	if (!json_is_object(json))
		return key_error(err, "worker", "something else than objects");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (get_int(json, fields[i].key, fields[i].min, fields[i].max, fields[i].ret, err))
			return err->code;
	if ((uint64_t)at != index)
		return key_error(err, "index", "a worker out of order");
	if (ret->end_ns < ret->begin_ns)
		return key_error(err, "end_ns", "a time before 'begin_ns'");
	ret->pid = (pid_t)pid;
	ret->tid = (pid_t)tid;
	ret->counted = (uint64_t)counted;
	return 0;
}

/* What says which interpreter ran; all of it may be null or absent. */
static int interpreter_from_json(const json_t *root, struct strategy_result *ret, struct err *err)
{
	const json_t *gil = json_object_get(root, "gil");
	const char *interpreter = json_string_value(json_object_get(root, "interpreter"));
	int64_t pid = -1;

	if (json_object_get(root, "manager_pid") &&
	    get_int(root, "manager_pid", -1, INT32_MAX, &pid, err))
		return err->code;
	ret->manager_pid = (pid_t)pid;
	ret->gil = json_is_boolean(gil) ? json_is_true(gil) : -1;
	if (interpreter && !(ret->interpreter = strdup(interpreter)))
		return err_sys(err, -ENOMEM, "no memory to read the strategy's result");
	return 0;
}

static int result_from_json(const json_t *root, struct strategy_result *ret, struct err *err)
{
	const json_t *array = json_object_get(root, "worker");
	const char *name = json_string_value(json_object_get(root, "name"));
	int64_t nr = 0, count = 0, counted = 0;

	if (!name)
		return err_set(err, -EPROTO, "the strategy's result lacks 'name'");
	if (!json_is_array(array))
		return err_set(err, -EPROTO, "the strategy's result lacks 'worker'");
	if (get_int(root, "workers", 1, INT32_MAX, &nr, err) ||
	    get_int(root, "count", 1, (int64_t)STRATEGY_COUNT_MAX, &count, err) ||
	    get_int(root, "counted", 0, INT64_MAX, &counted, err))
		return err->code;
	if ((size_t)nr != json_array_size(array))
		return key_error(err, "worker", "more or fewer entries than 'workers' says");
	if (strategy_result_init(ret, name, (unsigned int)nr, (uint64_t)count, err) ||
	    get_int(root, "t0_ns", 0, INT64_MAX, &ret->t0_ns, err) ||
	    get_int(root, "t1_ns", ret->t0_ns, INT64_MAX, &ret->t1_ns, err) ||
	    interpreter_from_json(root, ret, err))
		return err->code;
	ret->counted = (uint64_t)counted;
	for (size_t i = 0; i < ret->nr; i++)
		if (worker_from_json(json_array_get(array, i), i, &ret->worker[i], err))
			return err->code;
	return strategy_result_check(ret, err);
}

int strategy_result_parse(const char *text, size_t len, struct strategy_result *ret,
			  struct err *err)
{
	_cleanup_(strategy_result_free) struct strategy_result result = {};
	_cleanup_(json_decref_p) json_t *root = NULL;
	json_error_t why;

	if (!len)
		return err_set(err, -EPROTO, "the strategy ended without a result");
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return err_set(err, -EPROTO,
			       "the strategy's result is not whole JSON: line %d: %.120s", why.line,
			       why.text);
	if (result_from_json(root, &result, err))
		return err->code;
	*ret = result;
	result = (struct strategy_result){};
	return 0;
}

int strategy_result_read(int fd, struct strategy_result *ret, struct err *err)
{
	_cleanup_(free_p) char *text = NULL;
	off_t len = lseek(fd, 0, SEEK_END);
	off_t done = 0;

	if (len < 0)
		return err_sys(err, -errno, "cannot read the strategy's result");
	if (len > RESULT_BYTES_MAX)
		return err_set(err, -EPROTO,
			       "the strategy's result is too long to be one: %jd bytes",
			       (intmax_t)len);
	text = malloc((size_t)len + 1);
	if (!text)
		return err_sys(err, -ENOMEM, "no memory to read the strategy's result");
	while (done < len) {
		ssize_t n = pread(fd, text + done, (size_t)(len - done), done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "cannot read the strategy's result");
		if (!n)
			break;
		done += n;
	}
	return strategy_result_parse(text, (size_t)done, ret, err);
}
