// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel that refuses the programs with call stacks: the recording goes on without those stacks, and says which and why. The verifier
 * is made to refuse programs of ours by putting a wrong one in their place. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "probes/probe.h"
#include "probes/sched.h"
#include "tests/bpf/one_trace.h"
#include "trace/reader.h"

/* Reads through what is a number: R0 = *(u64 *)0. */
static struct bpf_insn wrong[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2 },
	{ .code = BPF_LDX | BPF_MEM | BPF_DW, .src_reg = BPF_REG_2 },
	{ .code = BPF_JMP | BPF_EXIT },
};

static struct {
	const char *name; /* how the program's name begins; NULL: none is refused */
	int times;        /* so often */
} refuse;

/* What libbpf does itself for these programs, and ours. */
static int prepare(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	const char *event = strchr(bpf_program__section_name(prog), '/') + 1;

	(void)cookie;
	opts->expected_attach_type = BPF_TRACE_RAW_TP;
	opts->attach_btf_id = libbpf_find_vmlinux_btf_id(event, BPF_TRACE_RAW_TP);
	if (!refuse.name || strncmp(bpf_program__name(prog), refuse.name, strlen(refuse.name)) ||
	    refuse.times-- <= 0)
		return 0;
	opts->line_info_cnt = opts->func_info_cnt = 0; /* of the instructions before */
	return bpf_program__set_insns(prog, wrong, sizeof(wrong) / sizeof(wrong[0]));
}

static int attach(const struct bpf_program *prog, long cookie, struct bpf_link **link)
{
	(void)cookie;
	*link = bpf_program__attach_trace(prog);
	return libbpf_get_error(*link);
}

static int group_setup(void **state)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = prepare,
		    .prog_attach_fn = attach);

	if (libbpf_register_prog_handler("tp_btf+", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP,
					 &opts) < 0)
		return -1;
	return one_trace_setup(state);
}

/* ---- what a recording says ---- */

static struct record_result record_refused(const char *name, int times, unsigned int stacks,
					   bool python)
{
	char *argv[] = { one_prog("known"), "pingpong", "200", NULL };
	struct record_options opts = {
		.what = RECORD_COMMAND, .argv = argv, .stacks = stacks, .python = python
	};
	struct record_result result;

	refuse.name = NULL;
	need_bpf();
	refuse.name = name;
	refuse.times = times;
	result = one_record(opts); /* which asserts that BPF was not given up */
	assert_true(refuse.times <= 0);
	print_message("without %s\n", result.no_stacks);
	return result;
}

static int count(void *arg, const struct trace_event *ev)
{
	unsigned int *calls = arg;

	if (EV_KIND(ev->rec[0]) == EV_CALLS)
		calls[EV_FLAGS(ev->rec[0]) & CL_ABOUT]++;
	return 0;
}

/* The kinds that are in the trace, and those that it says were recorded. */
static void expect_kinds(const char *kinds, unsigned int calls[4])
{
	struct trace_reader *reader;
	const json_t *stacks, *list;
	struct err err = {};
	char named[64] = "";

	if (trace_open(one_trace, &reader, &err) || trace_each(reader, count, calls, &err))
		fail_msg("%s", err.msg);
	stacks = json_object_get(trace_meta(reader), "stacks");
	list = json_object_get(stacks, "kinds");
	for (size_t i = 0; i < json_array_size(list); i++) {
		strcat(named, i ? "," : "");
		strcat(named, json_string_value(json_array_get(list, i)));
	}
	assert_string_equal(named, kinds);
	assert_non_null(json_object_get(stacks, "no_stacks"));
	trace_close(reader);
}

static void test_switch(void **state)
{
	unsigned int calls[4] = {};
	struct record_result result =
		record_refused("switch_", 1, STACKS_ON | STACKS_OFF | STACKS_WAKE, false);

	(void)state;
	assert_non_null(strstr(result.no_stacks, "stacks of waits (the kernel refused"));
	assert_non_null(strstr(result.no_stacks, "invalid mem access"));
	expect_kinds("on,wake", calls);
	assert_int_equal(calls[CL_OFF], 0);
	assert_true(calls[CL_WAKE] > 0);
}

static void test_wake(void **state)
{
	unsigned int calls[4] = {};
	struct record_result result = record_refused("wakeup", 1, STACKS_OFF | STACKS_WAKE, false);

	(void)state;
	assert_non_null(strstr(result.no_stacks, "stacks of wake-ups (the kernel refused"));
	expect_kinds("off", calls);
	assert_int_equal(calls[CL_WAKE], 0);
	assert_true(calls[CL_OFF] > 0);
}

/* Twice: Python's functions go first, then the stacks. */
static void test_python(void **state)
{
	unsigned int calls[4] = {};
	struct record_result result =
		record_refused("switch_", 2, STACKS_OFF | STACKS_WAKE | STACKS_LOCK, true);

	(void)state;
	assert_non_null(strstr(result.no_stacks, "Python's functions (the kernel refused"));
	assert_non_null(strstr(result.no_stacks, "; stacks of waits (the kernel refused"));
	expect_kinds("wake", calls);
	assert_int_equal(calls[CL_OFF], 0);
}

/* `check` says so too. */
static void test_check(void **state)
{
	struct err why = {};

	(void)state;
	refuse.name = NULL;
	need_bpf();
	assert_int_equal(sched_try(STACKS_OFF, true, &why), 0);
	refuse.name = "switch_";
	refuse.times = 1;
	assert_int_equal(probe_by_name("sample")->check(&why), 0);
	assert_non_null(strstr(why.msg, "the stacks of waits, locks and wake-ups do not"));
	refuse.times = 1;
	assert_true(probe_by_name("python")->check(&why) < 0);
	assert_non_null(strstr(why.msg, "the kernel refused the scheduler programs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_python),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, group_setup, one_trace_teardown);
}
