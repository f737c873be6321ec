/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a strategy reports of itself, and its JSON form, which C strategies write with jansson and
 * Python ones with json:
 *
 *   {"name": "py-threads", "interpreter": "CPython 3.11.2", "gil": true, "manager_pid": null,
 *    "workers": 2, "count": 7, "counted": 7, "t0_ns": 100, "t1_ns": 900,
 *    "worker": [{"index": 0, "pid": 12, "tid": 13, "counted": 4, "begin_ns": 200, "end_ns": 700,
 *                "cpu_ns": 350, "exec_ns": 348, "delay_ns": 150}, ...]}
 *
 *   t0            t0: before the first worker is created (py-processes: when its Manager is there,
 *   |                 as in the article)
 *   |- begin      begin, end: taken by the worker itself around its loop
 *   |   ~~~~      t1: after all workers are joined (a pool: shut down) and their counts summed
 *   |- end
 *   t1            all of CLOCK_MONOTONIC
 *
 * `worker` has one entry per share. A pool may give two shares to one thread or process: their tids
 * are then equal.
 */
#ifndef WHYSCALE_STRATEGY_STRATEGY_RESULT_H
#define WHYSCALE_STRATEGY_STRATEGY_RESULT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct strategy_worker {
	unsigned int index;
	pid_t pid; /* the process that counted this share */
	pid_t tid; /* its thread; -1 if unknown */
	uint64_t counted;
	int64_t begin_ns;
	int64_t end_ns;
	int64_t cpu_ns;  /* CLOCK_THREAD_CPUTIME_ID around the loop; -1 if unknown */
	int64_t exec_ns; /* on a CPU, by /proc/thread-self/schedstat around the loop; -1: unknown */
	int64_t delay_ns; /* runnable without a CPU, from the same file; -1 if unknown */
};

struct strategy_result {
	char *name;
	char *interpreter; /* NULL for C */
	int gil;           /* 1 or 0: the interpreter's lock is on or off; -1: C */
	pid_t manager_pid; /* the Manager's process, which counts nothing; -1 if there is none */
	uint64_t count;    /* what was to be counted */
	uint64_t counted;  /* what was: the same, or strategy_result_check() fails */
	int64_t t0_ns;
	int64_t t1_ns;
	struct strategy_worker *worker;
	size_t nr; /* workers */
};

/* An empty result with `nr` workers, their times unknown. The result owns what it points to. */
int strategy_result_init(struct strategy_result *ret, const char *name, unsigned int nr,
			 uint64_t count, struct err *err);

/* Frees what the result points to; a zeroed result is fine. */
void strategy_result_free(struct strategy_result *result);

/* The sum of the workers must be what was to be counted, exactly; else -EPROTO and a sentence. */
int strategy_result_check(const struct strategy_result *result, struct err *err);

/* Writes the result as one line of JSON. */
int strategy_result_write(const struct strategy_result *result, int fd, struct err *err);

/*
 * The inverse, with all checks (keys, types, ranges, the sums). *ret is valid, and the caller's to
 * free, only after 0; else -EPROTO and a sentence.
 */
int strategy_result_parse(const char *text, size_t len, struct strategy_result *ret,
			  struct err *err);

/* The same from the beginning of a file or memfd that strategy_run() has written. */
int strategy_result_read(int fd, struct strategy_result *ret, struct err *err);

#endif
