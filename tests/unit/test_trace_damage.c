// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace files that are none, that are damaged in every way that is cheap to try, that somebody made who knows the checksum, and that
 * could not be written to their end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "random.h"
#include "trace/chunk.h"
#include "trace/format.h"
#include "trace_file.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void check_refused(const char *path, int code, const char *says)
{
	struct err err = { 0 };
	struct trace_reader *r;

	assert_int_equal(trace_open(path, &r, &err), code);
	assert_null(r);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, says) || strchr(err.msg, '\n'))
		fail_msg("'%s' does not say '%s'", err.msg, says);
}

static void test_not_traces(void **state)
{
	static const struct {
		struct file_header h;
		size_t len;
		int code;
		const char *says;
	} table[] = {
		{ { FILE_MAGIC, 1, 0, 2, { 0 } },
		  0,
		  -ENODATA,
		  "is empty: nothing was recorded; record again" },
		{ { FILE_MAGIC, 1, 0, 2, { 0 } }, 31, -EINVAL, "is not a whyscale trace" },
		{ { "PERFILE2", 1, 0, 2, { 0 } }, 32, -EINVAL, "is not a whyscale trace" },
		{ { FILE_MAGIC, 0, 0, 2, { 0 } }, 32, -EINVAL, "is not a whyscale trace" },
		{ { FILE_MAGIC, 7, 0, 2, { 0 } },
		  32,
		  -EPROTONOSUPPORT,
		  "was written by a newer whyscale (format 7, this one reads up to 1): upgrade" },
		{ { FILE_MAGIC, 1, 0, 0, { 0 } }, 32, -EINVAL, "claims 0 CPUs" },
		{ { FILE_MAGIC, 1, 0, 65537, { 0 } }, 32, -EINVAL, "claims 65537 CPUs" },
		{ { FILE_MAGIC, 1, 0, 2, { 0 } }, 32, -EINVAL, "does not say what was recorded" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		int fd = file_of(&table[i].h, table[i].len);

		check_refused(fd_path(fd), table[i].code, table[i].says);
		close(fd);
	}
	check_refused("/nonexistent/whyscale.data", -ENOENT,
		      "there is no /nonexistent/whyscale.data: record first");
	check_refused("/", -EISDIR, "is a directory");
	check_refused("/dev/zero", -EINVAL, "is not a regular file");
}

/* A small file with what is whole after each round. */
struct small {
	uint8_t *bytes;
	size_t len;
	struct oracle o;
	size_t nr_marks;
	struct {
		size_t len, records;
	} marks[16];
};

static void make_small(struct small *s)
{
	enum { CPUS = 3, ROUND = 20 };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, CPUS);
	json_t *last = json_pack("{s:i}", "ended_ns", 5);
	struct err err = { 0 };

	memset(s, 0, sizeof(*s));
	s->o.nr = 4 * ROUND;
	s->o.all = calloc(s->o.nr, sizeof(*s->o.all));
	s->o.seen = calloc(s->o.nr, 1);
	for (size_t i = 0; i < s->o.nr; i++) {
		make_record(&s->o.all[i], i, (unsigned int)random_below(CPUS),
			    i * 10 + random_below(30));
		write_record(w, s->o.all[i].cpu, s->o.all[i].rec);
		if (i % ROUND != ROUND - 1)
			continue;
		write_round(w, i * 10);
		s->marks[s->nr_marks].len = trace_writer_size(w);
		s->marks[s->nr_marks++].records = i + 1;
	}
	assert_int_equal(trace_writer_meta(w, last, &err), 0);
	close_writer(w);
	json_decref(last);
	s->len = (size_t)lseek(fd, 0, SEEK_END);
	s->bytes = malloc(s->len);
	assert_int_equal(pread(fd, s->bytes, s->len, 0), s->len);
	close(fd);
}

static void free_small(struct small *s)
{
	free_oracle(&s->o);
	free(s->bytes);
}

/* How many records stand in rounds that end before `at`. */
static size_t whole_before(const struct small *s, size_t at)
{
	size_t records = 0;

	for (size_t i = 0; i < s->nr_marks && s->marks[i].len <= at; i++)
		records = s->marks[i].records;
	return records;
}

/* Whether a chunk ends at `at`. */
static bool chunk_border(const struct small *s, size_t at)
{
	size_t end = sizeof(struct file_header);

	while (end < at) {
		struct chunk_header h;

		memcpy(&h, s->bytes + end, sizeof(h));
		end += sizeof(h) + h.stored_bytes;
	}
	return end == at;
}

/* Reads a damaged copy. The records of every round before `damage` must be there. False when it was refused. */
static bool read_damaged(struct small *s, int fd, size_t damage, struct trace_state *ret_state)
{
	struct err err = { 0 };
	struct trace_reader *r;

	memset(s->o.seen, 0, s->o.nr);
	s->o.given = s->o.last_time = 0;
	if (trace_open(fd_path(fd), &r, &err)) {
		assert_true(err.code < 0 && err.msg[0]);
		return false;
	}
	assert_int_equal(trace_each(r, expect_written, &s->o, &err), 0);
	*ret_state = *trace_state(r);
	trace_close(r);
	assert_true(s->o.given >= whole_before(s, damage));
	for (size_t i = 0; i < whole_before(s, damage); i++)
		assert_true(s->o.seen[i]);
	return true;
}

static void test_cut_at_every_byte(void **state)
{
	struct small s;

	(void)state;
	make_small(&s);
	for (size_t len = 0; len <= s.len; len++) {
		int fd = file_of(s.bytes, len);
		struct trace_state st;

		if (read_damaged(&s, fd, len, &st))
			assert_int_equal(st.damaged, !chunk_border(&s, len));
		else
			assert_true(len < s.marks[0].len);
		close(fd);
	}
	assert_int_equal(s.o.given, s.o.nr);
	free_small(&s);
}

static void test_every_byte_flipped(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct small s;

	(void)state;
	make_small(&s);
	for (size_t at = 0; at < s.len * LEN(flips); at++) {
		size_t i = at / LEN(flips);
		struct trace_state st;
		int fd;

		s.bytes[i] ^= flips[at % LEN(flips)];
		fd = file_of(s.bytes, s.len);
		if (read_damaged(&s, fd, i < sizeof(struct file_header) ? 0 : i, &st))
			assert_true(st.damaged || i < sizeof(struct file_header));
		else
			assert_true(i < s.marks[0].len);
		s.bytes[i] ^= flips[at % LEN(flips)];
		close(fd);
	}
	free_small(&s);
}

/* What a hostile file does: whatever is in a chunk, its checksum is right. */
static size_t mutate_chunk(uint8_t *chunk, size_t cap)
{
	struct chunk_header h;
	uint8_t raw[1 << 14];
	size_t n;

	memcpy(&h, chunk, sizeof(h));
	n = ZSTD_decompress(raw, sizeof(raw), chunk + sizeof(h), h.stored_bytes);
	assert_false(ZSTD_isError(n));
	for (uint64_t k = random_below(5); k; k--)
		raw[random_below(2) ? random_below(n) : random_below(n < 400 ? n : 400)] ^=
			1u << random_below(8);
	if (!random_below(8))
		n = random_below(n + 1);
	h.stored_bytes = (uint32_t)ZSTD_compress(chunk + sizeof(h), cap - sizeof(h), raw, n, 1);
	h.raw_bytes = (uint32_t)n;
	if (!random_below(8))
		h.time = random_below(2) ? UINT64_MAX : (uint64_t)INT64_MAX - random_below(100);
	if (!random_below(16))
		h.cpu = (uint16_t)random_below(65536);
	if (!random_below(16))
		h.raw_bytes = (uint32_t)random_below(2 * CHUNK_MAX_RAW);
	if (!random_below(16))
		h.type = (uint16_t)random_below(5);
	memcpy(chunk, &h, sizeof(h));
	chunk_seal(chunk);
	return sizeof(h) + h.stored_bytes;
}

static int expect_order(void *arg, const struct trace_event *ev)
{
	volatile uint64_t word = 0;

	assert_true(ev->cpu < 3);
	assert_true(ev->time_ns >= *(uint64_t *)arg && ev->time_ns <= INT64_MAX);
	*(uint64_t *)arg = ev->time_ns;
	for (unsigned int k = 0; k < EV_WORDS(ev->rec[0]); k++)
		word += ev->rec[k];
	return 0;
}

static int hostile_file(const struct small *s)
{
	uint8_t chunk[1 << 15];
	uint64_t to = sizeof(struct file_header);
	int fd = file_of(s->bytes, to);

	for (size_t at = to; at < s->len;) {
		struct chunk_header h;
		size_t len;

		memcpy(&h, s->bytes + at, sizeof(h));
		len = sizeof(h) + h.stored_bytes;
		memcpy(chunk, s->bytes + at, len);
		at += len;
		if (h.type == CHUNK_EVENTS && random_below(2))
			len = mutate_chunk(chunk, sizeof(chunk));
		assert_int_equal(pwrite(fd, chunk, len, (off_t)to), len);
		to += len;
	}
	return fd;
}

static void test_hostile_chunks(void **state)
{
	struct small s;

	(void)state;
	make_small(&s);
	for (unsigned int i = 0; i < 5000; i++) {
		int fd = hostile_file(&s);
		struct trace_reader *r = open_fd(fd);
		struct err err = { 0 };
		uint64_t last = 0;

		assert_int_equal(trace_each(r, expect_order, &last, &err), 0);
		trace_close(r);
		close(fd);
	}
	free_small(&s);
}

/* A chunk whose checksum is right, and which unpacks to fewer bytes than it says. */
static void test_wrong_raw_bytes(void **state)
{
	struct trace_state st = { 0 };
	struct chunk_header h;
	struct small s;
	size_t at = sizeof(struct file_header);
	int fd;

	(void)state;
	make_small(&s);
	memcpy(&h, s.bytes + at, sizeof(h));
	at += sizeof(h) + h.stored_bytes; /* META; then comes the first EVENTS */
	memcpy(&h, s.bytes + at, sizeof(h));
	assert_int_equal(h.type, CHUNK_EVENTS);
	h.raw_bytes += 8;
	memcpy(s.bytes + at, &h, sizeof(h));
	chunk_seal(s.bytes + at);
	fd = file_of(s.bytes, s.len);
	assert_true(read_damaged(&s, fd, at, &st));
	assert_true(st.damaged);
	assert_int_equal(st.damaged_at, at);
	assert_int_equal(st.events, 0);
	close(fd);
	free_small(&s);
}

/* Writes numbered switches until an error or the end. */
static int write_many(struct trace_writer *w, size_t nr, struct err *err)
{
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t rec[3] = { EV_WORD0(i, 3, EV_SWITCH, 0), i, random_below(UINT64_MAX) };

		if (trace_writer_records(w, 0, rec, sizeof(rec), err))
			return err->code;
		if (i % 100 == 99 && trace_writer_round(w, i, err))
			return err->code;
	}
	return 0;
}

static void test_full_disk(void **state)
{
	struct err err = { 0 }, again = { 0 };
	struct rlimit old, small = { 0 };
	struct trace_reader *r;
	struct stat st;
	char path[] = "/tmp/test_trace.XXXXXX";
	int fd = mkstemp(path);
	struct trace_writer *w = new_writer(fd, 1);
	size_t events = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_cur = 20000;
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(write_many(w, 100000, &err), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_non_null(strstr(err.msg, "these are kept"));
	assert_int_equal(write_many(w, 1, &again), -EFBIG);
	assert_string_equal(again.msg, err.msg);
	assert_int_equal(trace_writer_meta(w, json_null(), &again), -EFBIG);
	fstat(fd, &st);
	assert_int_equal(st.st_size, trace_writer_size(w));
	assert_true(st.st_size > 10000 && st.st_size <= 20000);
	assert_int_equal(trace_writer_close(w, &again), -EFBIG);
	r = open_fd(fd);
	assert_int_equal(trace_each(r, count_event, &events, &err), 0);
	assert_true(events > 100 && events % 100 == 0);
	assert_true(trace_state(r)->incomplete && !trace_state(r)->damaged);
	trace_close(r);
	unlink(path);
	close(fd);
}

static void test_cannot_write(void **state)
{
	int pipes[2], full = open("/dev/full", O_RDWR | O_CLOEXEC),
		      rdonly = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct trace_writer *w;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(trace_writer_open(full, 1, &w, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "no space left for the trace"));
	assert_null(w);
	assert_int_equal(trace_writer_open(rdonly, 1, &w, &err), -EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(trace_writer_open(pipes[1], 1, &w, &err), -ESPIPE);
	assert_int_equal(fcntl(pipes[1], F_GETFD), -1);
	close(pipes[0]);
}

static void test_killed_recorder(void **state)
{
	int fd = new_file(), status;
	struct trace_reader *r;
	struct err err = { 0 };
	size_t events = 0;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct trace_writer *w = new_writer(fd, 1);

		write_many(w, 250, &err);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	r = open_fd(fd);
	assert_int_equal(trace_each(r, count_event, &events, &err), 0);
	assert_int_equal(events, 200);
	assert_true(trace_state(r)->incomplete && !trace_state(r)->damaged);
	trace_close(r);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_traces),         cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_flipped), cmocka_unit_test(test_hostile_chunks),
		cmocka_unit_test(test_wrong_raw_bytes),    cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_cannot_write),       cmocka_unit_test(test_killed_recorder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
