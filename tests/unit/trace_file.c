// SPDX-License-Identifier: GPL-2.0-only
/* Trace files in memory: see trace_file.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "random.h"
#include "trace_file.h"

const char *fd_path(int fd)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

int new_file(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

int file_of(const void *bytes, size_t len)
{
	int fd = new_file();

	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	return fd;
}

struct trace_writer *new_writer(int fd, unsigned int cpus)
{
	struct err err = { 0 };
	struct trace_writer *w;
	json_t *meta = json_pack("{s:s, s:i}", "kernel", "first", "at_start", 1);

	assert_int_equal(trace_writer_open(dup(fd), cpus, &w, &err), 0);
	assert_int_equal(trace_writer_meta(w, meta, &err), 0);
	json_decref(meta);
	return w;
}

void write_record(struct trace_writer *w, unsigned int cpu, const uint64_t *rec)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_records(w, cpu, rec, EV_WORDS(rec[0]) * 8, &err), 0);
}

void write_round(struct trace_writer *w, uint64_t safe)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_round(w, safe, &err), 0);
}

void close_writer(struct trace_writer *w)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_close(w, &err), 0);
}

struct trace_reader *open_fd(int fd)
{
	struct err err = { 0 };
	struct trace_reader *r;

	if (trace_open(fd_path(fd), &r, &err))
		fail_msg("%s", err.msg);
	return r;
}

void free_oracle(struct oracle *o)
{
	free(o->all);
	free(o->seen);
}

void make_record(struct written *e, uint64_t number, unsigned int cpu, uint64_t time)
{
	unsigned int kind = random_below(2) ? EV_SWITCH : EV_WAKE, words = 3;

	if (!random_below(8)) {
		kind = random_below(4) ? EV_BOOKS : EV_EXEC;
		words = 13 + (unsigned int)random_below(EV_MAX_WORDS - 12);
	}
	e->time = time;
	e->cpu = cpu;
	e->rec[0] = EV_WORD0(time, words, kind, random_below(64));
	e->rec[1] = number;
	for (unsigned int k = 2; k < words; k++)
		e->rec[k] = random_below(3) ? random_below(300) : random_number();
}

int expect_next(void *arg, const struct trace_event *ev)
{
	struct oracle *o = arg;
	const struct written *e = &o->all[o->next++];

	assert_true(o->next <= o->nr);
	assert_int_equal(ev->time_ns, e->time);
	assert_int_equal(ev->cpu, e->cpu);
	assert_memory_equal(ev->rec, e->rec, EV_WORDS(e->rec[0]) * 8);
	return 0;
}

int expect_written(void *arg, const struct trace_event *ev)
{
	struct oracle *o = arg;
	const struct written *e = &o->all[ev->rec[1]];

	assert_true(ev->rec[1] < o->nr);
	assert_false(o->seen[ev->rec[1]]++);
	assert_int_equal(ev->cpu, e->cpu);
	assert_true(ev->time_ns >= e->time && ev->time_ns >= o->last_time);
	assert_memory_equal(ev->rec, e->rec, EV_WORDS(e->rec[0]) * 8);
	o->last_time = ev->time_ns;
	o->given++;
	return 0;
}

int count_event(void *arg, const struct trace_event *ev)
{
	(void)ev;
	++*(size_t *)arg;
	return 0;
}
