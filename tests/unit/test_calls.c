// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times by stack: small traces whose flame graph can be worked out by hand, to the nanosecond. Each "function" is a mapping of its own
 * whose file does not exist, so that its frame is called "[name]". In every case the graph's total is the ledger's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/calls.h"
#include "analysis/load.h"
#include "symbol_help.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

/* main, work, a, b; and stacks 1: main work a, 2: main work b, 3: main; kernel: 11, 12, and 13 with tracing innermost */
#define WORLD                                                                                \
	"0 cpu0 map 0x1000 0x2000 /none/main\n"                                              \
	"0 cpu0 map 0x2000 0x3000 /none/work\n"                                              \
	"0 cpu0 map 0x3000 0x4000 /none/a\n"                                                 \
	"0 cpu0 map 0x4000 0x5000 /none/b\n"                                                 \
	"50 cpu0 uframes 1 0x3100 0x2100 0x1100\n"                                           \
	"50 cpu0 uframes 2 0x4100 0x2100 0x1100\n"                                           \
	"50 cpu0 uframes 3 0x1100\n"                                                         \
	"50 cpu0 uframes 4 0x3100 0x2100 cut\n"                                              \
	"50 cpu0 kstack 11 0xff10 0xff20\n"                                                  \
	"50 cpu0 kstack 12 0xff30\n"                                                         \
	"50 cpu0 kstack 13 0xff01 0xff02 0xff03 0xff10 0xff20\n"                             \
	"50 cpu0 kstack 14 0xff01 0xff05 0xff06 0xff07 0xff20\n"                             \
	"50 cpu0 kstack 15 0xff30 0xff20 cut\n"                                              \
	"50 cpu0 kstack 16 0xff01 0xff05 0xff07 0xff08 0xff01 0xff02 0xff03 0xff30 0xff20\n" \
	"60 cpu0 snap A tid=1 oncpu\n"                                                       \
	"60 cpu1 snap B tid=2 oncpu\n"

static const char meta_text[] =
	"{'arch': 'x86_64', 'machine': {'cpus': 4}, 'ended_ns': 1000, 'command': ['prog'],"
	" 'kernel_symbols': {'0xff01': 'bpf_prog_1234_on_switch', '0xff02': 'bpf_trace_run4',"
	" '0xff03': '__traceiter_sched_switch', '0xff05': '__perf_event_overflow', "
	" '0xff06': 'hrtimer_interrupt', '0xff07': 'asm_sysvec_apic_timer_interrupt',"
	" '0xff08': 'bpf_task_storage_get', '0xff10': '__schedule', '0xff20': 'do_syscall_64', '0xff30': 'try_to_wake_up'}}";

/* A, alone: B's samples make it whole */
#define B_SAMPLED "70 cpu1 calls B sample u=3\n"
#define B_RAN "[main] 940 1\n"

static const struct {
	const char *name;
	struct calls_options o;
	const char *text, *expected;
} cases[] = {
	{ "a sample stands for the time since the one before; the rest is the last one's",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=1\n"
			  "260 cpu0 calls A sample u=2\n"
			  "300 cpu0 switch A/S:nanosleep idle\n"
			  "400 cpu0 wake A by idle hardirq\n"
			  "400 cpu0 switch idle A\n"
			  "500 cpu0 switch A/P u9\n"
			  "540 cpu0 switch u9 A\n"
			  "550 cpu0 calls A sample u=1\n"
			  "600 cpu0 switch A/X idle\n",
	  "[main] 940 1\n"
	  "[main];[work];[a] 300 2\n"
	  "[main];[work];[b] 100 1\n" },
	{ "no sample at all: not captured",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "600 cpu0 switch A/X idle\n",
	  "[main] 940 1\n"
	  "[stack not captured] 540 0\n" },
	{ "by thread, with its last name",
	  { .mode = CALLS_ON, .per_thread = true },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=1\n"
			  "300 cpu0 name A worker\n"
			  "600 cpu0 switch A/X idle\n",
	  "old/2;[main] 940 1\n"
	  "worker/1;[main];[work];[a] 540 1\n" },
	{ "a sample whose stack could not be had, or never came, keeps its time",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "160 cpu0 calls A sample nouser\n"
			  "260 cpu0 calls A sample u=99\n"
			  "360 cpu0 calls A sample u=98 k=11\n"
			  "600 cpu0 switch A/X idle\n",
	  "[main] 940 1\n"
	  "[stack not captured] 200 2\n"
	  "[stack not captured];do_syscall_64;__schedule 340 1\n" },
	{ "kernel frames stand on those of user space; what took the sample is left out; cut ones say so",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=3 k=11\n"
			  "260 cpu0 calls A sample u=3 k=14\n"
			  "360 cpu0 calls A sample u=4\n"
			  "460 cpu0 calls A sample u=3 k=15\n"
			  "600 cpu0 switch A/X idle\n",
	  "[cut];[work];[a] 100 1\n"
	  "[main] 940 1\n"
	  "[main];[cut];do_syscall_64;try_to_wake_up 240 1\n"
	  "[main];do_syscall_64 100 1\n"
	  "[main];do_syscall_64;__schedule 100 1\n" },
	{ "a sample that came upon a program of ours is its caller's",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=3 k=16\n"
			  "600 cpu0 switch A/X idle\n",
	  "[main] 940 1\n"
	  "[main];do_syscall_64;try_to_wake_up 540 1\n" },
	{ "without kernel frames",
	  { .mode = CALLS_ON, .no_kernel = true },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=1 k=11\n"
			  "600 cpu0 switch A/X idle\n",
	  "[main] 940 1\n"
	  "[main];[work];[a] 540 1\n" },
	{ "untracked time is nobody's: a switch-out was dropped",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "160 cpu0 calls A sample u=1\n"
			  "!300 cpu0 switch A/S:nanosleep idle\n"
			  "500 cpu0 lost 300 300 1\n"
			  "600 cpu0 wake A by idle hardirq\n"
			  "700 cpu0 switch idle A\n"
			  "800 cpu0 calls A sample u=2\n",
	  "[main] 240 1\n"
	  "[main];[work];[b] 300 1\n" },

	{ "what ran while its CPU dropped records has no stack; time before and after is the samples'",
	  { .mode = CALLS_ON },
	  WORLD B_SAMPLED "100 cpu0 switch A/P u9\n"
			  "100 cpu0 switch u9 A\n"
			  "160 cpu0 calls A sample u=1\n"
			  "400 cpu0 lost 200 390 5\n"
			  "420 cpu0 calls A sample u=2\n"
			  "600 cpu0 switch A/X idle\n",
	  "[main] 140 1\n"
	  "[main];[work];[a] 100 1\n"
	  "[main];[work];[b] 250 1\n"
	  "[stack not captured] 190 0\n" },

	{ "off: from the switch-out to the switch-in, by class",
	  { .mode = CALLS_OFF },
	  WORLD "200 cpu0 calls A off u=1 k=13\n"
		"200 cpu0 switch A/S:nanosleep idle\n"
		"300 cpu0 wake A by idle hardirq\n"
		"350 cpu0 switch idle A\n"
		"400 cpu0 calls A off u=2\n"
		"400 cpu0 switch A/P u9\n"
		"430 cpu0 switch u9 A\n"
		"500 cpu0 switch A/S:read idle\n"
		"600 cpu0 wake A by B task\n"
		"600 cpu0 switch idle A\n"
		"700 cpu0 switch A/X idle\n",
	  "[main];[work];[a];do_syscall_64;__schedule;runq_wakeup 50 1\n"
	  "[main];[work];[a];do_syscall_64;__schedule;sleep 100 1\n"
	  "[main];[work];[b];runq_preempted 30 1\n"
	  "[stack not captured];io 100 1\n" },
	{ "off: a new thread has no stack before its first turn; one that still waits counts to the end",
	  { .mode = CALLS_OFF, .per_thread = true },
	  WORLD "100 cpu1 fork B > C tid=3\n"
		"100 cpu1 wakeup C new\n"
		"200 cpu0 calls A off u=1\n"
		"200 cpu0 switch A/S:nanosleep C\n"
		"300 cpu0 switch C/X idle\n",
	  "child/3;[new thread];runq_wakeup 100 1\n"
	  "old/1;[main];[work];[a];sleep 800 1\n" },
	{ "off: the stack of a switch-out that was dropped is not that of the next one",
	  { .mode = CALLS_OFF },
	  WORLD "200 cpu0 calls A off u=1\n"
		"!200 cpu0 switch A/S:nanosleep idle\n"
		"300 cpu0 wake A by idle hardirq\n"
		"310 cpu0 switch idle A\n"
		"400 cpu0 switch A/S:nanosleep idle\n"
		"500 cpu0 wake A by idle hardirq\n"
		"500 cpu0 switch idle A\n",
	  "[stack not captured];sleep 100 1\n" },

	{ "wake: the waker's frames above the sleeper's, its innermost first",
	  { .mode = CALLS_WAKE },
	  WORLD "200 cpu0 calls A off u=1\n"
		"200 cpu0 switch A/S:read idle\n"
		"300 cpu1 calls B wake u=2 k=12\n"
		"300 cpu1 wake A by B task\n"
		"350 cpu0 switch idle A\n"
		"400 cpu0 calls A off u=2\n"
		"400 cpu0 switch A/S:nanosleep idle\n"
		"500 cpu0 wake A by idle hardirq\n"
		"510 cpu0 switch idle A\n"
		"600 cpu0 calls A off u=2\n"
		"600 cpu0 switch A/P u9\n"
		"640 cpu0 switch u9 A\n"
		"700 cpu0 calls A off u=1\n"
		"700 cpu0 switch A/S:read idle\n"
		"710 cpu0 name u9 stranger\n"
		"760 cpu1 wake A by u9 task\n"
		"761 cpu0 switch idle A\n"
		"900 cpu0 calls A off u=3\n"
		"900 cpu0 switch A/S:read idle\n",
	  "[main];[work];[a];io;--;[stack not captured];stranger/9 60 1\n"
	  "[main];[work];[a];io;--;try_to_wake_up;[b];[work];[main];old/2 100 1\n"
	  "[main];[work];[a];runq_wakeup;--;[stack not captured];stranger/9 1 1\n"
	  "[main];[work];[a];runq_wakeup;--;try_to_wake_up;[b];[work];[main];old/2 50 1\n"
	  "[main];[work];[b];runq_preempted 40 1\n"
	  "[main];[work];[b];runq_wakeup;--;[interrupt] 10 1\n"
	  "[main];[work];[b];sleep;--;[interrupt] 100 1\n"
	  "[main];io;--;[not woken] 100 1\n" },
	{ "wake: nested wakers on one CPU, and one whose wake-up never came",
	  { .mode = CALLS_WAKE },
	  WORLD "200 cpu0 calls A off u=3\n"
		"200 cpu0 switch A/S:read idle\n"
		"210 cpu1 calls B wake u=1\n"
		"!210 cpu1 wake A by B task\n"
		"220 cpu1 switch B/P u9\n"
		"300 cpu1 wake A by u9 task\n"
		"301 cpu0 switch idle A\n"
		"310 cpu1 switch u9 B\n",
	  "[main];io;--;[stack not captured];?/9 100 1\n"
	  "[main];runq_wakeup;--;[stack not captured];?/9 1 1\n"
	  "[stack not captured];runq_preempted 90 1\n" },

	{ "lock: at the root the lock and who held it, whoever that was when",
	  { .mode = CALLS_LOCK },
	  WORLD "60 cpu2 snap C tid=3 oncpu\n"
		"200 cpu0 calls A off u=1\n"
		"200 cpu0 futex A addr=0x9000 owner=2,1,0\n"
		"200 cpu0 switch A/S:futex idle\n"
		"250 cpu2 calls C off u=2\n"
		"250 cpu2 futex C addr=0x9000 owner=2,1,0\n"
		"250 cpu2 switch C/S:futex idle\n"
		"400 cpu1 wake A by B task why=1\n"
		"401 cpu0 switch idle A\n"
		"500 cpu0 wake C by A task why=1\n"
		"500 cpu2 switch idle C\n",
	  "mutex 0x9000;held by old/1;[main];[work];[b] 100 1\n"
	  "mutex 0x9000;held by old/2;[main];[work];[a] 200 1\n"
	  "mutex 0x9000;held by old/2;[main];[work];[b] 150 0\n" },
	{ "lock: by waiting thread; nobody is known to hold it; a kernel's lock",
	  { .mode = CALLS_LOCK, .per_thread = true },
	  WORLD "200 cpu0 calls A off u=1\n"
		"200 cpu0 futex A addr=0x9000 op=134 val=0 word=0 timeout\n"
		"200 cpu0 switch A/S:futex idle\n"
		"250 cpu0 wake A by idle hardirq why=2\n"
		"250 cpu0 switch idle A\n"
		"300 cpu0 calls A off k=13\n"
		"300 cpu0 klock A addr=0xffff8000\n"
		"300 cpu0 switch A/D idle\n"
		"370 cpu1 wake A by B task\n"
		"371 cpu0 switch idle A\n",
	  "kernel lock 1;held by old/2;old/1;do_syscall_64;__schedule 70 1\n"
	  "pi_mutex 0x9000;[holder not known];old/1;[main];[work];[a] 50 1\n" },
};

struct shown {
	const struct flame_tree *tree;
	FILE *f;
};

static int show_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		      void *arg)
{
	struct shown *s = arg;

	for (size_t i = 0; i < nr; i++)
		fprintf(s->f, "%s%s", i ? ";" : "",
			flame_tree_string(s->tree, frames[i].name, &(size_t){ 0 }));
	fprintf(s->f, " %" PRIu64 " %" PRIu64 "\n", value->value, value->count);
	return 0;
}

/* The caller frees it. */
static char *show(const struct flame_tree *tree)
{
	char *text = NULL;
	size_t len;
	struct shown s = { tree, open_memstream(&text, &len) };

	assert_non_null(s.f);
	assert_int_equal(flame_tree_each(tree, show_stack, &s), 0);
	fclose(s.f);
	return text;
}

static bool wanted(enum calls_mode mode, enum ledger_class class)
{
	if (mode == CALLS_ON)
		return class == CLASS_ONCPU;
	if (mode == CALLS_LOCK)
		return class == CLASS_LOCK || class == CLASS_GIL || class == CLASS_KLOCK;
	return class != CLASS_ONCPU && class != CLASS_UNTRACKED;
}

/* What the ledger says of the same trace. */
static uint64_t ledger_total(const char *path, enum calls_mode mode)
{
	struct loaded *l;
	struct err err = {};
	uint64_t total = 0;

	assert_int_equal(load_trace(path, &l, &err), 0);
	for (int class = 0; class < CLASS_NR; class ++)
		total += wanted(mode, class) ? l->ledger_ns[class] : 0;
	load_free(l);
	return total;
}

static char *graph(const char *path, const struct calls_options *o)
{
	struct calls_summary summary;
	struct flame_tree *tree;
	struct err err = {};
	char *text;
	size_t nr;

	if (calls_tree(path, o, &tree, &summary, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(summary.total_ns, ledger_total(path, o->mode));
	assert_int_equal(flame_tree_nodes(tree, &nr)[0].total.value, summary.total_ns);
	assert_true(summary.missing_ns <= summary.total_ns);
	text = show(tree);
	flame_tree_free(tree);
	calls_summary_free(&summary);
	return text;
}

static json_t *make_meta(void)
{
	char text[sizeof(meta_text)];
	json_t *meta;

	memcpy(text, meta_text, sizeof(text));
	for (char *at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	meta = json_loads(text, 0, NULL);
	assert_non_null(meta);
	return meta;
}

static void write_trace(const char *path, const char *text)
{
	json_t *meta = make_meta();

	trace_text_write(path, meta, text);
	json_decref(meta);
}

static void test_cases(void **state)
{
	char dir[64], path[96];
	unsigned int failed = 0;

	(void)state;
	help_dir_new(dir);
	snprintf(path, sizeof(path), "%s/trace", dir);
	for (size_t i = 0; i < LEN(cases); i++) {
		char *text;

		write_trace(path, cases[i].text);
		text = graph(path, &cases[i].o);
		if (strcmp(text, cases[i].expected)) {
			failed++;
			print_error("%s:\n--- got\n%s--- expected\n%s", cases[i].name, text,
				    cases[i].expected);
		}
		free(text);
	}
	help_dir_remove(dir);
	assert_int_equal(failed, 0);
}

/* What is said beside the graph, by each mode. */
static void test_summary(void **state)
{
	static const char text[] = WORLD B_SAMPLED "160 cpu0 calls A sample u=1\n"
						   "260 cpu0 calls A sample nouser\n"
						   "300 cpu0 calls A sample u=4 nopython\n"
						   "320 cpu0 calls A sample u=99\n"
						   "400 cpu0 switch A/S:nanosleep idle\n"
						   "500 cpu0 wake A by idle hardirq\n"
						   "500 cpu0 switch idle A\n"
						   "600 cpu0 switch A/X idle\n";
	struct calls_options o = { .mode = CALLS_ON, .python = true };
	struct calls_summary sum;
	struct flame_tree *tree;
	struct err err = {};
	char dir[64], path[96];

	(void)state;
	help_dir_new(dir);
	snprintf(path, sizeof(path), "%s/trace", dir);
	write_trace(path, text);
	assert_int_equal(calls_tree(path, &o, &tree, &sum, &err), 0);
	assert_true(sum.has_stacks);
	assert_int_equal(sum.total_ns, 940 + 440);
	assert_int_equal(sum.missing_ns, 100 + 20 + 180);
	assert_int_equal(sum.cut_ns, 40);
	assert_int_equal(sum.count, 5);
	assert_int_equal(sum.missing, 2);
	assert_int_equal(sum.cut, 1);
	assert_int_equal(sum.no_python, 1);
	assert_int_equal(sum.absent, 1);
	assert_int_equal(sum.untracked_ns, 0);
	assert_int_equal(sum.wall_ns, 940);
	assert_string_equal(sum.command, "prog");
	flame_tree_free(tree);
	calls_summary_free(&sum);

	/* the trace has no stacks of waits: all of that time has none */
	o.mode = CALLS_OFF;
	assert_int_equal(calls_tree(path, &o, &tree, &sum, &err), 0);
	assert_false(sum.has_stacks);
	assert_int_equal(sum.total_ns, 100);
	assert_int_equal(sum.missing_ns, 100);
	flame_tree_free(tree);
	calls_summary_free(&sum);
	help_dir_remove(dir);

	assert_int_equal(calls_tree(path, &o, &tree, &sum, &err), -ENOENT);
	assert_non_null(strstr(err.msg, path));
}

/* Recorded without BPF: the kernel's own counts, none of it with a stack. */
static void test_books(void **state)
{
	static const struct {
		struct calls_options o;
		const char *expected;
	} graphs[] = {
		{ { .mode = CALLS_ON }, "[stack not captured] 500 0\n" },
		{ { .mode = CALLS_ON, .per_thread = true },
		  "one/7;[stack not captured] 300 0\ntwo/8;[stack not captured] 200 0\n" },
		{ { .mode = CALLS_OFF }, "[stack not captured];runq_wakeup 90 0\n" },
		{ { .mode = CALLS_LOCK }, "" },
	};
	json_t *meta = json_pack(
		"{s:s, s:b, s:i, s:[{s:i,s:i,s:s,s:i,s:i,s:i},{s:i,s:i,s:s,s:i,s:i,s:i}]}", "arch",
		"x86_64", "bpf", 0, "ended_ns", 1000, "threads", "tid", 7, "tgid", 7, "comm", "one",
		"exec_ns", 300, "delay_ns", 90, "end_ns", 1000, "tid", 8, "tgid", 7, "comm", "two",
		"exec_ns", 200, "delay_ns", 0, "end_ns", 1000);
	char dir[64], path[96];

	(void)state;
	help_dir_new(dir);
	snprintf(path, sizeof(path), "%s/trace", dir);
	trace_text_write(path, meta, "");
	json_decref(meta);
	for (size_t i = 0; i < LEN(graphs); i++) {
		char *text = graph(path, &graphs[i].o);

		assert_string_equal(text, graphs[i].expected);
		free(text);
	}
	help_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_books),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
