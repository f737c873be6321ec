// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report's output forms, against tests/golden, from a trace written here.
 *
 * UPDATE_GOLDEN=1 build/tests/test_report writes the golden files anew: read the difference before you commit it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/load.h"
#include "report/report.h"
#include "report/rows.h"
#include "report/script.h"
#include "trace/writer.h"

#define MS 1000000ull
#define EPOCH 5000000000ull
#define NR_CPUS 2

/* ---- a trace ---- */

/* Gives a record its word 0 and appends it. */
static void add(struct trace_writer *w, unsigned int cpu, uint64_t time_ns, enum ev_kind kind,
		unsigned int flags, void *record, size_t len)
{
	struct err err = {};
	uint64_t w0 = EV_WORD0(time_ns, len / 8, kind, flags);

	memcpy(record, &w0, sizeof(w0));
	assert_int_equal(trace_writer_records(w, cpu, record, len, &err), 0);
}

#define ADD(w, cpu, time, kind, flags, record) \
	add(w, cpu, time, kind, flags, &(record), sizeof(record))

static void add_thread(struct trace_writer *w, uint64_t time, enum ev_kind kind, uint32_t who,
		       uint32_t parent, uint32_t tid, uint32_t tgid, const char *comm)
{
	struct ev_thread thread = { .who = who, .parent = parent, .tid = tid, .tgid = tgid };
	struct ev_books books = { .who = who };
	struct ev_task task = { .who = who,
				.nice = (signed char)(who - 1),
				.nr_cpus = 2,
				.cgroup = 42,
				.cpus = { 3 } };

	memcpy(thread.comm, comm, strnlen(comm, EV_COMM_LEN));
	ADD(w, 0, time, kind, kind == EV_SNAP ? SN_TARGET : 0, thread);
	if (kind == EV_SNAP)
		ADD(w, 0, time, EV_BOOKS, BK_FIRST, books);
	ADD(w, 0, time, EV_TASK, 0, task);
}

static void add_switch(struct trace_writer *w, unsigned int cpu, uint64_t time, uint32_t prev,
		       uint32_t next, unsigned int flags, unsigned int state, uint16_t seq,
		       uint16_t next_seq)
{
	struct ev_switch e = { .prev = prev,
			       .next = next,
			       .state = (ev_u8)state,
			       .prev_seq = seq,
			       .next_seq = next_seq };
	uint32_t how = EV_HOW(35, 0, 0); /* nanosleep */

	for (int i = 0; i < 3; i++)
		e.how[i] = (ev_u8)(how >> (8 * i));
	ADD(w, cpu, time, EV_SWITCH, flags, e);
}

static void add_wake(struct trace_writer *w, unsigned int cpu, uint64_t time, enum ev_kind kind,
		     uint32_t wakee, uint32_t waker, unsigned int flags, uint16_t seq)
{
	struct ev_wake e = { .wakee = wakee, .waker = waker, .seq = seq, .cpu = (ev_u16)cpu };

	ADD(w, cpu, time, kind, flags, e);
}

static void add_books(struct trace_writer *w, unsigned int cpu, uint64_t time, uint32_t who,
		      uint64_t voluntary, uint64_t involuntary, uint64_t exec_ns, uint64_t delay_ns,
		      uint64_t migrations)
{
	struct ev_books e = { .who = who,
			      .nvcsw = voluntary,
			      .nivcsw = involuntary,
			      .exec_ns = exec_ns,
			      .delay_ns = delay_ns,
			      .nr_migrations = migrations };

	ADD(w, cpu, time, EV_BOOKS, BK_DEAD, e);
}

/*
 * server/100 runs 1..11 ms, makes a thread (name with an escape, a bad byte) and a process; the thread is preempted
 * once; the leader sleeps 10 ms. All exit. Time 0 of the machine's idle task is who 0.
 */
static void add_events(struct trace_writer *w)
{
	struct ev_exit code = { .who = 3, .code = 256 };
	struct ev_migrate migrate = { .who = 2, .from = 0, .to = 1 };
	struct ev_name name = { .who = WHO_UNTRACKED | 77, .tgid = 77, .comm = "other prog" };

	add_thread(w, 1 * MS, EV_SNAP, 1, 0, 100, 100, "server");
	add_wake(w, 0, 1 * MS, EV_WAKEUP, 1, WHO_UNTRACKED | 77, WU_NO_WAKE, 0);
	add_switch(w, 0, 1 * MS + 50000, 0, 1, SW_RUNNABLE, 0, 0, 0);
	add_thread(w, 2 * MS, EV_FORK, 2, 1, 101, 100, "wo\x1b[2J\xff rker");
	add_wake(w, 0, 2 * MS, EV_WAKEUP, 2, 0, WU_NEW, 0);
	ADD(w, 0, 2 * MS + 1000, EV_MIGRATE, 0, migrate);
	add_switch(w, 1, 2 * MS + 20000, 0, 2, SW_RUNNABLE, 0, 0, 0);
	add_thread(w, 3 * MS, EV_FORK, 3, 1, 200, 200, "helper");
	add_wake(w, 0, 3 * MS, EV_WAKEUP, 3, 0, WU_NEW, 0);
	add_switch(w, 0, 4 * MS, 1, 3, 0, EV_STATE_INTERRUPTIBLE, 1, 0);
	ADD(w, 0, 6 * MS, EV_EXIT, 0, code);
	add_switch(w, 0, 6 * MS, 3, 0, 0, EV_STATE_DEAD, 1, 0);
	add_books(w, 0, 6 * MS + 200, 3, 1, 0, 2 * MS, 1 * MS, 0);
	ADD(w, 1, 7 * MS, EV_NAME, 0, name);
	add_switch(w, 1, 7 * MS, 2, WHO_UNTRACKED | 77, SW_RUNNABLE | SW_PREEMPT, 0, 1, 0);
	add_switch(w, 1, 9 * MS, WHO_UNTRACKED | 77, 2, SW_RUNNABLE, 0, 0, 1);
	add_switch(w, 1, 12 * MS, 2, 0, 0, EV_STATE_DEAD, 2, 0);
	add_books(w, 1, 12 * MS + 200, 2, 1, 1, 8 * MS, 2 * MS, 1);
	add_wake(w, 0, 14 * MS, EV_WAKE, 1, WHO_UNTRACKED | 77, WK_CONTEXT | WK_HARDIRQ, 1);
	add_switch(w, 0, 14 * MS + 5000, 0, 1, SW_RUNNABLE, 0, 0, 1);
	add_switch(w, 0, 15 * MS, 1, 0, 0, EV_STATE_DEAD, 2, 0);
	add_books(w, 0, 15 * MS + 200, 1, 3, 0, 4 * MS, 0,
		  0); /* one voluntary switch more than we saw */
}

static json_t *meta_of(bool bpf)
{
	return json_pack(
		"{s:s,s:s,s:[s,s,s],s:s,s:s,s:{s:i,s:[i,i]},s:{s:I,s:I},s:s,s:I,s:{s:i,s:i,s:i},"
		"s:{s:I,s:I,s:I,s:b,s:I,s:I,s:I},s:{s:s},s:{s:i},s:b,s:s}",
		"program", "whyscale", "version", "0", "command", "./server", "it's \x1b", "",
		"kernel", "6.18.0", "arch", "x86_64", "machine", "cpus", NR_CPUS, "online", 0, 1,
		"clock", "epoch_ns", (json_int_t)EPOCH, "realtime_ns", (json_int_t)0, "started",
		"2026-01-02T03:04:05Z", "ended_ns", (json_int_t)(16 * MS), "drops", "full", 0,
		"storage", 0, "no_buffer", 0, "cost", "bpf_ns", (json_int_t)20000, "bpf_runs",
		(json_int_t)100, "bpf_sampled_runs", (json_int_t)10, "bpf_estimated", 1,
		"recorder_cpu_ns", (json_int_t)300000, "recorder_events", (json_int_t)33,
		"recursion_misses", (json_int_t)0, "cgroups", "42", "/a b/\x1b", "exit", "status",
		3, "bpf", (int)bpf, "why_not", "this test says so");
}

/* Writes a trace under /tmp and loads it. The path is the caller's; NULL events: none. Takes over meta. */
static struct loaded *make(char *path, json_t *meta, void (*events)(struct trace_writer *w))
{
	struct trace_writer *w;
	struct loaded *l = NULL;
	struct err err = {};
	int fd;

	strcpy(path, "/tmp/test_report.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(trace_writer_open(fd, NR_CPUS, &w, &err), 0);
	assert_int_equal(trace_writer_meta(w, meta, &err), 0);
	if (events)
		events(w);
	assert_int_equal(trace_writer_round(w, 16 * MS, &err), 0);
	assert_int_equal(trace_writer_close(w, &err), 0);
	json_decref(meta);
	if (load_trace(path, &l, &err))
		fail_msg("%s", err.msg);
	return l;
}

/* ---- golden files ---- */

/* tests/golden, looked for from our own directory upwards. */
static void golden_path(const char *name, char *path)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX / 2);

	assert_true(len > 0);
	path[len] = '\0';
	while (strrchr(path, '/')) {
		char *end = strrchr(path, '/');

		strcpy(end, "/tests/golden");
		if (!access(path, F_OK))
			break;
		*end = '\0';
	}
	strcat(path, "/");
	strcat(path, name);
}

static void check_golden(const char *name, const char *text)
{
	char path[PATH_MAX], *expected;
	const char *update = getenv("UPDATE_GOLDEN");
	FILE *file;
	long len;

	golden_path(name, path);
	file = fopen(path, update ? "w" : "r");
	if (!file)
		fail_msg("no golden file %s", path);
	if (update) {
		fputs(text, file);
		fclose(file);
		return;
	}
	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	expected = calloc(1, (size_t)len + 1);
	assert_int_equal(fread(expected, 1, (size_t)len, file), len);
	fclose(file);
	if (strcmp(expected, text))
		print_message("%s differs; now it is:\n%s", name, text);
	assert_string_equal(text, expected);
	free(expected);
}

/* Prints a form of a trace and compares it. The file's own path and size are not in the golden files. */
static void check_form(struct loaded *l, const char *form, int width, const char *golden)
{
	const struct report_form *forms[] = { report_form_by_name(form), NULL };
	struct report_options o = { .width = width, .max_threads = REPORT_THREADS_DEFAULT };
	struct err err = {};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	l->path = "test.data";
	l->state.bytes = 1000;
	assert_int_equal(report_print(l, forms, &o, out, &err), 0);
	fclose(out);
	assert_null(strchr(text, '\x1b'));
	check_golden(golden, text);
	free(text);
}

static void test_forms(void **state)
{
	char path[64];
	struct loaded *l = make(path, meta_of(true), add_events);

	(void)state;
	check_form(l, "table", 100, "report_table.txt");
	check_form(l, "table", 60, "report_table_60.txt");
	check_form(l, "per-cpu", 100, "report_per_cpu.txt");
	check_form(l, "latency", 100, "report_latency.txt");
	check_form(l, "json", 100, "report.json");
	load_free(l);
	unlink(path);
}

/* ---- counters ---- */

static void add_counts(struct trace_writer *w, unsigned int cpu, uint64_t time, uint32_t who,
		       uint16_t seq, unsigned int flags, const uint64_t *values)
{
	struct {
		struct ev_counts head;
		uint64_t value[9];
	} rec = { .head = { .who = who, .seq = seq } };
	size_t nr = flags & CT_SHARED ? 9 : 3;

	memcpy(rec.value, values, nr * sizeof(*values));
	add(w, cpu, time, EV_COUNTS, flags, &rec, sizeof(rec.head) + nr * sizeof(*values));
}

/* Thread 2 shares the hardware, helper's second counter never has it; server's second slice was not seen to begin. */
static void add_counted_events(struct trace_writer *w)
{
	static const uint64_t a[] = { 9000000, 12345678, 40 }, none[] = { 0, 0, 0 };
	static const uint64_t b[] = { 1000, 500, 7, 100, 100, 100, 50, 100, 100 };
	static const uint64_t c[] = { 1, 0, 3, 100, 100, 100, 100, 0, 100 };

	add_events(w);
	add_counts(w, 0, 4 * MS - 1, 1, 1, 0, a);
	add_counts(w, 1, 7 * MS - 1, 2, 1, CT_SHARED, b);
	add_counts(w, 0, 6 * MS - 1, 3, 1, CT_SHARED, c);
	add_counts(w, 1, 12 * MS - 1, 2, 2, CT_SHARED, b);
	add_counts(w, 0, 15 * MS - 1, 1, 2, CT_UNKNOWN, none);
}

static void test_counters(void **state)
{
	static const char *const here[] = { "cycles", "instructions", "page-faults" };
	json_t *meta = meta_of(true), *counters = json_object();
	struct loaded *l;
	char path[64];

	(void)state;
	for (int i = 0; i < 3; i++)
		json_object_set_new(counters, here[i],
				    json_pack("{s:i, s:s, s:i}", "index", i, "unit", here[i],
					      "enabled_ns", 1000));
	json_object_set_new(counters, "cache-misses",
			    json_pack("{s:s}", "unavailable", "this processor does not count it"));
	json_object_set_new(meta, "counters", counters);
	l = make(path, meta, add_counted_events);
	check_form(l, "counters", 100, "report_counters.txt");
	check_form(l, "counters", 60, "report_counters_60.txt");
	check_form(l, "json", 100, "report_counters.json");
	load_free(l);
	unlink(path);
}

static void test_empty(void **state)
{
	char path[64];
	struct loaded *l = make(path, meta_of(true), NULL);

	(void)state;
	check_form(l, "table", 100, "report_empty.txt");
	check_form(l, "json", 100, "report_empty.json");
	load_free(l);
	unlink(path);
}

static void test_without_bpf(void **state)
{
	char path[64];
	json_t *meta = meta_of(false);
	json_t *threads = json_pack("[{s:i,s:i,s:s,s:I,s:I,s:i,s:i,s:I,s:I},i,{s:s},{}]", "tid",
				    100, "tgid", 100, "comm", "server", "exec_ns",
				    (json_int_t)(4 * MS), "delay_ns", (json_int_t)MS, "voluntary",
				    3, "involuntary", 1, "start_ns", (json_int_t)MS, "end_ns",
				    (json_int_t)(15 * MS), 7, "tid", "wrong type");
	struct loaded *l;

	(void)state;
	json_object_set_new(meta, "threads", threads);
	l = make(path, meta, NULL);
	assert_true(l->from_books);
	check_form(l, "table", 100, "report_no_bpf.txt");
	load_free(l);
	unlink(path);
}

/* META with wrong types everywhere reads as if it said nothing. */
static void test_wrong_meta(void **state)
{
	static const char *const keys[] = { "command", "kernel",   "arch",  "machine", "clock",
					    "started", "target",   "drops", "cost",    "counters",
					    "cgroups", "ended_ns", "exit",  "why_not", "threads" };
	static const char *const values[] = {
		"[1,{}]", "{\"a\":[]}", "-1", "\"text\"", "null", "1e300", "9223372036854775807"
	};

	(void)state;
	for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
		const struct report_form *forms[] = { report_form_by_name("json"), NULL };
		struct report_options o = { .width = 100, .max_threads = 1 };
		struct err err = {};
		json_t *meta = json_pack("{s:b}", "bpf", (int)(v & 1));
		FILE *out = fopen("/dev/null", "w");
		struct loaded *l;
		char path[64];

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			json_object_set_new(meta, keys[k],
					    json_loads(values[v], JSON_DECODE_ANY, NULL));
		l = make(path, meta, v % 3 ? add_events : NULL);
		assert_int_equal(report_print(l, forms, &o, out, &err), 0);
		forms[0] = report_form_by_name("table");
		assert_int_equal(report_print(l, forms, &o, out, &err), 0);
		load_free(l);
		unlink(path);
		fclose(out);
	}
}

static void test_script(void **state)
{
	struct trace_reader *reader;
	struct script *script;
	struct err err = {};
	char path[64], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	load_free(make(path, meta_of(true), add_events));
	assert_int_equal(trace_open(path, &reader, &err), 0);
	script = script_new(out, ARCH_X86_64, NULL, 0);
	assert_int_equal(trace_each(reader, script_event, script, &err), 0);
	script_free(script);
	trace_close(reader);
	fclose(out);
	check_golden("script.txt", text);
	free(text);
	unlink(path);
}

/* Many threads in several processes, one pid used twice. */
static void add_crowd(struct trace_writer *w)
{
	uint64_t time = MS;

	for (uint32_t i = 0; i < 100; i++) {
		uint32_t tgid = i < 60 ? 1000 : i < 62 ? 2000 : 3000 + i;
		uint32_t tid = i < 60 ? 1000 + i : tgid;

		add_thread(w, time, EV_FORK, i + 1, 0, tid, tgid, "crowd");
		add_wake(w, 0, time, EV_WAKEUP, i + 1, 0, WU_NEW, 0);
		add_switch(w, 0, time + 1000, 0, i + 1, SW_RUNNABLE, 0, 0, 0);
		add_switch(w, 0, time + 2000, i + 1, 0, 0, EV_STATE_DEAD, 1, 0);
		time += 3000;
	}
}

static void test_rows(void **state)
{
	char path[64], name[ROW_NAME_SIZE];
	struct loaded *l = make(path, meta_of(true), add_crowd);
	struct report_rows rows;
	struct err err = {};
	size_t processes = 0, threads = 0;

	(void)state;
	assert_int_equal(l->nr_threads, 100);
	assert_int_equal(rows_make(l, 70, &rows, &err), 0);
	assert_int_equal(rows.row[0].nr_threads, 60);
	assert_int_equal(rows.row[0].kind, ROW_PROCESS);
	assert_string_equal(row_name(&rows.row[rows.nr - 2], name), "(30 more threads)");
	assert_string_equal(row_name(&rows.row[rows.nr - 1], name), "all 100 threads");
	rows_free(&rows);

	assert_int_equal(rows_make(l, 10, &rows, &err), 0);
	assert_string_equal(row_name(&rows.row[11], name), "  (50 more threads)");
	assert_string_equal(row_name(&rows.row[12], name), "(40 more threads)");
	rows_free(&rows);

	assert_int_equal(rows_make(l, SIZE_MAX, &rows, &err), 0);
	for (size_t i = 0; i < rows.nr; i++) {
		processes += rows.row[i].kind == ROW_PROCESS || rows.row[i].kind == ROW_SINGLE;
		threads += rows.row[i].kind == ROW_THREAD || rows.row[i].kind == ROW_SINGLE;
	}
	assert_int_equal(processes, 41);
	assert_int_equal(threads, 100);
	rows_free(&rows);
	load_free(l);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),      cmocka_unit_test(test_counters),
		cmocka_unit_test(test_empty),      cmocka_unit_test(test_without_bpf),
		cmocka_unit_test(test_wrong_meta), cmocka_unit_test(test_script),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
