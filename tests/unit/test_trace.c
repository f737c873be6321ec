// SPDX-License-Identifier: GPL-2.0-only
/* The trace file, written and read back: against an oracle that sorts what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "random.h"
#include "trace/columns.h"
#include "trace/format.h"
#include "trace_file.h"

#define UNKNOWN_KIND 27
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static int by_time(const void *pa, const void *pb)
{
	const struct written *a = pa, *b = pb;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->cpu != b->cpu)
		return a->cpu < b->cpu ? -1 : 1;
	return a->rec[1] < b->rec[1] ? -1 : 1;
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
