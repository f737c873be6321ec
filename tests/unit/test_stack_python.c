// SPDX-License-Identifier: GPL-2.0-only
/* Python frames in the place of the interpreter's loop, whose functions are played by some of this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "analysis/calls.h"
#include "stack_help.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

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

static void feed_code(struct stack_world *w, char letter)
{
	struct ev_pycode rec = { .id = (uint64_t)letter,
				 .parts = 1,
				 .version = 11,
				 .first_line = (uint32_t)letter - 'a' + 65,
				 .tgid = STACK_TGID };

	rec.bytes =
		(uint32_t)snprintf((char *)rec.byte, sizeof(rec.byte), "%c%cx.py%c", letter, 0, 0);
	stack_world_feed(w, &rec, EV_PYCODE);
}

static void feed_native(struct stack_world *w, const char *letters, uint64_t id, bool cut)
{
	struct ev_frames rec = { .id = id, .parts = 1, .cut = cut, .tgid = STACK_TGID };
	size_t n = strlen(letters);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < LEN(actors); k++)
			if (actors[k].letter == letters[n - 1 - i])
				rec.address[i] = (uintptr_t)actors[k].function + 4;
	stack_world_feed(w, &rec, EV_UFRAMES);
}

static void feed_python(struct stack_world *w, const char *letters, uint64_t id, bool cut)
{
	struct ev_pystack rec = {
		.id = id, .parts = 1, .cut = cut, .version = 11, .tgid = STACK_TGID
	};
	unsigned int nr = 0;

	for (size_t i = strlen(letters); i-- > 0;) {
		bool entry = letters[i] == '!';

		i -= entry;
		rec.frame[nr].code = letters[i] == '?' ? 12345 : (uint64_t)letters[i];
		rec.frame[nr++].flags = entry ? PY_ENTRY : 0;
	}
	stack_world_feed(w, &rec, EV_PYSTACK);
}

static void test_python(void **state)
{
	struct stack_frames frames;
	struct stack_world w;

	(void)state;
	stack_world_open(&w, (struct stack_store_options){ .python = true });
	for (const char *c = "mfgk"; *c; c++)
		feed_code(&w, *c);
	for (size_t i = 0; i < LEN(merges); i++) {
		struct stack_ids ids = { .user = *merges[i].native ? 100 + i : 0,
					 .python = 200 + i };
		const char *text;

		if (ids.user)
			feed_native(&w, merges[i].native, ids.user, merges[i].native_cut);
		feed_python(&w, merges[i].python, ids.python, merges[i].python_cut);
		text = stack_world_shown(&w, &ids, &frames);
		if (strcmp(text, merges[i].expected))
			fail_msg("%s: got %s, expected %s", merges[i].name, text,
				 merges[i].expected);
		assert_int_equal(frames.cut, merges[i].native_cut || merges[i].python_cut);
	}
	/* the native stack was asked for, and could not be had */
	assert_string_equal(
		stack_world_shown(&w, &(struct stack_ids){ .python = 202, .no = CL_NO_USER },
				  &frames),
		CALLS_NOT_CAPTURED ";m (x.py:77);f (x.py:70);k (x.py:75)");
	assert_true(frames.missing);
	/* frames are of the right kind */
	stack_world_shown(&w, &(struct stack_ids){ .user = 102, .python = 202 }, &frames);
	assert_int_equal(frames.frame[0].kind, FLAME_USER);
	assert_int_equal(frames.frame[1].kind, FLAME_PYTHON);
	stack_world_close(&w);
}

/* The line that was executed: three lines of two code units each. */
static void test_python_lines(void **state)
{
	struct ev_pycode code = {
		.id = 5, .parts = 1, .version = 10, .first_line = 30, .tgid = STACK_TGID
	};
	struct ev_pystack stack = { .id = 6, .parts = 1, .version = 10, .tgid = STACK_TGID };
	static const char bytes[] = "run\0dir/y.py\0\4\0\4\1\4\2";
	struct stack_frames frames;
	struct stack_world w;

	(void)state;
	stack_world_open(&w, (struct stack_store_options){ .python = true, .lines = true });
	memcpy(code.byte, bytes, sizeof(bytes));
	code.bytes = sizeof(bytes) - 1;
	stack_world_feed(&w, &code, EV_PYCODE);
	stack.frame[0] = (struct ev_pyframe){ .code = 5, .at = 10 };
	stack.frame[1] = (struct ev_pyframe){ .code = 5, .at = 6 };
	stack.frame[2] = (struct ev_pyframe){ .code = 5, .at = 0, .flags = PY_ENTRY };
	stack_world_feed(&w, &stack, EV_PYSTACK);
	assert_string_equal(stack_world_shown(&w, &(struct stack_ids){ .python = 6 }, &frames),
			    "run (dir/y.py:30);run (dir/y.py:31);run (dir/y.py:33)");
	stack_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
