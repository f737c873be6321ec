// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks by their ids: this program's own stack, copied and unwound; parts that are missing, come twice or in disorder; Python frames
 * in the place of the interpreter's loop, whose functions are played by some of this file; and garbage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <ucontext.h>
#include <unistd.h>

#include "analysis/calls.h"
#include "analysis/stack_store.h"
#include "symbol_help.h"
#include "trace/kinds.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TGID 7u

struct world {
	struct flame_tree *names;
	struct stack_store *store;
	json_t *kernel;
};

static int add_mapping(void *arg, const struct mapping *m)
{
	struct mapping mine = *m;

	mine.tgid = TGID;
	return stack_store_mapping(arg, &mine);
}

static void open_world(struct world *w, struct stack_store_options o)
{
	struct utsname machine;

	w->kernel = json_pack("{s:s, s:s, s:s}", "0xf1", "schedule", "0xf2", "bpf_prog_ab_switch",
			      "0xf3", "do_nanosleep");
	assert_int_equal(uname(&machine), 0);
	o.arch = syscall_arch_by_name(machine.machine);
	o.kernel_symbols = w->kernel;
	assert_int_equal(flame_tree_new(&w->names), 0);
	assert_int_equal(stack_store_new(&o, w->names, &w->store), 0);
	help_each_mapping(getpid(), 0, add_mapping, w->store);
}

static void close_world(struct world *w)
{
	stack_store_free(w->store);
	flame_tree_free(w->names);
	json_decref(w->kernel);
}

static void feed(struct world *w, void *rec, unsigned int kind)
{
	struct trace_event ev = { .time_ns = 100, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(100, trace_kind_words[kind], kind, 0);
	assert_int_equal(stack_store_event(w->store, &ev), 0);
}

/* The frames of a stack as "main;work", what CL_NO_* is set or not. Valid until the next. */
static const char *shown(struct world *w, const struct stack_ids *ids, struct stack_frames *frames)
{
	static char text[65536];
	size_t at = 0;

	assert_int_equal(stack_store_frames(w->store, ids, frames), 0);
	text[0] = '\0';
	for (size_t i = 0; i < frames->nr && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? ";" : "",
				       flame_tree_string(w->names, frames->frame[i].name,
							 &(size_t){ 0 }));
	return text;
}

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
static void feed_parts(struct world *w, const struct copied *c, uint64_t id, size_t bytes,
		       unsigned int from, unsigned int to)
{
	size_t words = STACK_REGS + (bytes + 7) / 8;
	unsigned int parts = (unsigned int)((words + USTACK_WORDS - 1) / USTACK_WORDS);

	for (unsigned int i = from; i < to && i < parts; i++) {
		struct ev_ustack rec = { .id = id,
					 .part = (uint8_t)i,
					 .parts = (uint8_t)parts,
					 .bytes = (uint16_t)bytes,
					 .tgid = TGID };

		for (size_t k = 0; k < USTACK_WORDS && i * USTACK_WORDS + k < words; k++)
			rec.words[k] = c->words[i * USTACK_WORDS + k];
		feed(w, &rec, EV_USTACK);
	}
}

static void test_unwound(void **state)
{
	struct stack_frames frames;
	static struct copied c;
	struct world w;
	const char *text;

	(void)state;
	outer(&c);
	open_world(&w, (struct stack_store_options){ 0 });
	feed_parts(&w, &c, 1, c.bytes, 0, 255);
	feed_parts(&w, &c, 2, 64, 0, 255);
	text = shown(&w, &(struct stack_ids){ .user = 1 }, &frames);
	assert_non_null(strstr(text, "main;"));
	assert_non_null(strstr(text, ";test_unwound;outer;innermost;copy_here"));
	assert_false(frames.cut);
	assert_false(frames.missing);
	/* the kernel's on top, without what our own program put there */
	feed(&w, &(struct ev_frames){ .id = 9, .parts = 1, .address = { 0xf2, 0xf1, 0xf3 } },
	     EV_KSTACK);
	text = shown(&w, &(struct stack_ids){ .user = 1, .kernel = 9 }, &frames);
	assert_non_null(strstr(text, ";innermost;copy_here;do_nanosleep;schedule"));
	assert_int_equal(frames.frame[frames.nr - 1].kind, FLAME_KERNEL);
	/* a small copy is cut, and says so */
	text = shown(&w, &(struct stack_ids){ .user = 2 }, &frames);
	assert_true(frames.cut);
	assert_int_equal(strncmp(text, CALLS_CUT ";", strlen(CALLS_CUT) + 1), 0);
	assert_non_null(strstr(text, "copy_here"));
	assert_int_equal(frames.frame[0].kind, FLAME_NOTE);
	close_world(&w);
}

static void test_parts(void **state)
{
	struct stack_frames frames;
	static struct copied c;
	struct world w;
	const char *text;
	char whole[4096];

	(void)state;
	outer(&c);
	open_world(&w, (struct stack_store_options){ 0 });
	feed_parts(&w, &c, 1, c.bytes, 0, 255);
	snprintf(whole, sizeof(whole), "%s", shown(&w, &(struct stack_ids){ .user = 1 }, &frames));

	/* twice, one within the other, as two CPUs may write them */
	for (unsigned int i = 0; i < 255; i++) {
		feed_parts(&w, &c, 2, c.bytes, i, i + 1);
		feed_parts(&w, &c, 2, c.bytes, i / 2, i / 2 + 1);
	}
	assert_string_equal(shown(&w, &(struct stack_ids){ .user = 2 }, &frames), whole);
	assert_false(frames.cut);

	/* a part that was lost: what lies before it is used */
	feed_parts(&w, &c, 3, c.bytes, 0, 1);
	feed_parts(&w, &c, 3, c.bytes, 2, 255);
	text = shown(&w, &(struct stack_ids){ .user = 3 }, &frames);
	assert_non_null(strstr(text, "copy_here"));
	assert_int_equal(stack_store_counts(w.store)->partial, 1);

	/* the first one lost, then sent again as a whole */
	feed_parts(&w, &c, 4, c.bytes, 1, 255);
	feed_parts(&w, &c, 4, c.bytes, 0, 255);
	assert_string_equal(shown(&w, &(struct stack_ids){ .user = 4 }, &frames), whole);

	/* never came: each counts once */
	for (int i = 0; i < 3; i++) {
		text = shown(&w, &(struct stack_ids){ .user = 5, .kernel = 6 }, &frames);
		assert_string_equal(text, CALLS_NOT_CAPTURED ";" CALLS_NOT_CAPTURED);
		assert_true(frames.missing);
	}
	assert_int_equal(stack_store_counts(w.store)->absent, 2);
	/* asked for, and could not be had */
	text = shown(&w, &(struct stack_ids){ .no = CL_NO_USER }, &frames);
	assert_string_equal(text, CALLS_NOT_CAPTURED);
	close_world(&w);
}

/* What is kept is bounded. */
static void test_room(void **state)
{
	struct stack_frames frames;
	struct world w;

	(void)state;
	open_world(&w, (struct stack_store_options){ .max_bytes = 100000 });
	for (uint64_t id = 1; id <= 5000; id++)
		feed(&w, &(struct ev_frames){ .id = id, .parts = 255, .address = { 1, 2, 3 } },
		     id % 2 ? EV_KSTACK : EV_UFRAMES);
	assert_true(stack_store_counts(w.store)->bytes <= 100000);
	assert_true(stack_store_counts(w.store)->refused > 4000);
	shown(&w, &(struct stack_ids){ .kernel = 4999 }, &frames);
	assert_true(frames.missing);
	shown(&w, &(struct stack_ids){ .kernel = 1 }, &frames);
	assert_true(frames.cut);
	close_world(&w);
}

/* ---- Python ---- */

/* The interpreter's part is played by these: only their names and addresses matter. */
#define ACTOR(name)                                                        \
	__attribute__((noinline, noclone, used)) int name(int x);          \
	int name(int x)                                                    \
	{                                                                  \
		__asm__ volatile("nop\n\tnop\n\tnop\n\tnop" ::: "memory"); \
		return x + __LINE__;                                       \
	}

ACTOR(_PyEval_EvalFrameDefault)
ACTOR(_PyEval_Vector)
ACTOR(_PyFunction_Vectorcall)
ACTOR(PyObject_Vectorcall)
ACTOR(list_sort)
ACTOR(dict_lookup)
ACTOR(Py_RunMain)

static const struct {
	char letter;
	int (*function)(int);
} actors[] = {
	{ 'E', _PyEval_EvalFrameDefault },
	{ 'V', _PyEval_Vector },
	{ 'F', _PyFunction_Vectorcall },
	{ 'O', PyObject_Vectorcall },
	{ 's', list_sort },
	{ 'd', dict_lookup },
	{ 'R', Py_RunMain },
};

/* Code objects are named by one letter; "!" behind a frame: PY_ENTRY. Outermost first, both. */
static const struct {
	const char *name, *native, *python, *expected;
	bool native_cut, python_cut;
} merges[] = {
	{ "one loop for each frame (3.8 to 3.10)", "REFE", "m!f!",
	  "Py_RunMain;m (x.py:77);f (x.py:70)", false, false },
	{ "one loop for several frames", "RVE", "m!fg",
	  "Py_RunMain;m (x.py:77);f (x.py:70);g (x.py:71)", false, false },
	{ "native functions between two loops stay, what leads from one to the next goes",
	  "RVEOsFVEd", "m!fk!",
	  "Py_RunMain;m (x.py:77);f (x.py:70);list_sort;k (x.py:75);dict_lookup", false, false },
	{ "called, and not there yet: the native leaf is the loop's own", "REFVE", "m!",
	  "Py_RunMain;m (x.py:77);_PyEval_EvalFrameDefault", false, false },
	{ "more Python than loops", "RE", "m!f!g!",
	  "Py_RunMain;m (x.py:77);f (x.py:70);g (x.py:71)", false, false },
	{ "the native stack is cut: matched from within", "FEsE", "m!f!g!",
	  "[cut];m (x.py:77);f (x.py:70);list_sort;g (x.py:71)", true, false },
	{ "cut, but not within the interpreter: the innermost loop has no frame any more",
	  "REFEsEd", "m!f!",
	  "[cut];Py_RunMain;m (x.py:77);f (x.py:70);list_sort;_PyEval_EvalFrameDefault;dict_lookup",
	  true, false },
	{ "cut, and more loops than Python frames", "EFEsEd", "m!f!",
	  "[cut];m (x.py:77);f (x.py:70);list_sort;_PyEval_EvalFrameDefault;dict_lookup", true,
	  false },
	{ "the Python stack is cut: matched from within", "REFEsE", "f!g!",
	  "[cut];Py_RunMain;_PyEval_EvalFrameDefault;f (x.py:70);list_sort;g (x.py:71)", false,
	  true },
	{ "no loop at all", "Rd", "m!f", "Py_RunMain;dict_lookup;m (x.py:77);f (x.py:70)", false,
	  false },
	{ "no native stack", "", "m!fg!", "m (x.py:77);f (x.py:70);g (x.py:71)", false, false },
	{ "no Python frames", "RE", "", "Py_RunMain;_PyEval_EvalFrameDefault", false, false },
	{ "a function that was not told", "RE", "m!?", "Py_RunMain;m (x.py:77);[code not captured]",
	  false, false },
};

static void feed_code(struct world *w, char letter)
{
	struct ev_pycode rec = { .id = (uint64_t)letter,
				 .parts = 1,
				 .version = 11,
				 .first_line = (uint32_t)letter - 'a' + 65,
				 .tgid = TGID };

	rec.bytes =
		(uint32_t)snprintf((char *)rec.byte, sizeof(rec.byte), "%c%cx.py%c", letter, 0, 0);
	feed(w, &rec, EV_PYCODE);
}

static void feed_native(struct world *w, const char *letters, uint64_t id, bool cut)
{
	struct ev_frames rec = { .id = id, .parts = 1, .cut = cut, .tgid = TGID };
	size_t n = strlen(letters);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < LEN(actors); k++)
			if (actors[k].letter == letters[n - 1 - i])
				rec.address[i] = (uintptr_t)actors[k].function + 4;
	feed(w, &rec, EV_UFRAMES);
}

static void feed_python(struct world *w, const char *letters, uint64_t id, bool cut)
{
	struct ev_pystack rec = { .id = id, .parts = 1, .cut = cut, .version = 11, .tgid = TGID };
	unsigned int nr = 0;

	for (size_t i = strlen(letters); i-- > 0;) {
		bool entry = letters[i] == '!';

		i -= entry;
		rec.frame[nr].code = letters[i] == '?' ? 12345 : (uint64_t)letters[i];
		rec.frame[nr++].flags = entry ? PY_ENTRY : 0;
	}
	feed(w, &rec, EV_PYSTACK);
}

static void test_python(void **state)
{
	struct stack_frames frames;
	struct world w;

	(void)state;
	open_world(&w, (struct stack_store_options){ .python = true });
	for (const char *c = "mfgk"; *c; c++)
		feed_code(&w, *c);
	for (size_t i = 0; i < LEN(merges); i++) {
		struct stack_ids ids = { .user = *merges[i].native ? 100 + i : 0,
					 .python = 200 + i };
		const char *text;

		if (ids.user)
			feed_native(&w, merges[i].native, ids.user, merges[i].native_cut);
		feed_python(&w, merges[i].python, ids.python, merges[i].python_cut);
		text = shown(&w, &ids, &frames);
		if (strcmp(text, merges[i].expected))
			fail_msg("%s: got %s, expected %s", merges[i].name, text,
				 merges[i].expected);
		assert_int_equal(frames.cut, merges[i].native_cut || merges[i].python_cut);
	}
	/* the native stack was asked for, and could not be had */
	assert_string_equal(shown(&w, &(struct stack_ids){ .python = 202, .no = CL_NO_USER },
				  &frames),
			    CALLS_NOT_CAPTURED ";m (x.py:77);f (x.py:70);k (x.py:75)");
	assert_true(frames.missing);
	/* frames are of the right kind */
	shown(&w, &(struct stack_ids){ .user = 102, .python = 202 }, &frames);
	assert_int_equal(frames.frame[0].kind, FLAME_USER);
	assert_int_equal(frames.frame[1].kind, FLAME_PYTHON);
	close_world(&w);
}

/* The line that was executed: three lines of two code units each. */
static void test_python_lines(void **state)
{
	struct ev_pycode code = {
		.id = 5, .parts = 1, .version = 10, .first_line = 30, .tgid = TGID
	};
	struct ev_pystack stack = { .id = 6, .parts = 1, .version = 10, .tgid = TGID };
	static const char bytes[] = "run\0dir/y.py\0\4\0\4\1\4\2";
	struct stack_frames frames;
	struct world w;

	(void)state;
	open_world(&w, (struct stack_store_options){ .python = true, .lines = true });
	memcpy(code.byte, bytes, sizeof(bytes));
	code.bytes = sizeof(bytes) - 1;
	feed(&w, &code, EV_PYCODE);
	stack.frame[0] = (struct ev_pyframe){ .code = 5, .at = 10 };
	stack.frame[1] = (struct ev_pyframe){ .code = 5, .at = 6 };
	stack.frame[2] = (struct ev_pyframe){ .code = 5, .at = 0, .flags = PY_ENTRY };
	feed(&w, &stack, EV_PYSTACK);
	assert_string_equal(shown(&w, &(struct stack_ids){ .python = 6 }, &frames),
			    "run (dir/y.py:30);run (dir/y.py:31);run (dir/y.py:33)");
	close_world(&w);
}

/* ---- garbage ---- */

int main(void);

static uint64_t next_random(uint64_t *random)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return *random >> 24;
}

/* Ids are few, so that records meet; the rest is anything. */
static void feed_garbage(struct world *w, uint64_t *random, uintptr_t near)
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
	rec.frames.tgid = TGID;
	feed(w, &rec, kind);
}

static void test_garbage(void **state)
{
	uint64_t random = 42;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct stack_frames frames;
		struct world w;

		open_world(&w, (struct stack_store_options){ .python = true, .lines = round % 2 });
		for (int i = 0; i < 400; i++)
			feed_garbage(&w, &random, (uintptr_t)(round % 2 ? &random : (void *)main));
		for (uint64_t id = 0; id < 41; id++)
			shown(&w, &(struct stack_ids){ id, (id * 7) % 41, (id * 3) % 41, id % 64 },
			      &frames);
		close_world(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwound),      cmocka_unit_test(test_parts),
		cmocka_unit_test(test_room),         cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_lines), cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
