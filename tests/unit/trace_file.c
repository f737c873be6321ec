// SPDX-License-Identifier: GPL-2.0-only
/* Trace files in memory: see trace_file.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "random.h"
#include "trace/maps.h"
#include "trace_file.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

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

struct mapping make_mapping(uint32_t number, size_t longest, char *path)
{
	static const char *const names[] = { "", "[heap]", "//anon", NULL };
	const char *name = names[random_below(LEN(names))];
	struct mapping m = {
		.time_ns = number * 1000ull,
		.kind = MAPPING_ADD + (uint32_t)random_below(3),
		.tgid = number + 1,
		.parent_tgid = (uint32_t)random_number(),
		.prot = (uint32_t)random_below(8),
		.flags = 1 + (uint32_t)random_below(2),
		.start = random_below(UINT64_MAX),
		.offset = random_below(UINT64_MAX),
		.dev_major = (uint32_t)random_below(300),
		.dev_minor = (uint32_t)random_number(),
		.inode = random_below(UINT64_MAX),
		.build_id_len = (uint32_t)random_below(MAPPING_BUILD_ID_MAX + 1),
		.path = path,
	};
	size_t len = name ? strlen(name) : 1 + random_below(longest);

	m.end = m.start + 1 + random_below(UINT64_MAX - m.start);
	for (uint32_t i = 0; i < m.build_id_len; i++)
		m.build_id[i] = (uint8_t)random_below(256);
	for (size_t i = 0; i < len; i++)
		path[i] = name ? name[i] : (char)(1 + random_below(255));
	path[len] = '\0';
	return m;
}

int count_in_order(void *arg, const struct trace_event *ev)
{
	assert_int_equal(ev->time_ns, *(size_t *)arg);
	++*(size_t *)arg;
	return 0;
}
