// SPDX-License-Identifier: GPL-2.0-only
/* Stacks merged into a tree: against sums made by hand, and against a plain table of prefixes on random stacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/flame_diff.h"
#include "analysis/flame_tree.h"
#include "analysis/flame_view.h"
#include "base/cleanup.h"

/* Adds "main;work;a". A name that begins with '@' is a thread's, with '!' a kernel function's. */
static void add(struct flame_tree *t, const char *text, uint64_t value)
{
	struct flame_frame frames[64];
	char copy[1024];
	char *rest = copy, *name;
	size_t nr = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((name = strsep(&rest, ";"))) {
		frames[nr].kind = *name == '@' ? FLAME_THREAD :
				  *name == '!' ? FLAME_KERNEL :
						 FLAME_USER;
		assert_int_equal(flame_tree_name(t, name, strlen(name), &frames[nr].name), 0);
		nr++;
	}
	assert_int_equal(flame_tree_add(t, frames, nr, value, 1), 0);
}

struct text {
	const struct flame_tree *t;
	char buf[4096];
	size_t len;
};

static int put_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		     void *arg)
{
	struct text *text = arg;

	for (size_t i = 0; i < nr; i++) {
		size_t len;
		const char *name = flame_tree_string(text->t, frames[i].name, &len);

		text->len += (size_t)snprintf(text->buf + text->len, sizeof(text->buf) - text->len,
					      "%s%.*s", i ? ";" : "", (int)len, name);
	}
	text->len += (size_t)snprintf(text->buf + text->len, sizeof(text->buf) - text->len,
				      " %" PRIu64, value->value);
	if (value->before)
		text->len += (size_t)snprintf(text->buf + text->len, sizeof(text->buf) - text->len,
					      "/%" PRIu64, value->before);
	text->buf[text->len++] = '\n';
	text->buf[text->len] = '\0';
	return 0;
}

static void assert_stacks(const struct flame_tree *t, const char *expected)
{
	struct text text = { .t = t };

	assert_int_equal(flame_tree_each(t, put_stack, &text), 0);
	assert_string_equal(text.buf, expected);
}

static void fill(struct flame_tree *t, const char *const *stacks, const uint64_t *values)
{
	for (size_t i = 0; stacks[i]; i++)
		add(t, stacks[i], values[i]);
}

static struct flame_tree *filled(const char *const *stacks, const uint64_t *values)
{
	struct flame_tree *t;

	assert_int_equal(flame_tree_new(&t), 0);
	fill(t, stacks, values);
	flame_tree_finish(t, false);
	return t;
}

static void test_merged(void **state)
{
	static const struct {
		const char *stacks[8];
		uint64_t values[8];
		const char *expected;
		size_t nodes; /* with the root: a run is divided only where stacks part */
	} cases[] = {
		{ { NULL }, {}, "", 1 },
		{ { "a", NULL }, { 7 }, "a 7\n", 2 },
		{ { "main;work;a", "main;work;b", NULL },
		  { 3, 1 },
		  "main;work;a 3\nmain;work;b 1\n",
		  4 },
		{ { "a;b;c;d", "a;b", NULL }, { 1, 2 }, "a;b 2\na;b;c;d 1\n", 3 },
		{ { "a;b", "a;b;c;d", NULL }, { 1, 2 }, "a;b 1\na;b;c;d 2\n", 3 },
		{ { "a;b;c;d", "a;b;x", "a;y", "z", "a;b;c;d", NULL },
		  { 1, 2, 4, 8, 16 },
		  "a;b;c;d 17\na;b;x 2\na;y 4\nz 8\n",
		  7 },
		{ { "a;a;a", "a;a", "a", NULL }, { 1, 1, 1 }, "a 1\na;a 1\na;a;a 1\n", 4 },
		{ { "a;b", "a;c", NULL }, { 0, 5 }, "a;c 5\n", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flame_tree *t = filled(cases[i].stacks, cases[i].values);
		size_t nr;

		assert_stacks(t, cases[i].expected);
		flame_tree_nodes(t, &nr);
		assert_int_equal(nr, cases[i].nodes);
		flame_tree_free(t);
	}
}

static void test_totals(void **state)
{
	static const char *const stacks[] = { "main;work;a", "main;work;b", "main", NULL };
	static const uint64_t values[] = { 3, 1, 10 };
	struct flame_tree *t = filled(stacks, values);
	const struct flame_node *nodes, *n;
	size_t nr;

	(void)state;
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nodes[0].total.value, 14);
	assert_int_equal(nodes[0].total.count, 3);
	n = &nodes[nodes[0].child];
	assert_int_equal(n->nr, 1);
	assert_int_equal(n->total.value, 14);
	assert_int_equal(n->self.value, 10);
	assert_int_equal(n->next, 0);
	n = &nodes[n->child];
	assert_int_equal(n->nr, 1);
	assert_int_equal(n->total.value, 4);
	assert_int_equal(n->self.value, 0);
	flame_tree_free(t);
}

static void test_order(void **state)
{
	static const char *const stacks[] = { "m;b", "m;a", "m;ab", "m;c;x", NULL };
	static const uint64_t values[] = { 5, 1, 9, 7 };
	struct flame_tree *t = filled(stacks, values);

	(void)state;
	assert_stacks(t, "m;a 1\nm;ab 9\nm;b 5\nm;c;x 7\n");
	flame_tree_finish(t, true);
	assert_stacks(t, "m;ab 9\nm;c;x 7\nm;b 5\nm;a 1\n");
	add(t, "m;a", 100); /* more may come afterwards */
	flame_tree_finish(t, true);
	assert_stacks(t, "m;a 101\nm;ab 9\nm;c;x 7\nm;b 5\n");
	flame_tree_free(t);
}

static void test_kinds(void **state)
{
	struct flame_tree *t;
	struct flame_frame user = { 0, FLAME_USER }, kernel = { 0, FLAME_KERNEL };
	const struct flame_node *nodes;
	size_t nr;

	(void)state;
	assert_int_equal(flame_tree_new(&t), 0);
	assert_int_equal(flame_tree_name(t, "read", 4, &user.name), 0);
	assert_int_equal(flame_tree_name(t, "read", 4, &kernel.name), 0);
	assert_int_equal(user.name, kernel.name);
	assert_int_equal(flame_tree_add(t, &kernel, 1, 1, 1), 0);
	assert_int_equal(flame_tree_add(t, &user, 1, 2, 1), 0);
	flame_tree_finish(t, false);
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nr, 3);
	assert_int_equal(flame_tree_frame(t, nodes[nodes[0].child].first).kind, FLAME_USER);
	flame_tree_free(t);
}

static void test_limits(void **state)
{
	_cleanup_(free_p) struct flame_frame *deep = calloc(5000, sizeof(*deep));
	_cleanup_(free_p) char *long_name = malloc(FLAME_NAME_MAX + 10);
	const struct flame_node *nodes;
	struct flame_frame last;
	struct flame_tree *t;
	uint32_t cut, same;
	size_t nr, len;

	(void)state;
	assert_int_equal(flame_tree_new(&t), 0);
	assert_int_equal(flame_tree_name(t, "f", 1, &deep[0].name), 0);
	assert_int_equal(flame_tree_add(t, deep, 5000, 1, 1), 0);
	assert_int_equal(flame_tree_add(t, deep, FLAME_DEPTH_MAX, 1, 1), 0);
	flame_tree_finish(t, false);
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nr, 4); /* the root, 2047 frames, the 2048th, the note */
	assert_int_equal(nodes[nodes[0].child].nr, FLAME_DEPTH_MAX - 1);
	last = flame_tree_frame(t, nodes[nodes[nodes[0].child].child].first);
	assert_string_equal(flame_tree_string(t, last.name, &len), FLAME_CUT);
	assert_int_equal(last.kind, FLAME_NOTE);

	memset(long_name, 'x', FLAME_NAME_MAX + 10);
	assert_int_equal(flame_tree_name(t, long_name, FLAME_NAME_MAX + 10, &cut), 0);
	assert_int_equal(flame_tree_name(t, long_name, FLAME_NAME_MAX, &same), 0);
	assert_int_equal(cut, same);

	assert_int_equal(flame_tree_add(t, deep, 1, UINT64_MAX, 1), -EOVERFLOW);
	assert_int_equal(flame_tree_add(t, deep, 1, INT64_MAX - 2, 1), 0);
	assert_int_equal(flame_tree_add(t, deep, 1, 1, 1), -EOVERFLOW);
	flame_tree_finish(t, false);
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nodes[0].total.value, INT64_MAX);
	flame_tree_free(t);
}

static void test_views(void **state)
{
	static const char *const stacks[] = { "@t1;main;a;!k", "@t2;main;a;!k", "lock;@t1;b;!k",
					      NULL };
	static const uint64_t values[] = { 1, 2, 4 };
	static const struct {
		struct flame_view view;
		const char *expected;
	} cases[] = {
		{ { false, false }, "@t1;main;a;!k 1\n@t2;main;a;!k 2\nlock;@t1;b;!k 4\n" },
		{ { true, false }, "lock;b;!k 4\nmain;a;!k 3\n" },
		{ { false, true }, "@t1;!k;a;main 1\n@t1;!k;b;lock 4\n@t2;!k;a;main 2\n" },
		{ { true, true }, "!k;a;main 3\n!k;b;lock 4\n" },
	};
	struct flame_tree *t = filled(stacks, values), *view;

	(void)state;
	assert_true(flame_view_has_threads(t));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(flame_view_make(t, &cases[i].view, false, &view), 0);
		assert_stacks(view, cases[i].expected);
		assert_int_equal(flame_view_has_threads(view), !cases[i].view.merged);
		flame_tree_free(view);
	}
	flame_tree_free(t);
}

static void test_diff(void **state)
{
	static const char *const now[] = { "main;a", "main;b", "main;new", NULL };
	static const uint64_t now_values[] = { 1, 2, 3 };
	static const char *const then[] = { "main;gone;x", "main;a", "main;b", NULL };
	static const uint64_t then_values[] = { 10, 5, 2 };
	struct flame_tree *after = filled(now, now_values), *before = filled(then, then_values);
	const struct flame_node *nodes;
	size_t nr;

	(void)state;
	assert_int_equal(flame_diff(before, after, false), 0);
	flame_tree_free(before);
	assert_stacks(after, "main;a 1/5\nmain;b 2/2\nmain;gone;x 0/10\nmain;new 3\n");
	nodes = flame_tree_nodes(after, &nr);
	assert_int_equal(nodes[0].total.value, 6);
	assert_int_equal(nodes[0].total.before, 17);
	flame_tree_free(after);
}

/* A third of each, and not a unit lost: 1000 stacks of 1 were before, 333 are now. */
static void test_diff_normalized(void **state)
{
	static const char *const now[] = { "main;a", NULL }, *const then[] = { "gone", "main;a",
									       NULL };
	static const uint64_t now_values[] = { 300 }, then_values[] = { 500, 1000 };
	struct flame_tree *after = filled(now, now_values), *before = filled(then, then_values);
	const struct flame_node *nodes;
	char name[32];
	size_t nr;

	(void)state;
	assert_int_equal(flame_diff(before, after, true), 0);
	assert_stacks(after, "gone 0/100\nmain;a 300/200\n");
	flame_tree_free(before);
	flame_tree_free(after);

	assert_int_equal(flame_tree_new(&before), 0);
	for (int i = 0; i < 1000; i++) {
		struct flame_frame frame = { .kind = FLAME_USER };

		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(flame_tree_name(before, name, strlen(name), &frame.name), 0);
		assert_int_equal(flame_tree_add(before, &frame, 1, 1, 1), 0);
	}
	flame_tree_finish(before, false);
	after = filled(now, (const uint64_t[]){ 333 });
	assert_int_equal(flame_diff(before, after, true), 0);
	nodes = flame_tree_nodes(after, &nr);
	assert_int_equal(nodes[0].total.before, 333);
	flame_tree_free(before);
	flame_tree_free(after);

	/* nothing to scale by */
	before = filled(then, then_values);
	after = filled((const char *const[]){ NULL }, NULL);
	assert_int_equal(flame_diff(before, after, true), 0);
	assert_stacks(after, "gone 0/500\nmain;a 0/1000\n");
	flame_tree_free(before);
	flame_tree_free(after);
}

/* ---- random stacks, against sums of prefixes ---- */

#define NR_RANDOM 3000
#define DEPTH 7

struct random_stack {
	uint8_t frames[DEPTH];
	size_t nr;
	uint64_t value;
};

static uint64_t prefix_sum(const struct random_stack *stacks, const uint8_t *prefix, size_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < NR_RANDOM; i++)
		if (stacks[i].nr >= nr && !memcmp(stacks[i].frames, prefix, nr))
			sum += stacks[i].value;
	return sum;
}

/* Every node's total is the sum of all stacks that begin with its path. */
static void check_node(const struct flame_tree *t, const struct flame_node *nodes, uint32_t node,
		       const struct random_stack *stacks, uint8_t *path, size_t depth)
{
	const struct flame_node *n = &nodes[node];

	for (uint32_t i = 0; i < n->nr; i++) {
		size_t len;

		path[depth++] = (uint8_t)*flame_tree_string(
			t, flame_tree_frame(t, n->first + i).name, &len);
		assert_int_equal(prefix_sum(stacks, path, depth), n->total.value);
	}
	for (uint32_t c = n->child; c; c = nodes[c].next)
		check_node(t, nodes, c, stacks, path, depth);
}

static void test_random(void **state)
{
	_cleanup_(free_p) struct random_stack *stacks = calloc(NR_RANDOM, sizeof(*stacks));
	uint64_t sum = 0, seed = 12345;
	const struct flame_node *nodes;
	uint8_t path[DEPTH + 1];
	struct flame_tree *t;
	size_t nr;

	(void)state;
	assert_int_equal(flame_tree_new(&t), 0);
	for (size_t i = 0; i < NR_RANDOM; i++) {
		struct flame_frame frames[DEPTH] = {};
		struct random_stack *s = &stacks[i];

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		s->nr = 1 + (seed >> 33) % DEPTH;
		s->value = 1 + (seed >> 40) % 100;
		for (size_t j = 0; j < s->nr; j++) {
			char c;

			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			c = (char)('a' + (seed >> 35) % 4);
			s->frames[j] = (uint8_t)c;
			assert_int_equal(flame_tree_name(t, &c, 1, &frames[j].name), 0);
		}
		sum += s->value;
		assert_int_equal(flame_tree_add(t, frames, s->nr, s->value, 1), 0);
	}
	flame_tree_finish(t, false);
	nodes = flame_tree_nodes(t, &nr);
	assert_int_equal(nodes[0].total.value, sum);
	assert_int_equal(nodes[0].total.count, NR_RANDOM);
	check_node(t, nodes, 0, stacks, path, 0);
	flame_tree_free(t);
}

static int count_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		       void *arg)
{
	uint64_t *sums = arg;

	(void)frames;
	sums[0]++;
	sums[1] += value->value;
	sums[2] += nr;
	return 0;
}

/* A million different stacks: none is lost, and there are no more than two nodes for each. */
static void test_million(void **state)
{
	enum { MILLION = 1000000, FRAMES = 16 };
	struct flame_frame frames[FRAMES] = {};
	uint32_t names[256];
	uint64_t sums[3] = {};
	struct flame_tree *t;
	size_t nr;

	(void)state;
	assert_int_equal(flame_tree_new(&t), 0);
	for (int i = 0; i < 256; i++) {
		char name[16];

		snprintf(name, sizeof(name), "function_%d", i);
		assert_int_equal(flame_tree_name(t, name, strlen(name), &names[i]), 0);
	}
	for (uint32_t i = 0; i < MILLION; i++) {
		for (uint32_t j = 0; j < FRAMES; j++)
			frames[j].name = names[(i * 2654435761u >> (j % 4 * 8) ^ j) & 0xff];
		assert_int_equal(flame_tree_add(t, frames, FRAMES, i + 1, 1), 0);
	}
	flame_tree_finish(t, false);
	flame_tree_nodes(t, &nr);
	assert_true(nr <= 2 * MILLION);
	assert_int_equal(flame_tree_each(t, count_stack, sums), 0);
	assert_int_equal(sums[0], MILLION);
	assert_int_equal(sums[1], (uint64_t)MILLION * (MILLION + 1) / 2);
	assert_int_equal(sums[2], (uint64_t)MILLION * FRAMES);
	flame_tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merged), cmocka_unit_test(test_totals),
		cmocka_unit_test(test_order),  cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_views),
		cmocka_unit_test(test_diff),   cmocka_unit_test(test_diff_normalized),
		cmocka_unit_test(test_random), cmocka_unit_test(test_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
