// SPDX-License-Identifier: GPL-2.0-only
/* Folded stacks read and written: tables of text in, text out; then long lines, pieces, pipes and hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/folded.h"
#include "base/cleanup.h"
#include "report/folded.h"

#define TEXT(s) (s), sizeof(s) - 1

/* Reads `text` from a file; the tree is finished. */
static int read_text(const char *text, size_t len, uint64_t unit, struct flame_tree **ret_tree,
		     struct folded_summary *sum, struct err *err)
{
	char path[] = "/tmp/whyscale-test-folded.XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	assert_int_equal(flame_tree_new(ret_tree), 0);
	r = folded_read(path, unit, *ret_tree, sum, err);
	unlink(path);
	flame_tree_finish(*ret_tree, false);
	return r;
}

static char *written(const struct flame_tree *t)
{
	struct err err = {};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(folded_write(t, out, &err), 0);
	fclose(out);
	return text;
}

static void test_lines(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected; /* as it is written again */
		uint64_t stacks, bad, bad_at;
	} cases[] = {
		{ TEXT(""), "", 0, 0, 0 },
		{ TEXT("\n\n\r\n  \n"), "", 0, 0, 0 },
		{ TEXT("a;b 1\n"), "a;b 1\n", 1, 0, 0 },
		{ TEXT("a;b 1"), "a;b 1\n", 1, 0, 0 },
		{ TEXT("a;b 1\r\na;b 2\r\n"), "a;b 3\n", 2, 0, 0 },
		{ TEXT("a;b\t1  \t\n"), "a;b 1\n", 1, 0, 0 },
		{ TEXT("\xef\xbb\xbf"
		       "a 1\n"),
		  "a 1\n", 1, 0, 0 },
		{ TEXT("a;b c d;e 12\n"), "a;b c d;e 12\n", 1, 0, 0 },
		{ TEXT("operator<< (std::ostream&, int) 7\n"),
		  "operator<< (std::ostream&, int) 7\n", 1, 0, 0 },
		{ TEXT("a;f 3 12\n"), "a;f_3 12\n", 1, 0, 0 }, /* not two values */
		{ TEXT("\xe6\x97\xa5\xe6\x9c\xac;\xf0\x9f\x94\xa5 5\n"),
		  "\xe6\x97\xa5\xe6\x9c\xac;\xf0\x9f\x94\xa5 5\n", 1, 0, 0 },
		{ TEXT("a;\xff\xfe\x01 5\n"), "a;\xff\xfe  5\n", 1, 0, 0 },
		{ TEXT(";a 1\na; 2\na;;b 4\n 8\n"),
		  "[unknown] 8\n[unknown];a 1\na;[unknown] 2\na;[unknown];b 4\n", 4, 0, 0 },
		{ TEXT("no count\na;b 1\nno\n-\n"), "a;b 1\n", 1, 3, 1 },
		{ TEXT("a;b 1\na -1\na 1e5\na 0x1\na 1.2.3\na +1\n"), "a;b 1\n", 1, 5, 2 },
		{ TEXT("a 1.4\nb 1.5\nc 2.\nd 0.9999\n"), "a 1\nb 2\nc 2\nd 1\n", 4, 0, 0 },
		{ TEXT("a 0\nb 1\n"), "b 1\n", 2, 0, 0 },
		{ TEXT("a 9223372036854775807\n"), "a 9223372036854775807\n", 1, 0, 0 },
		{ TEXT("b 1\na 9223372036854775807\n"), "b 1\n", 1, 1, 2 },
		{ TEXT("b 1\na 18446744073709551615\na 18446744073709551616\n"
		       "a 99999999999999999999999999\n"),
		  "b 1\n", 1, 3, 2 },
		{ TEXT("a;b;c 1\na;b 1\na;b;c;d 1\na;bc 1\na;b;cd 1\n"),
		  "a;b 1\na;b;c 1\na;b;c;d 1\na;b;cd 1\na;bc 1\n", 5, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(free_p) char *text = NULL;
		struct folded_summary sum;
		struct flame_tree *t;
		struct err err = {};

		assert_int_equal(read_text(cases[i].text, cases[i].len, 1, &t, &sum, &err), 0);
		text = written(t);
		assert_string_equal(text, cases[i].expected);
		assert_int_equal(sum.bad, cases[i].bad);
		assert_int_equal(sum.bad_at, cases[i].bad_at);
		assert_int_equal(sum.stacks, cases[i].stacks);
		flame_tree_free(t);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *frame, *name;
		enum flame_kind kind;
	} cases[] = {
		{ "read_[k]", "read", FLAME_KERNEL },
		{ "min_[i]", "min", FLAME_INLINED },
		{ "f_[p]", "f", FLAME_PYTHON },
		{ "jit_[j]", "jit", FLAME_USER },
		{ "waker_[w]", "waker", FLAME_WAITING },
		{ "worker/12_[t]", "worker/12", FLAME_THREAD },
		{ "array_[x]", "array_[x]", FLAME_USER },
		{ "_[k]", "_[k]", FLAME_USER },
		{ "[unknown]", "[unknown]", FLAME_NOTE },
		{ "render (views.py:88)", "render (views.py:88)", FLAME_PYTHON },
		{ "render (views.py)", "render (views.py)", FLAME_USER },
		{ "f(int)", "f(int)", FLAME_USER },
		{ "(.py:1)", "(.py:1)", FLAME_USER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct flame_node *nodes;
		struct folded_summary sum;
		struct flame_frame frame;
		struct flame_tree *t;
		struct err err = {};
		char line[128];
		size_t nr, len;

		snprintf(line, sizeof(line), "%s 1\n", cases[i].frame);
		assert_int_equal(read_text(line, strlen(line), 1, &t, &sum, &err), 0);
		nodes = flame_tree_nodes(t, &nr);
		frame = flame_tree_frame(t, nodes[nodes[0].child].first);
		assert_string_equal(flame_tree_string(t, frame.name, &len), cases[i].name);
		assert_int_equal(frame.kind, cases[i].kind);
		flame_tree_free(t);
	}
}

static void test_unit(void **state)
{
	static const char lines[] = "a 5\nb 9223372036854776\n";
	_cleanup_(free_p) char *text = NULL;
	struct folded_summary sum;
	struct flame_tree *t;
	struct err err = {};

	(void)state;
	assert_int_equal(read_text(TEXT(lines), 1000, &t, &sum, &err), 0);
	text = written(t);
	assert_string_equal(text, "a 5000\n");
	assert_int_equal(sum.bad, 1);
	flame_tree_free(t);
}

static void test_refused(void **state)
{
	struct folded_summary sum;
	struct flame_tree *t;
	struct err err = {};

	(void)state;
	assert_int_equal(read_text(TEXT("{\n\"nodes\": []\n}\n"), 1, &t, &sum, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "main;work;read 12"));
	assert_int_equal(folded_read("/nonexistent", 1, t, &sum, &err), -ENOENT);
	assert_int_equal(folded_read("/", 1, t, &sum, &err), -EISDIR);
	flame_tree_free(t);
}

/* A line longer than any buffer that is there at first, one longer than is accepted, and what follows them. */
static void test_long_lines(void **state)
{
	size_t deep = 3 << 20, huge = FOLDED_LINE_MAX + (3 << 20), room = deep + huge + 100, at = 0;
	_cleanup_(free_p) char *text = malloc(room);
	const struct flame_node *nodes;
	struct folded_summary sum;
	struct flame_tree *t;
	struct err err = {};
	size_t nr;

	(void)state;
	for (; at + 4 < deep; at += 4)
		memcpy(text + at, "abc;", 4);
	at += (size_t)snprintf(text + at, room - at, "end 5\n");
	memset(text + at, 'x', huge);
	at += huge;
	at += (size_t)snprintf(text + at, room - at, " 7\nlast 1\nbad\n");
	assert_int_equal(read_text(text, at, 1, &t, &sum, &err), 0);
	assert_int_equal(sum.stacks, 2);
	assert_int_equal(sum.bad, 2);
	assert_int_equal(sum.bad_at, 2);
	assert_int_equal(sum.lines, 4);
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nodes[0].total.value, 6);
	flame_tree_free(t);
}

/* A pipe gives the text in pieces of any size; standard input is "-". */
static void test_pieces(void **state)
{
	static const char text[] = "main;work;a 3\nmain;work;b 4\r\nmain;other 5\nmain;work;a 6";
	int saved = dup(STDIN_FILENO);

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece += 7) {
		_cleanup_(free_p) char *got = NULL;
		struct folded_summary sum;
		struct flame_tree *t;
		struct err err = {};
		int fds[2];
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (!child) {
			for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
				size_t left = sizeof(text) - 1 - at;

				if (write(fds[1], text + at, left < piece ? left : piece) < 0)
					_exit(1);
				usleep(200);
			}
			_exit(0);
		}
		close(fds[1]);
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		assert_int_equal(flame_tree_new(&t), 0);
		assert_int_equal(folded_read("-", 1, t, &sum, &err), 0);
		flame_tree_finish(t, false);
		got = written(t);
		assert_string_equal(got, "main;other 5\nmain;work;a 9\nmain;work;b 4\n");
		flame_tree_free(t);
	}
	dup2(saved, STDIN_FILENO);
	close(saved);
}

/* Names that the format cannot hold are written so that every line is still one stack with one value. */
static void test_written(void **state)
{
	static const struct {
		const char *name;
		uint32_t kind;
		const char *expected;
	} cases[] = {
		{ "a;b", FLAME_USER, "a:b 1\n" },
		{ "a\nb 5", FLAME_USER, "a b_5 1\n" },
		{ "", FLAME_USER, "[unknown] 1\n" },
		{ "worker 12", FLAME_THREAD, "worker_12 1\n" },
		{ "f (dir/x y.py:12)", FLAME_PYTHON, "f 1\n" },
		{ "<module> (x.py:1)", FLAME_PYTHON, "<module> 1\n" },
		{ "f (int)", FLAME_USER, "f (int) 1\n" },
		{ "(x.py:1)", FLAME_PYTHON, "(x.py:1) 1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(free_p) char *text = NULL;
		struct flame_frame frame = { 0, cases[i].kind };
		struct flame_tree *t;

		assert_int_equal(flame_tree_new(&t), 0);
		assert_int_equal(
			flame_tree_name(t, cases[i].name, strlen(cases[i].name), &frame.name), 0);
		assert_int_equal(flame_tree_add(t, &frame, 1, 1, 1), 0);
		flame_tree_finish(t, false);
		text = written(t);
		assert_string_equal(text, cases[i].expected);
		flame_tree_free(t);
	}
}

/* Any bytes at all: no crash, and what is counted adds up. */
static void test_noise(void **state)
{
	static const char alphabet[] = "ab;; \t\r\n0123.\xff\xe6[]_k";
	uint64_t seed = 99;
	char text[4000];

	(void)state;
	for (int turn = 0; turn < 200; turn++) {
		struct folded_summary sum;
		struct flame_tree *t;
		struct err err = {};
		int r;

		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			text[i] = alphabet[(seed >> 33) % sizeof(alphabet)]; /* its NUL, too */
		}
		r = read_text(text, sizeof(text), 1, &t, &sum, &err);
		assert_true(r == 0 || r == -EINVAL);
		assert_int_equal(sum.lines, sum.stacks + sum.bad);
		flame_tree_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),   cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_unit),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_pieces),  cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_written), cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
