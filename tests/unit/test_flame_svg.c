// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flame graph's file: read back by expat (tests/e2e/flame_check.py), with hostile names, 0, 1 and a million stacks; and what
 * the layout promises, on trees written here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/flame_diff.h"
#include "analysis/flame_tree.h"
#include "base/cleanup.h"
#include "report/flame_layout.h"
#include "report/flame_svg.h"
#include "report/flame_text.h"

static struct flame_frame frame_of(struct flame_tree *t, const char *name, size_t len,
				   enum flame_kind kind)
{
	struct flame_frame f = { .kind = kind };

	assert_int_equal(flame_tree_name(t, name, len, &f.name), 0);
	return f;
}

/* "a b c" as a stack of one-letter frames. */
static void add(struct flame_tree *t, const char *letters, uint64_t value)
{
	struct flame_frame frames[64];
	size_t nr = strlen(letters);

	for (size_t i = 0; i < nr; i++)
		frames[i] = frame_of(t, &letters[i], 1, FLAME_USER);
	assert_int_equal(flame_tree_add(t, frames, nr, value, 1), 0);
}

static struct flame_tree *new_tree(void)
{
	struct flame_tree *t;

	assert_int_equal(flame_tree_new(&t), 0);
	return t;
}

/* ---- text ---- */

static char *put(void (*fn)(FILE *, const char *, size_t), const char *text, size_t len)
{
	char *got;
	size_t got_len;
	FILE *out = open_memstream(&got, &got_len);

	fn(out, text, len);
	fclose(out);
	return got;
}

static void test_text(void **state)
{
	static const struct {
		const char *text, *xml, *json;
	} cases[] = {
		{ "main", "main", "\"main\"" },
		{ "a<b>&\"'", "a&lt;b&gt;&amp;&quot;'", "\"a\\u003cb\\u003e\\u0026\\u0022'\"" },
		{ "]]>", "]]&gt;", "\"]]\\u003e\"" },
		{ "\x1b[2J\n", "\\x1b[2J\\x0a", "\"\\u005cx1b[2J\\u005cx0a\"" },
		{ "\xff\xc0\x80", "\\xff\\xc0\\x80", "\"\\u005cxff\\u005cxc0\\u005cx80\"" },
		{ "\xef\xbf\xbe\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd",
		  "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae", "\"\\u005cxe2\\u005cx80\\u005cxae\"" },
		{ "\xe6\x97\xa5", "\xe6\x97\xa5", "\"\xe6\x97\xa5\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);
		_cleanup_(free_p) char *xml = put(flame_put_xml, cases[i].text, len);
		_cleanup_(free_p) char *json = put(flame_put_json, cases[i].text, len);

		assert_string_equal(xml, cases[i].xml);
		assert_string_equal(json, cases[i].json);
	}
}

static void test_fitting(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *expected;
	} cases[] = {
		{ "main", 4, "main" },
		{ "main", 10, "main" },
		{ "main", 3, "ma\xe2\x80\xa6" },
		{ "a&bcd", 3, "a&amp;\xe2\x80\xa6" },
		{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 6,
		  "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
		{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5,
		  "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6" },
		{ "\xc3\xa9t\xc3\xa9s", 3, "\xc3\xa9t\xe2\x80\xa6" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(free_p) char *got = NULL;
		size_t len;
		FILE *out = open_memstream(&got, &len);

		flame_put_fitting(out, cases[i].text, strlen(cases[i].text), cases[i].columns);
		fclose(out);
		assert_string_equal(got, cases[i].expected);
	}
}

/* ---- the layout ---- */

static void assert_box(const struct flame_layout *l, size_t i, uint32_t depth, uint64_t at,
		       uint64_t width, uint32_t smaller)
{
	assert_true(i < l->nr);
	assert_int_equal(l->boxes[i].depth, depth);
	assert_int_equal(l->boxes[i].at, at);
	assert_int_equal(l->boxes[i].width, width);
	assert_int_equal(l->boxes[i].smaller, smaller);
}

static void test_layout(void **state)
{
	struct flame_tree *t = new_tree();
	struct flame_layout l;

	(void)state;
	add(t, "ma", 9000);
	add(t, "mb", 1); /* 10000 across 1000 pixels: 1 is a tenth of a pixel */
	add(t, "m", 999);
	flame_tree_finish(t, false);
	assert_int_equal(flame_layout_make(t, 1000, &l), 0);
	assert_int_equal(l.nr, 4);
	assert_box(&l, 0, 0, 0, 10000, 0);
	assert_box(&l, 1, 1, 0, 10000, 0);
	assert_box(&l, 2, 2, 0, 9000, 0);
	assert_box(&l, 3, 2, 9000, 1, 0);
	flame_layout_free(&l);

	add(t, "mc", 1); /* now 1 is a little less */
	add(t, "mdxyz", 1);
	add(t, "mdxyzz", 1);
	flame_tree_finish(t, false);
	assert_int_equal(flame_layout_make(t, 1000, &l), 0);
	assert_int_equal(l.nr, 9);
	assert_box(&l, 2, 2, 0, 9000, 0);
	assert_box(&l, 3, 2, 9000, 2, 0); /* d is wide enough, but not what it calls last */
	assert_box(&l, 6, 5, 9000, 2, 0);
	assert_box(&l, 7, 6, 9000, 1, 1);
	assert_box(&l, 8, 2, 9002, 2, 2); /* b and c */
	flame_layout_free(&l);
	flame_tree_free(t);
}

static void test_layout_rest(void **state)
{
	struct flame_tree *t = new_tree();
	struct flame_layout l;

	(void)state;
	add(t, "ma", 100000);
	add(t, "mbx", 3);
	add(t, "mby", 4);
	flame_tree_finish(t, false);
	assert_int_equal(flame_layout_make(t, 1000, &l), 0);
	assert_int_equal(l.nr, 4);
	assert_box(&l, 3, 2, 100000, 7, 1); /* b */
	assert_int_equal(l.boxes[3].value.value, 7);
	assert_int_equal(l.boxes[3].value.count, 2);
	flame_layout_free(&l);
	flame_tree_free(t);
}

/* What vanished keeps its old width, at the right, and widens what is below it; the values stay those of now. */
static void test_layout_diff(void **state)
{
	struct flame_tree *after = new_tree(), *before = new_tree();
	struct flame_layout l;

	(void)state;
	add(after, "mc", 10);
	add(after, "mb", 20);
	add(before, "ma", 5);
	add(before, "mbx", 7);
	add(before, "mby", 1);
	add(before, "mb", 100); /* b shrank, but it is there */
	flame_tree_finish(after, false);
	flame_tree_finish(before, false);
	assert_int_equal(flame_diff(before, after, false), 0);
	flame_tree_free(before);
	assert_int_equal(flame_layout_make(after, 1000, &l), 0);
	assert_int_equal(l.nr, 7);
	assert_box(&l, 0, 0, 0, 43, 0); /* 30 and what vanished: 5 + 7 + 1 */
	assert_int_equal(l.boxes[0].value.value, 30);
	assert_int_equal(l.boxes[0].value.before, 113);
	assert_box(&l, 1, 1, 0, 43, 0);
	assert_box(&l, 2, 2, 0, 28, 0); /* b: 20 + 8 */
	assert_int_equal(l.boxes[2].value.value, 20);
	assert_box(&l, 3, 3, 0, 7, 0);
	assert_int_equal(l.boxes[3].value.value, 0);
	assert_box(&l, 4, 3, 7, 1, 0);
	assert_box(&l, 5, 2, 28, 10, 0); /* c */
	assert_box(&l, 6, 2, 38, 5, 0);  /* a, after those that are there */
	flame_layout_free(&l);
	flame_tree_free(after);
}

/* ---- the file ---- */

static void write_graph(struct flame_tree *t, const struct flame_svg *o, char path[64])
{
	struct err err = {};
	FILE *out;
	int fd;

	snprintf(path, 64, "/tmp/whyscale-test-flame.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	assert_int_equal(flame_svg_write(t, o, out, &err), 0);
	assert_int_equal(fclose(out), 0);
}

/* tests/e2e/flame_check.py, looked for from our own directory upwards. */
static void checker_path(char path[4200])
{
	char dir[4096];
	ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	assert_true(len > 0);
	dir[len] = '\0';
	for (char *slash; (slash = strrchr(dir, '/'));) {
		*slash = '\0';
		snprintf(path, 4200, "%s/tests/e2e/flame_check.py", dir);
		if (!access(path, R_OK))
			return;
	}
	snprintf(path, 4200, "tests/e2e/flame_check.py"); /* a build directory elsewhere */
}

/* Has the checker read the graph; it prints what is wrong. */
static void check_graph(struct flame_tree *t, const struct flame_svg *o, const char *arguments)
{
	char checker[4200], command[8400], path[64];
	int status;

	write_graph(t, o, path);
	checker_path(checker);
	snprintf(command, sizeof(command), "/usr/bin/python3 %s %s %s", checker, path, arguments);
	status = system(command);
	unlink(path);
	assert_int_equal(status, 0);
}

static void test_no_stack(void **state)
{
	const struct flame_svg html = { .html = true }, svg = { .title = "none" },
			       diff = { .diff = true };
	struct flame_tree *t = new_tree();

	(void)state;
	flame_tree_finish(t, false);
	check_graph(t, &svg, "--total 0");
	check_graph(t, &html, "--total 0");
	check_graph(t, &diff, "--total 0");
	flame_tree_free(t);
}

static void test_one_stack(void **state)
{
	const struct flame_svg svg = { .width = 400, .inverted = true, .unit = FLAME_SAMPLES };
	struct flame_tree *t = new_tree();

	(void)state;
	add(t, "abc", 5);
	flame_tree_finish(t, false);
	check_graph(t, &svg, "--total 5 --has a --has c");
	flame_tree_free(t);
}

static void test_hostile(void **state)
{
	static const char *const names[] = {
		"<script>alert(1)</script>",
		"</script><script>alert(1)</script>",
		"]]>",
		"<![CDATA[",
		"-->",
		"\"onload=\"alert(1)",
		"' onmouseover='alert(1)",
		"&lt;&#0;&amp",
		"\x01\x02\x1b[2J\x7f",
		"\xff\xfe\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80",
		"\xef\xbf\xbe\xef\xbf\xbf",
		"\xe2\x80\xaegnp.exe",
		"\\u0022,\\",
		"",
		"${7*7}`",
		"\xf0\x9f\x94\xa5",
	};
	enum { NR = sizeof(names) / sizeof(names[0]) };
	const struct flame_svg svg = { .title = names[0],
				       .subtitle = names[1],
				       .notes = names,
				       .nr_notes = NR,
				       .counted = names[5],
				       .per_thread = true };
	struct flame_svg html = svg, reversed = svg;
	struct flame_tree *t = new_tree();

	(void)state;
	for (size_t i = 0; i < NR; i++) {
		struct flame_frame frames[] = {
			frame_of(t, names[i], strlen(names[i]), FLAME_THREAD),
			frame_of(t, names[(i + 1) % NR], strlen(names[(i + 1) % NR]), FLAME_USER),
			frame_of(t, names[i], strlen(names[i]),
				 (enum flame_kind)(i % FLAME_KIND_NR)),
		};

		assert_int_equal(flame_tree_add(t, frames, 3, 10, 1), 0);
	}
	flame_tree_finish(t, false);
	html.html = true;
	reversed.reversed = reversed.by_value = true;
	reversed.per_thread = false;
	check_graph(
		t, &svg,
		"--total 160 --has '<script>alert(1)</script>' --has '\\x01\\x02\\x1b[2J\\x7f'");
	check_graph(t, &html, "--total 160 --has ']]>'");
	check_graph(t, &reversed, "--total 160");
	flame_tree_free(t);
}

static void test_deep(void **state)
{
	const struct flame_svg svg = {};
	_cleanup_(free_p) struct flame_frame *deep = calloc(4000, sizeof(*deep));
	struct flame_tree *t = new_tree();

	(void)state;
	deep[0] = frame_of(t, "f", 1, FLAME_USER);
	assert_int_equal(flame_tree_add(t, deep, 4000, 3, 1), 0);
	flame_tree_finish(t, false);
	check_graph(t, &svg, "--total 3 --has '[cut]'");
	flame_tree_free(t);
}

/* A million different stacks: the file is small, and its sums are true. */
static void test_million(void **state)
{
	enum { MILLION = 1000000, FRAMES = 12 };
	const struct flame_svg svg = { .unit = FLAME_SAMPLES };
	struct flame_frame frames[FRAMES] = {}, names[200];
	struct flame_tree *t = new_tree();
	char path[64], arguments[64];
	uint64_t total = 0;
	FILE *file;

	(void)state;
	for (int i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "function_%d", i);
		names[i] = frame_of(t, name, strlen(name), FLAME_USER);
	}
	for (uint32_t i = 0; i < MILLION; i++) {
		uint64_t key = i, value = 1 + i % 7 * (i % 1000);

		for (uint32_t j = 0; j < FRAMES; j++, key /= 10)
			frames[j] = names[key % 10 * 17 + j];
		assert_int_equal(flame_tree_add(t, frames, FRAMES, value, 1), 0);
		total += value;
	}
	flame_tree_finish(t, false);
	write_graph(t, &svg, path);
	file = fopen(path, "r");
	fseek(file, 0, SEEK_END);
	assert_in_range(ftell(file), 10000, 8000000);
	fclose(file);
	unlink(path);
	snprintf(arguments, sizeof(arguments), "--total %" PRIu64, total);
	check_graph(t, &svg, arguments);
	flame_tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),        cmocka_unit_test(test_fitting),
		cmocka_unit_test(test_layout),      cmocka_unit_test(test_layout_rest),
		cmocka_unit_test(test_layout_diff), cmocka_unit_test(test_no_stack),
		cmocka_unit_test(test_one_stack),   cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_deep),        cmocka_unit_test(test_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
