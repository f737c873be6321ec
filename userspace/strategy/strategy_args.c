// SPDX-License-Identifier: GPL-2.0-only
/* Reading and checking what a user says about a strategy. */
#include "strategy/strategy_args.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "strategy/python.h"
#include "strategy/strategy.h"

/* Kernel: RESERVED_PIDS are not given out again once the pids have wrapped around. */
#define RESERVED_PIDS 300

/*
 * Decimal digits with single underscores between them. Returns -EINVAL for anything else and
 * -ERANGE over `max`; max is below 2^63, so the arithmetic cannot overflow.
 */
static int parse_digits(const char *text, uint64_t max, uint64_t *ret)
{
	bool digit_before = false, too_big = false;
	uint64_t value = 0;

	for (const char *c = text; *c; c++) {
		if (*c == '_' && digit_before && isdigit((unsigned char)c[1])) {
			digit_before = false;
			continue;
		}
		if (!isdigit((unsigned char)*c))
			return -EINVAL;
		digit_before = true;
		too_big = too_big || value > (max - (uint64_t)(*c - '0')) / 10;
		value = too_big ? value : value * 10 + (uint64_t)(*c - '0');
	}
	*ret = value;
	if (!digit_before)
		return -EINVAL;
	return too_big ? -ERANGE : 0;
}

int strategy_parse_count(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t value;
	int rc = parse_digits(text, STRATEGY_COUNT_MAX, &value);

	if (rc == -ERANGE)
		return err_set(err, -EINVAL,
			       "the count %.64s is too big; the most is 2^62 = %" PRIu64, text,
			       STRATEGY_COUNT_MAX);
	if (rc)
		return err_set(err, -EINVAL,
			       "the count '%.64s' is not a positive whole number, such as 1000000",
			       text);
	if (!value)
		return err_set(err, -EINVAL, "the count is 0; there is nothing to count below 1");
	*ret = value;
	return 0;
}

/*
 * The first number in a file of one line; UINT64_MAX if there is none ("max" in a cgroup means just
 * that).
 */
static uint64_t read_limit(const char *path)
{
	_cleanup_(fclose_p) FILE *f = fopen(path, "re");
	uint64_t value;

	if (!f || fscanf(f, "%" SCNu64, &value) != 1)
		return UINT64_MAX;
	return value;
}

/* The limit on this user's processes and threads; the kernel does not apply it to root. */
static uint64_t rlimit_nproc(void)
{
	struct rlimit limit;

	if (!geteuid() || getrlimit(RLIMIT_NPROC, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static uint64_t less(uint64_t limit, uint64_t used)
{
	if (limit == UINT64_MAX)
		return limit;
	return limit > used ? limit - used : 0;
}

uint64_t strategy_max_workers(const char **ret_limit)
{
	uint64_t used = threads_now();
	const struct {
		const char *name;
		uint64_t free;
	} limits[] = {
		{ "kernel.threads-max", less(read_limit("/proc/sys/kernel/threads-max"), used) },
		{ "kernel.pid_max",
		  less(read_limit("/proc/sys/kernel/pid_max"), used + RESERVED_PIDS) },
		{ "the cgroup's pids.max", read_limit("/sys/fs/cgroup/pids.max") },
		{ "the cgroup's pids.max", read_limit("/sys/fs/cgroup/pids/pids.max") },
		{ "RLIMIT_NPROC (ulimit -u)", rlimit_nproc() },
	};
	uint64_t max = INT32_MAX;

	*ret_limit = "the size of a number";
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i].free >= max)
			continue;
		max = limits[i].free;
		*ret_limit = limits[i].name;
	}
	return max;
}

static int too_many(const char *workers, const char *limit, uint64_t max, struct err *err)
{
	return err_set(err, -EINVAL,
		       "%.64s workers are too many for this system: %s leaves room for %" PRIu64,
		       workers, limit, max);
}

int strategy_parse_workers(const char *text, unsigned int *ret, struct err *err)
{
	const char *limit;
	uint64_t max = strategy_max_workers(&limit);
	uint64_t value;
	int rc = parse_digits(text, STRATEGY_COUNT_MAX, &value);

	if (rc == -ERANGE || (!rc && value > max))
		return too_many(text, limit, max, err);
	if (rc)
		return err_set(
			err, -EINVAL,
			"the number of workers '%.64s' is not a positive whole number, such as 4",
			text);
	if (!value)
		return err_set(err, -EINVAL, "the number of workers is 0; at least 1 must count");
	*ret = (unsigned int)value;
	return 0;
}

unsigned int strategy_default_workers(void)
{
	/* The kernel refuses a mask smaller than its own: try until it fits. */
	for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t size = CPU_ALLOC_SIZE(cpus);
		int nr = 0;

		if (!set)
			break;
		if (!sched_getaffinity(0, size, set))
			nr = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (nr > 0)
			return (unsigned int)nr;
	}
	return 1;
}

int strategy_args_check(struct strategy_job *job, struct err *err)
{
	char path[PATH_MAX], workers[16];
	const char *limit;
	uint64_t max = strategy_max_workers(&limit);

	if (!job->count)
		job->count = strategy_default_count(job->strategy, job->full);
	if (job->count > STRATEGY_COUNT_MAX)
		return err_set(err, -EINVAL, "the count %" PRIu64 " is too big; the most is 2^62",
			       job->count);
	if (!job->workers)
		job->workers = strategy_default_workers();
	if (job->strategy->single)
		job->workers = 1;
	snprintf(workers, sizeof(workers), "%u", job->workers);
	if (job->workers > max)
		return too_many(workers, limit, max, err);
	if (job->strategy->language != STRATEGY_PYTHON)
		return 0;
	if (!job->python)
		job->python = STRATEGY_PYTHON_DEFAULT;
	return python_find(job->python, path, err);
}

int strategy_exit_status(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -EINVAL:
		return 2;
	case -ENOENT:
		return 127;
	case -EACCES:
	case -ENOEXEC:
		return 126;
	default:
		return 1;
	}
}
