// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks by their ids: this program's own stack, copied and unwound; parts that are missing, come twice or in disorder; and garbage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "analysis/calls.h"
#include "stack_help.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- unwinding ---- */

#define COPIED_BYTES 32768

struct copied {
	uint64_t words[COPIED_BYTES / 8 + STACK_REGS];
	size_t bytes; /* of the stack */
};

/* glibc's: where the stack was when the program began. */
extern void *__libc_stack_end;

static void copy_registers(const ucontext_t *uc, struct copied *c)
{
#if defined(__x86_64__)
	static const int reg[] = { REG_RIP, REG_RSP, REG_RBP, REG_RBX,
				   REG_R12, REG_R13, REG_R14, REG_R15 };

	for (size_t i = 0; i < LEN(reg); i++)
		c->words[i] = (uint64_t)uc->uc_mcontext.gregs[reg[i]];
#else
	c->words[0] = uc->uc_mcontext.pc;
	c->words[1] = uc->uc_mcontext.sp;
	c->words[2] = uc->uc_mcontext.regs[29];
	c->words[3] = uc->uc_mcontext.regs[30];
	for (int i = 19; i <= 28; i++)
		c->words[i - 15] = uc->uc_mcontext.regs[i];
#endif
}

/* All of the stack, whatever a sanitizer keeps between its variables. */
__attribute__((noinline, noclone, no_sanitize("address"))) static void copy_here(struct copied *c)
{
	const volatile uint64_t *stack;
	ucontext_t uc;

	getcontext(&uc);
	copy_registers(&uc, c);
	c->bytes = (uintptr_t)__libc_stack_end - c->words[1];
	if (c->bytes > COPIED_BYTES)
		c->bytes = COPIED_BYTES;
	stack = (const volatile uint64_t *)c->words[1];
	for (size_t i = 0; i < c->bytes / 8; i++)
		c->words[STACK_REGS + i] = stack[i];
}

__attribute__((noinline, noclone)) static void innermost(struct copied *c)
{
	copy_here(c);
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline, noclone)) static void outer(struct copied *c)
{
	innermost(c);
	__asm__ volatile("" ::: "memory");
}

/* Feeds parts [from, to) of a copy; `bytes` says how much of the stack is claimed. */
static void feed_parts(struct stack_world *w, const struct copied *c, uint64_t id, size_t bytes,
		       unsigned int from, unsigned int to)
{
	size_t words = STACK_REGS + (bytes + 7) / 8;
	unsigned int parts = (unsigned int)((words + USTACK_WORDS - 1) / USTACK_WORDS);

	for (unsigned int i = from; i < to && i < parts; i++) {
		struct ev_ustack rec = { .id = id,
					 .part = (uint8_t)i,
					 .parts = (uint8_t)parts,
					 .bytes = (uint16_t)bytes,
					 .tgid = STACK_TGID };

		for (size_t k = 0; k < USTACK_WORDS && i * USTACK_WORDS + k < words; k++)
			rec.words[k] = c->words[i * USTACK_WORDS + k];
		stack_world_feed(w, &rec, EV_USTACK);
	}
}

/* Two functions without call frame information, one by the name of where Go's programs begin. */
void no_rules(void);
void _rt0_begin(void);
__asm__(".text\n"
	".globl no_rules\n.type no_rules, %function\nno_rules: nop\nnop\n.size no_rules, 2\n"
	".globl _rt0_begin\n.type _rt0_begin, %function\n_rt0_begin: nop\nnop\n.size _rt0_begin, 2\n");

static void test_unwound(void **state)
{
	struct stack_frames frames;
	static struct copied c;
	struct stack_world w;
	const char *text;

	(void)state;
	outer(&c);
	stack_world_open(&w, (struct stack_store_options){ 0 });
	feed_parts(&w, &c, 1, c.bytes, 0, 255);
	feed_parts(&w, &c, 2, 64, 0, 255);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 1 }, &frames);
	assert_non_null(strstr(text, "main;"));
	assert_non_null(strstr(text, ";test_unwound;outer;innermost;copy_here"));
	assert_false(frames.cut);
	assert_false(frames.missing);
	/* the kernel's on top, without what our own program put there */
	stack_world_feed(
		&w, &(struct ev_frames){ .id = 9, .parts = 1, .address = { 0xf2, 0xf1, 0xf3 } },
		EV_KSTACK);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 1, .kernel = 9 }, &frames);
	assert_non_null(strstr(text, ";innermost;copy_here;do_nanosleep;schedule"));
	assert_int_equal(frames.frame[frames.nr - 1].kind, FLAME_KERNEL);
	/* a small copy is cut, and says so */
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 2 }, &frames);
	assert_true(frames.cut);
	assert_int_equal(strncmp(text, CALLS_CUT ";", strlen(CALLS_CUT) + 1), 0);
	/* in execve(), too: this caller is still there */
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 2, .no = STACK_IDS_EXEC },
				 &frames);
	assert_int_equal(strncmp(text, CALLS_CUT ";", strlen(CALLS_CUT) + 1), 0);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 1, .no = STACK_IDS_EXEC },
				 &frames);
	assert_non_null(strstr(text, "main;"));
	assert_false(frames.cut);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 2 }, &frames);
	assert_non_null(strstr(text, "copy_here"));
	assert_int_equal(frames.frame[0].kind, FLAME_NOTE);
	stack_world_close(&w);
}

/* Code of which nothing says where it returns to: marked, unless it is where a thread begins. */
static void test_in_part(void **state)
{
	struct stack_frames frames;
	static struct copied c;
	struct stack_world w;

	(void)state;
	outer(&c);
	c.words[2] = 4711; /* no frame pointer */
	c.words[0] = 0x1000;
	stack_world_open(&w, (struct stack_store_options){ 0 });
	feed_parts(&w, &c, 1, c.bytes, 0, 255);
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .user = 1 }, &frames),
			    CALLS_IN_PART ";[unknown]");
	assert_true(frames.in_part);
	assert_false(frames.cut);
	assert_int_equal(frames.frame[0].kind, FLAME_NOTE);
	/* but in execve() that is as it should be */
	assert_string_equal(
		stack_world_shown(&w, &(struct stack_ids){ .user = 1, .no = STACK_IDS_EXEC },
				  &frames),
		CALLS_EXEC);
	assert_false(frames.in_part);
	assert_false(frames.missing);

	c.words[0] = (uintptr_t)_rt0_begin;
	feed_parts(&w, &c, 2, c.bytes, 0, 255);
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .user = 2 }, &frames),
			    "_rt0_begin");
	assert_false(frames.in_part);

	c.words[0] = (uintptr_t)no_rules;
	feed_parts(&w, &c, 3, c.bytes, 0, 255);
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .user = 3 }, &frames),
			    CALLS_IN_PART ";no_rules");
	stack_world_close(&w);
}

#if defined(__x86_64__)
/* As gcc writes it: after the pop, the rule for rbp is still that of before. */
extern const char popped_ret[];
__asm__(".text\n.type popped, %function\npopped:\n.cfi_startproc\n"
	"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset 6, -16\n"
	"mov %rsp, %rbp\n.cfi_def_cfa_register 6\n"
	"pop %rbp\n.cfi_def_cfa 7, 8\n"
	"popped_ret: ret\n.cfi_endproc\n.size popped, .-popped\n");

__attribute__((noinline, noclone, optimize("no-omit-frame-pointer"))) static void
by_frame(struct copied *c)
{
	copy_here(c);
	__asm__ volatile("" ::: "memory");
}

/* Interrupted at a ret: the caller is found by rbp, which has been popped. */
static void test_popped(void **state)
{
	struct stack_frames frames;
	static struct copied c, at_ret;
	struct stack_world w;
	const char *text;

	(void)state;
	by_frame(&c);
	/* as if copy_here() had called it where it stands, with the registers of by_frame() */
	stack_world_open(&w, (struct stack_store_options){ 0 });
	at_ret = c;
	at_ret.words[0] = (uintptr_t)popped_ret;
	at_ret.words[1] = c.words[1] - 8;
	at_ret.words[STACK_REGS] = c.words[0];
	memcpy(at_ret.words + STACK_REGS + 1, c.words + STACK_REGS, COPIED_BYTES - 8);
	at_ret.bytes = c.bytes + 8 < COPIED_BYTES ? c.bytes + 8 : COPIED_BYTES;
	feed_parts(&w, &at_ret, 1, at_ret.bytes, 0, 255);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 1 }, &frames);
	assert_non_null(strstr(text, ";test_popped;by_frame;copy_here;popped"));
	assert_false(frames.in_part);
	assert_false(frames.cut);
	stack_world_close(&w);
}
#endif

static void test_parts(void **state)
{
	struct stack_frames frames;
	static struct copied c;
	struct stack_world w;
	const char *text;
	char whole[4096];

	(void)state;
	outer(&c);
	stack_world_open(&w, (struct stack_store_options){ 0 });
	feed_parts(&w, &c, 1, c.bytes, 0, 255);
	snprintf(whole, sizeof(whole), "%s",
		 stack_world_shown(&w, &(struct stack_ids){ .user = 1 }, &frames));

	/* twice, one within the other, as two CPUs may write them */
	for (unsigned int i = 0; i < 255; i++) {
		feed_parts(&w, &c, 2, c.bytes, i, i + 1);
		feed_parts(&w, &c, 2, c.bytes, i / 2, i / 2 + 1);
	}
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .user = 2 }, &frames),
			    whole);
	assert_false(frames.cut);

	/* a part that was lost: what lies before it is used */
	feed_parts(&w, &c, 3, c.bytes, 0, 1);
	feed_parts(&w, &c, 3, c.bytes, 2, 255);
	text = stack_world_shown(&w, &(struct stack_ids){ .user = 3 }, &frames);
	assert_non_null(strstr(text, "copy_here"));
	assert_int_equal(stack_store_counts(w.store)->partial, 1);

	/* the first one lost, then sent again as a whole */
	feed_parts(&w, &c, 4, c.bytes, 1, 255);
	feed_parts(&w, &c, 4, c.bytes, 0, 255);
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .user = 4 }, &frames),
			    whole);

	/* never came: each counts once */
	for (int i = 0; i < 3; i++) {
		text = stack_world_shown(&w, &(struct stack_ids){ .user = 5, .kernel = 6 },
					 &frames);
		assert_string_equal(text, CALLS_NOT_CAPTURED ";" CALLS_NOT_CAPTURED);
		assert_true(frames.missing);
	}
	assert_int_equal(stack_store_counts(w.store)->absent, 2);
	/* asked for, and could not be had */
	text = stack_world_shown(&w, &(struct stack_ids){ .no = CL_NO_USER }, &frames);
	assert_string_equal(text, CALLS_NOT_CAPTURED);
	stack_world_close(&w);
}

/* What is kept is bounded. */
static void test_room(void **state)
{
	struct stack_frames frames;
	struct stack_world w;

	(void)state;
	stack_world_open(&w, (struct stack_store_options){ .max_bytes = 100000 });
	for (uint64_t id = 1; id <= 5000; id++)
		stack_world_feed(
			&w, &(struct ev_frames){ .id = id, .parts = 255, .address = { 1, 2, 3 } },
			id % 2 ? EV_KSTACK : EV_UFRAMES);
	assert_true(stack_store_counts(w.store)->bytes <= 100000);
	assert_true(stack_store_counts(w.store)->refused > 4000);
	stack_world_shown(&w, &(struct stack_ids){ .kernel = 4999 }, &frames);
	assert_true(frames.missing);
	stack_world_shown(&w, &(struct stack_ids){ .kernel = 1 }, &frames);
	assert_true(frames.cut);
	stack_world_close(&w);
}

/* ---- garbage ---- */

int main(void);

static uint64_t next_random(uint64_t *random)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return *random >> 24;
}

/* Ids are few, so that records meet; the rest is anything. */
static void feed_garbage(struct stack_world *w, uint64_t *random, uintptr_t near)
{
	union {
		uint64_t words[EV_MAX_WORDS];
		struct ev_frames frames;
	} rec;
	unsigned int kind = EV_KSTACK + (unsigned int)(next_random(random) % 5);

	for (size_t i = 0; i < EV_MAX_WORDS; i++) {
		uint64_t r = next_random(random);

		rec.words[i] = r % 3 == 0 ? near + r % 65536 : r % 3 == 1 ? r % 9 : r << 20;
	}
	rec.frames.id = next_random(random) % 40;
	if (next_random(random) % 2) {
		rec.frames.part = (uint8_t)(next_random(random) % 3);
		rec.frames.parts = 3;
	}
	rec.frames.tgid = STACK_TGID;
	stack_world_feed(w, &rec, kind);
}

static void test_garbage(void **state)
{
	uint64_t random = 42;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct stack_frames frames;
		struct stack_world w;

		stack_world_open(&w, (struct stack_store_options){ .python = true,
								   .lines = round % 2 });
		for (int i = 0; i < 400; i++)
			feed_garbage(&w, &random, (uintptr_t)(round % 2 ? &random : (void *)main));
		for (uint64_t id = 0; id < 41; id++)
			stack_world_shown(&w,
					  &(struct stack_ids){ id, (id * 7) % 41, (id * 3) % 41,
							       id % 64 },
					  &frames);
		stack_world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwound),
		cmocka_unit_test(test_in_part),
#if defined(__x86_64__)
		cmocka_unit_test(test_popped),
#endif
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
