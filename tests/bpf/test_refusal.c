// SPDX-License-Identifier: GPL-2.0-only
/* What is said when the kernel refuses programs: each time the real reason. Programs of ours, made such that it does. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "irq.skel.h"
#include "probes/probe.h"
#include "probes/refusal.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct err without; /* why there is no BPF here */

static void need_bpf(void)
{
	if (without.code) {
		printf("SKIP: %s\n", without.msg);
		skip();
	}
}

/* Instructions by their fields. */
#define INSN(c, d, s, o, i)                                                         \
	{                                                                           \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) \
	}
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* More turns than the verifier follows. */
static struct bpf_insn too_long[] = {
	MOV(BPF_REG_0, 0),
	INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_0, 0, 0, 1),
	INSN(BPF_JMP | BPF_JLT | BPF_K, BPF_REG_0, 0, -2, 100000000),
	MOV(BPF_REG_0, 0),
	EXIT,
};

/* Reads through what is a number. */
static struct bpf_insn wrong[] = {
	MOV(BPF_REG_2, 0),
	INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_2, 0, 0),
	MOV(BPF_REG_0, 0),
	EXIT,
};

/* What is loaded in the place of each program. */
static struct {
	struct bpf_insn *insn;
	size_t nr;
} instead;

static int exchange(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)cookie;
	opts->line_info_cnt = opts->func_info_cnt = 0; /* of the instructions before */
	return bpf_program__set_insns(prog, instead.insn, instead.nr);
}

static struct irq_bpf *open_irq(void)
{
	struct irq_bpf *skel;

	refusal_listen();
	skel = irq_bpf__open();
	assert_non_null(skel);
	return skel;
}

/* Loads the interrupt programs with others in their place, and expects a sentence that has all `words`. */
static void refused(struct bpf_insn *insn, size_t nr, int code, const char *const *words)
{
	struct irq_bpf *skel = open_irq();
	struct err err = {};

	instead.insn = insn;
	instead.nr = nr;
	assert_int_equal(refusal_error(&err, irq_bpf__load(skel), "the interrupt programs"), code);
	print_message("%s\n", err.msg);
	assert_false(refusal_is_map(bpf_program__name(bpf_object__next_program(skel->obj, NULL))));
	for (; *words; words++)
		assert_non_null(strstr(err.msg, *words));
	irq_bpf__destroy(skel);
}

static int group_setup(void **state)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = exchange);

	(void)state;
	if (probe_by_name("sched")->check(&without))
		return 0;
	return libbpf_register_prog_handler("tp_btf+", BPF_PROG_TYPE_SOCKET_FILTER, 0, &opts) > 0 ?
		       0 :
		       -1;
}

static void test_too_long(void **state)
{
	static const char *const words[] = { "the kernel refused the interrupt programs",
					     "BPF program is too large. Processed 1000001 insn",
					     "--stack-size", NULL };

	(void)state;
	need_bpf();
	refused(too_long, LEN(too_long), -E2BIG, words);
}

static void test_wrong(void **state)
{
	static const char *const words[] = { "the kernel refused the interrupt programs",
					     "R2 invalid mem access 'scalar'", NULL };

	(void)state;
	need_bpf();
	refused(wrong, LEN(wrong), -EACCES, words);
}

static void test_map(void **state)
{
	struct irq_bpf *skel;
	struct err err = {};

	(void)state;
	need_bpf();
	skel = open_irq();
	assert_int_equal(bpf_map__set_value_size(skel->maps.bufs, 3u << 30), 0);
	assert_int_equal(refusal_error(&err, irq_bpf__load(skel), "the interrupt programs"),
			 -E2BIG);
	print_message("%s\n", err.msg);
	assert_true(refusal_is_map("bufs"));
	assert_non_null(strstr(err.msg, "their map 'bufs' cannot be made"));
	irq_bpf__destroy(skel);

	/* what was refused before is forgotten */
	skel = open_irq();
	assert_false(refusal_is_map("bufs"));
	irq_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
