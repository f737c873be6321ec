// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace file, written and read back: against an oracle that sorts what was written, and damaged in every way that
 * is cheap to try. Files are memfds, read by their /proc path. Every record carries a number of its own in word 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "bpf/events.h"
#include "trace/chunk.h"
#include "trace/columns.h"
#include "trace/format.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define UNKNOWN_KIND 27
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What was written: records in the order of their numbers, which within a CPU is the order of its buffer. */
struct written {
	uint64_t time;
	unsigned int cpu;
	uint64_t rec[EV_MAX_WORDS];
};

struct oracle {
	struct written *all;
	size_t nr;
	size_t next; /* of those in order, when reading */
	uint8_t *seen;
	size_t given;
	uint64_t last_time;
};

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

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static const char *fd_path(int fd)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static int new_file(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int file_of(const void *bytes, size_t len)
{
	int fd = new_file();

	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	return fd;
}

static struct trace_writer *new_writer(int fd, unsigned int cpus)
{
	struct err err = { 0 };
	struct trace_writer *w;
	json_t *meta = json_pack("{s:s, s:i}", "kernel", "first", "at_start", 1);

	assert_int_equal(trace_writer_open(dup(fd), cpus, &w, &err), 0);
	assert_int_equal(trace_writer_meta(w, meta, &err), 0);
	json_decref(meta);
	return w;
}

static void write_record(struct trace_writer *w, unsigned int cpu, const uint64_t *rec)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_records(w, cpu, rec, EV_WORDS(rec[0]) * 8, &err), 0);
}

static void write_round(struct trace_writer *w, uint64_t safe)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_round(w, safe, &err), 0);
}

static void close_writer(struct trace_writer *w)
{
	struct err err = { 0 };

	assert_int_equal(trace_writer_close(w, &err), 0);
}

static struct trace_reader *open_fd(int fd)
{
	struct err err = { 0 };
	struct trace_reader *r;

	if (trace_open(fd_path(fd), &r, &err))
		fail_msg("%s", err.msg);
	return r;
}

/* A switch or a wake-up, or anything of any length, numbered. */
static void make_record(struct written *e, uint64_t number, unsigned int cpu, uint64_t time)
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
		e->rec[k] = random_below(3) ? random_below(300) : random_state;
}

static void free_oracle(struct oracle *o)
{
	free(o->all);
	free(o->seen);
}

static int by_time(const void *pa, const void *pb)
{
	const struct written *a = pa, *b = pb;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->cpu != b->cpu)
		return a->cpu < b->cpu ? -1 : 1;
	return a->rec[1] < b->rec[1] ? -1 : 1;
}

static int expect_next(void *arg, const struct trace_event *ev)
{
	struct oracle *o = arg;
	const struct written *e = &o->all[o->next++];

	assert_true(o->next <= o->nr);
	assert_int_equal(ev->time_ns, e->time);
	assert_int_equal(ev->cpu, e->cpu);
	assert_memory_equal(ev->rec, e->rec, EV_WORDS(e->rec[0]) * 8);
	return 0;
}

/* For damaged files: only what was written, each once, time never going back. */
static int expect_written(void *arg, const struct trace_event *ev)
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

struct round_trip {
	const char *name;
	unsigned int cpus;
	size_t records;
	uint64_t gap;      /* between a CPU's records at most; 0: all at once */
	uint64_t disorder; /* how far a record may lie back */
	uint64_t base;
	size_t round_every; /* records; 0: never */
	size_t unknown_every;
};

static void write_random(const struct round_trip *t, struct trace_writer *w, struct oracle *o)
{
	uint64_t *now = calloc(t->cpus, sizeof(*now));

	o->all = calloc(t->records, sizeof(*o->all));
	o->nr = t->records;
	write_round(w, t->base);
	for (size_t i = 0; i < t->records; i++) {
		unsigned int cpu = (unsigned int)random_below(t->cpus);
		uint64_t oldest = UINT64_MAX, unknown[1] = { EV_WORD0(7, 1, UNKNOWN_KIND, 0) };

		now[cpu] += t->gap ? random_below(t->gap) : 0;
		make_record(&o->all[i], i, cpu,
			    t->base + t->disorder + now[cpu] - random_below(t->disorder + 1));
		if (t->unknown_every && i % t->unknown_every == 0)
			write_record(w, cpu, unknown);
		write_record(w, cpu, o->all[i].rec);
		if (!t->round_every || i % t->round_every != t->round_every - 1)
			continue;
		for (cpu = 0; cpu < t->cpus; cpu++)
			oldest = now[cpu] < oldest ? now[cpu] : oldest;
		write_round(w, t->base + oldest);
	}
	free(now);
}

static void check_round_trip(const struct round_trip *t)
{
	struct oracle o = { 0 };
	struct err err = { 0 };
	struct trace_reader *r;
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, t->cpus);

	write_random(t, w, &o);
	close_writer(w);
	qsort(o.all, o.nr, sizeof(*o.all), by_time);
	r = open_fd(fd);
	assert_int_equal(trace_nr_cpus(r), t->cpus);
	for (int times = 0; times < 2; times++) {
		o.next = 0;
		assert_int_equal(trace_each(r, expect_next, &o, &err), 0);
		assert_int_equal(o.next, o.nr);
		assert_int_equal(trace_state(r)->events, o.nr);
		assert_int_equal(trace_state(r)->late, 0);
		assert_false(trace_state(r)->damaged || trace_state(r)->incomplete);
	}
	trace_close(r);
	free_oracle(&o);
	close(fd);
}

static void test_round_trip(void **state)
{
	static const struct round_trip table[] = {
		{ "one record", 1, 1, 10, 0, 0, 0, 0 },
		{ "no record", 4, 0, 10, 0, 0, 0, 0 },
		{ "one CPU in order", 1, 50000, 1000, 0, 0, 700, 0 },
		{ "one CPU, nested programs", 1, 50000, 1000, 3000, 0, 700, 0 },
		{ "two CPUs", 2, 60000, 1000, 0, 12345, 5000, 0 },
		{ "two CPUs without rounds", 2, 60000, 1000, 500, 0, 0, 0 },
		{ "equal times", 3, 20000, 3, 4, 1, 100, 0 },
		{ "all at once", 5, 3000, 0, 0, 99, 50, 0 },
		{ "chaos", 4, 20000, 10, 1000000, 0, 1000, 0 },
		{ "300 CPUs", 300, 30000, 100000, 2000, 0, 5000, 0 },
		{ "unknown kinds between", 2, 5000, 1000, 10, 0, 100, 7 },
		{ "across 2^48", 2, 5000, 1000, 100, (1ull << 48) - 1000000, 300, 0 },
		{ "far beyond 2^48", 2, 5000, 1000, 100, 77ull << 48 | 5, 300, 0 },
		{ "hours between records", 1, 2000, 3600ull * 20000000000, 100, 0, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		print_message("  %s\n", table[i].name);
		check_round_trip(&table[i]);
	}
}

static void test_whole_buffer_at_once(void **state)
{
	enum { NR = 40000 };
	uint64_t *words = calloc(NR, 24);
	struct trace_reader *r;
	struct err err = { 0 };
	struct oracle o = { .all = calloc(NR, sizeof(struct written)), .nr = NR };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2);

	(void)state;
	for (size_t i = 0; i < NR; i++) {
		o.all[i] =
			(struct written){ i * 10, 1, { EV_WORD0(i * 10, 3, EV_WAKEUP, 1), i, ~i } };
		memcpy(words + 3 * i, o.all[i].rec, 24);
	}
	assert_int_equal(trace_writer_records(w, 1, words, NR * 24, &err), 0);
	assert_int_equal(trace_writer_raw(w), NR * 24);
	assert_int_equal(trace_writer_pending(w), NR * 24);
	write_round(w, 5000);
	assert_int_equal(trace_writer_pending(w), 0);
	close_writer(w);
	r = open_fd(fd);
	assert_int_equal(trace_each(r, expect_next, &o, &err), 0);
	assert_int_equal(o.next, NR);
	trace_close(r);
	free_oracle(&o);
	free(words);
	close(fd);
}

static void test_meta_merged(void **state)
{
	json_t *last = json_pack("{s:s, s:i}", "kernel", "last", "ended_ns", 5);
	struct err err = { 0 };
	struct trace_reader *r;
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 1);

	(void)state;
	write_record(w, 0, (uint64_t[]){ EV_WORD0(1, 3, EV_SWITCH, 0), 0, 0 });
	write_round(w, 2);
	assert_int_equal(trace_writer_meta(w, last, &err), 0);
	close_writer(w);
	json_decref(last);
	r = open_fd(fd);
	assert_string_equal(json_string_value(json_object_get(trace_meta(r), "kernel")), "last");
	assert_int_equal(json_integer_value(json_object_get(trace_meta(r), "at_start")), 1);
	assert_int_equal(json_integer_value(json_object_get(trace_meta(r), "ended_ns")), 5);
	trace_close(r);
	close(fd);
}

static void test_late(void **state)
{
	struct oracle o = { 0 };
	struct err err = { 0 };
	struct trace_reader *r;
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2);

	(void)state;
	o.nr = 3;
	o.all = calloc(o.nr, sizeof(*o.all));
	o.seen = calloc(o.nr, 1);
	for (size_t i = 0; i < o.nr; i++)
		o.all[i] = (struct written){ 1000 - 100 * i,
					     i & 1,
					     { EV_WORD0(1000 - 100 * i, 3, EV_WAKE, 0), i, 0 } };
	for (size_t i = 0; i < o.nr; i++) {
		write_record(w, i & 1, o.all[i].rec);
		write_round(w, 2000);
	}
	close_writer(w);
	r = open_fd(fd);
	assert_int_equal(trace_each(r, expect_written, &o, &err), 0);
	assert_int_equal(trace_state(r)->late, 2);
	assert_int_equal(o.given, 3);
	assert_int_equal(o.last_time, 1000);
	trace_close(r);
	free_oracle(&o);
	close(fd);
}

static int stop_at_third(void *arg, const struct trace_event *ev)
{
	(void)ev;
	return ++*(int *)arg == 3 ? -EBADMSG : 0;
}

static void test_stopped_by_its_user(void **state)
{
	struct err err = { 0 };
	struct trace_reader *r;
	int fd = new_file(), calls = 0;
	struct trace_writer *w = new_writer(fd, 1);

	(void)state;
	for (unsigned int i = 0; i < 9; i++)
		write_record(w, 0, (uint64_t[]){ EV_WORD0(i, 3, EV_SWITCH, 0), i, 0 });
	write_round(w, 9);
	close_writer(w);
	r = open_fd(fd);
	assert_int_equal(trace_each(r, stop_at_third, &calls, &err), -EBADMSG);
	assert_int_equal(calls, 3);
	assert_int_equal(trace_state(r)->events, 3);
	assert_false(trace_state(r)->damaged);
	assert_int_equal(err.code, 0);
	trace_close(r);
	close(fd);
}

static int count_event(void *arg, const struct trace_event *ev)
{
	(void)ev;
	++*(size_t *)arg;
	return 0;
}

/* Records between two good ones on one CPU, and a good one in the next chunk. */
static void test_malformed_records(void **state)
{
	static const struct {
		const char *name;
		uint64_t w0;
		size_t events;
		bool damaged;
	} table[] = {
		{ "a longer switch of a later version", EV_WORD0(5, 9, EV_SWITCH, 0), 4, false },
		{ "a switch of 2 words", EV_WORD0(5, 2, EV_SWITCH, 0), 2, true },
		{ "a wake-up of 1 word", EV_WORD0(5, 1, EV_WAKEUP, 0), 2, true },
		{ "books of 11 words", EV_WORD0(5, 11, EV_BOOKS, 0), 2, true },
		{ "an unknown kind of 1 word", EV_WORD0(5, 1, UNKNOWN_KIND, 0), 3, false },
		{ "kind 0", EV_WORD0(5, 4, EV_KIND_NONE, 0), 3, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		uint64_t good[3] = { EV_WORD0(4, 3, EV_SWITCH, 0) },
			 bad[EV_MAX_WORDS] = { table[i].w0 };
		int fd = new_file();
		struct trace_writer *w = new_writer(fd, 1);
		struct trace_reader *r;
		struct err err = { 0 };
		size_t events = 0;

		write_record(w, 0, good);
		write_record(w, 0, bad);
		write_record(w, 0, good);
		write_round(w, 4);
		write_record(w, 0, good);
		close_writer(w);
		r = open_fd(fd);
		print_message("  %s\n", table[i].name);
		assert_int_equal(trace_each(r, count_event, &events, &err), 0);
		assert_int_equal(events, table[i].events);
		assert_int_equal(trace_state(r)->damaged, table[i].damaged);
		trace_close(r);
		close(fd);
	}
}

static void test_writer_refuses(void **state)
{
	static const struct {
		uint64_t rec[3];
		unsigned int cpu;
		int code;
	} table[] = {
		{ { EV_WORD0(1, 0, EV_SWITCH, 0), 0, 0 }, 0, -EBADMSG },
		{ { EV_WORD0(1, 4, EV_SWITCH, 0), 0, 0 }, 0, -EBADMSG },
		{ { EV_WORD0(1, 2, EV_SWITCH, 0), 0, 0 }, 0, -EBADMSG },
		{ { EV_WORD0(1, 3, EV_SWITCH, 0), 0, 0 }, 2, -EINVAL },
		{ { EV_WORD0(1, 3, EV_SWITCH, 0), 0, 0 }, 1, 0 },
	};
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, 2), *none;

	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		struct err err = { 0 };

		assert_int_equal(trace_writer_records(w, table[i].cpu, table[i].rec, 24, &err),
				 table[i].code);
		assert_int_equal(err.code, table[i].code);
	}
	close_writer(w);
	assert_int_equal(trace_writer_open(dup(fd), 0, &none, &(struct err){ 0 }), -EINVAL);
	assert_int_equal(trace_writer_open(dup(fd), FILE_MAX_CPUS + 1, &none, &(struct err){ 0 }),
			 -EINVAL);
	close(fd);
}

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

static void make_small(struct small *s)
{
	struct round_trip t = { .cpus = 3, .records = 20, .gap = 100, .disorder = 30 };
	int fd = new_file();
	struct trace_writer *w = new_writer(fd, t.cpus);
	json_t *last = json_pack("{s:i}", "ended_ns", 5);
	struct err err = { 0 };

	memset(s, 0, sizeof(*s));
	s->o.nr = 4 * t.records;
	s->o.all = calloc(s->o.nr, sizeof(*s->o.all));
	s->o.seen = calloc(s->o.nr, 1);
	for (size_t i = 0; i < s->o.nr; i++) {
		make_record(&s->o.all[i], i, (unsigned int)random_below(t.cpus),
			    i * 10 + random_below(30));
		write_record(w, s->o.all[i].cpu, s->o.all[i].rec);
		if (i % t.records != t.records - 1)
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

static void test_full_time(void **state)
{
	static const struct {
		uint64_t near, time, full;
	} table[] = {
		{ 0, 5, 5 },
		{ 5, 3, 3 },
		{ 0, (1ull << 47) + 5, (1ull << 47) + 5 },
		{ 10, (1ull << 48) - 1, (1ull << 48) - 1 },
		{ (1ull << 48) - 1, 4, (1ull << 48) + 4 },
		{ (1ull << 48) + 4, (1ull << 48) - 1, (1ull << 48) - 1 },
		{ (9ull << 48) + 4, 1000, (9ull << 48) + 1000 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(table); i++)
		assert_int_equal(columns_full_time(table[i].near, table[i].time), table[i].full);
}

/* Columns alone: every number of records around the eights that are turned at once. */
static void test_columns(void **state)
{
	struct columns c = { 0 };
	uint64_t words[64 * 3], back[64 * 4];
	uint8_t raw[COLUMNS_HEADER + sizeof(words)],
		min[1u << EV_KIND_BITS] = { [EV_WAKE] = 3, [EV_SWITCH] = 3 };

	(void)state;
	for (size_t nr = 1; nr <= 64; nr++) {
		struct columns_out out = { .at = back };
		uint64_t near = 0, first;

		for (size_t i = 0; i < nr; i++) {
			words[3 * i] =
				EV_WORD0(i * 1000 + random_below(999), 3, 1 + random_below(2), 5);
			words[3 * i + 1] = random_below(UINT64_MAX);
			words[3 * i + 2] = random_below(UINT64_MAX);
		}
		assert_int_equal(columns_pack(&c, words, nr * 3, &near, &first, raw), 0);
		assert_int_equal(first, EV_TIME(words[0]));
		assert_int_equal(near, EV_TIME(words[3 * nr - 3]));
		assert_int_equal(columns_unpack(&c, raw, COLUMNS_HEADER + nr * 24), 0);
		assert_true(columns_records(&c, first, min, &out) && !out.unsorted);
		assert_ptr_equal(out.at, back + nr * 4);
		for (size_t i = 0; i < nr; i++)
			assert_memory_equal(back + 4 * i + 1, words + 3 * i, 24);
	}
	columns_release(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_time),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_whole_buffer_at_once),
		cmocka_unit_test(test_meta_merged),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_stopped_by_its_user),
		cmocka_unit_test(test_malformed_records),
		cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_not_traces),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_flipped),
		cmocka_unit_test(test_hostile_chunks),
		cmocka_unit_test(test_wrong_raw_bytes),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_cannot_write),
		cmocka_unit_test(test_killed_recorder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
