// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `whyscale calibrate` stands on: the median's interval, how CPUs are connected (made-up trees of /sys/devices/system), and the
 * kept file's text, which is untrusted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/calibration.h"
#include "strategy/capacity.h"
#include "strategy/median.h"

/* ---- the median ---- */

static void test_median(void **state)
{
	double value[100], five[] = { 5, 1, 4, 2, 3 }, two[] = { 9, 1 };
	struct estimate e;

	(void)state;
	for (int i = 0; i < 100; i++)
		value[i] = (i * 37 + 11) % 100; /* 0 to 99, mixed */
	e = median_of(value, 100);
	assert_float_equal(e.value, 49.5, 0);
	/* the table for n = 100: ranks 40 and 61 (Le Boudec 2010, appendix A) */
	assert_float_equal(e.low, 39, 0);
	assert_float_equal(e.high, 60, 0);
	assert_int_equal(e.nr, 100);
	e = median_of(five, 5);
	assert_float_equal(e.value, 3, 0);
	assert_float_equal(e.low, 1, 0);
	assert_float_equal(e.high, 5, 0);
	e = median_of(two, 2);
	assert_float_equal(e.value, 5, 0);
	assert_int_equal(median_of(two, 0).nr, 0);
}

/* Of 25 values of any distribution, the interval holds the true median in 95 % of all cases, or a little more. */
static void test_coverage(void **state)
{
	uint64_t random = 1;
	int held = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		struct estimate e;
		double value[25];

		for (int k = 0; k < 25; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			value[k] = (double)(random >> 33) / (1u << 31);
			value[k] =
				value[k] * value[k] * value[k]; /* a long tail; its median is 1/8 */
		}
		e = median_of(value, 25);
		held += e.low <= 0.125 && 0.125 <= e.high;
	}
	assert_in_range(held, 3760, 3960); /* 94 to 99 % */
}

/* ---- topology ---- */

static char root[] = "/tmp/whyscale-topology-XXXXXX";

__attribute__((format(printf, 2, 3))) static void put(const char *text, const char *fmt, ...)
{
	char path[256], command[320];
	va_list ap;
	FILE *f;
	int n = snprintf(path, sizeof(path), "%s/", root);

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", path);
	assert_int_equal(system(command), 0);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int remove_tree(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/whyscale-topology-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

/* Two sockets and nodes, two cores each, two threads a core: 0,4 1,5 | 2,6 3,7; level 3 of a socket, level 2 of a core. */
static void test_server(void **state)
{
	static const char *const siblings[] = { "0,4\n", "1,5\n", "2,6\n", "3,7\n" };
	static const char *const sockets[] = { "0-1,4-5\n", "2-3,6-7\n" };
	const int cpus[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	unsigned int order[8], pair[2];
	struct topology t;
	struct err err;
	uint64_t hash;

	(void)state;
	for (int cpu = 0; cpu < 8; cpu++) {
		put(siblings[cpu % 4], "cpu/cpu%d/topology/thread_siblings_list", cpu);
		put(cpu % 4 < 2 ? "0\n" : "1\n", "cpu/cpu%d/topology/physical_package_id", cpu);
		put("1\n", "cpu/cpu%d/cache/index0/level", cpu);
		put("Instruction\n", "cpu/cpu%d/cache/index0/type", cpu);
		put("2\n", "cpu/cpu%d/cache/index1/level", cpu);
		put("Unified\n", "cpu/cpu%d/cache/index1/type", cpu);
		put(siblings[cpu % 4], "cpu/cpu%d/cache/index1/shared_cpu_list", cpu);
		put("1024K\n", "cpu/cpu%d/cache/index1/size", cpu);
		put("3\n", "cpu/cpu%d/cache/index2/level", cpu);
		put(sockets[cpu % 4 / 2], "cpu/cpu%d/cache/index2/shared_cpu_list", cpu);
	}
	put(sockets[0], "node/node0/cpulist");
	put(sockets[1], "node/node1/cpulist");
	assert_int_equal(topology_read(root, cpus, 8, &t, &err), 0);
	assert_int_equal(topology_distance(&t, 0, 4), DISTANCE_SIBLING);
	assert_int_equal(topology_distance(&t, 0, 1), DISTANCE_CACHE);
	assert_int_equal(topology_distance(&t, 0, 5), DISTANCE_CACHE);
	assert_int_equal(topology_distance(&t, 0, 2), DISTANCE_REMOTE);
	assert_int_equal(topology_distance(&t, 3, 7), DISTANCE_SIBLING);
	assert_int_equal(t.cpu[6].node, 1);
	assert_int_equal(t.cpu[6].core, 2);
	assert_int_equal(t.cpu[6].cache_bytes[2], 1 << 20);
	assert_int_equal(topology_pair(&t, DISTANCE_REMOTE, pair), 0);
	assert_int_equal(pair[0], 0);
	assert_int_equal(pair[1], 2);
	assert_int_equal(topology_pair(&t, DISTANCE_NODE, pair), -ENOENT);
	topology_spread(&t, order);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(order[i], i); /* 0 to 3 are one CPU of each core */
	hash = topology_hash(&t);
	topology_free(&t);
	put("2048K\n", "cpu/cpu5/cache/index1/size");
	assert_int_equal(topology_read(root, cpus, 8, &t, &err), 0);
	assert_true(topology_hash(&t) != hash);
	topology_free(&t);
}

/* Siblings next to each other: spreading takes every second one first. No caches, no nodes: one node. */
static void test_bare(void **state)
{
	const int cpus[] = { 0, 1, 2, 3 };
	const unsigned int expected[] = { 0, 2, 1, 3 };
	unsigned int order[4];
	struct topology t;
	struct err err;

	(void)state;
	for (int cpu = 0; cpu < 4; cpu++)
		put(cpu < 2 ? "0-1\n" : "2-3\n", "cpu/cpu%d/topology/thread_siblings_list", cpu);
	assert_int_equal(topology_read(root, cpus, 4, &t, &err), 0);
	assert_int_equal(topology_distance(&t, 0, 1), DISTANCE_SIBLING);
	assert_int_equal(topology_distance(&t, 1, 2), DISTANCE_NODE);
	topology_spread(&t, order);
	assert_memory_equal(order, expected, sizeof(order));
	topology_free(&t);
}

/* Nothing at all, and nonsense. */
static void test_nonsense(void **state)
{
	const int cpus[] = { 0, 1 };
	struct topology t;
	struct err err;

	(void)state;
	put("0-99999999999999,x\n", "cpu/cpu0/topology/thread_siblings_list");
	put("-7\n", "cpu/cpu0/cache/index0/level");
	put("99\n", "cpu/cpu0/cache/index1/level");
	put("3\n", "cpu/cpu0/cache/index2/level");
	put("9-1", "cpu/cpu0/cache/index2/shared_cpu_list");
	assert_int_equal(topology_read(root, cpus, 2, &t, &err), 0);
	assert_int_equal(topology_distance(&t, 0, 1), DISTANCE_NODE);
	assert_int_equal(t.cpu[0].core, 0);
	topology_free(&t);
}

/* ---- capacity, before and after ---- */

static void test_merge(void **state)
{
	struct capacity a = {};
	const struct capacity before = { .cpus = 2,
					 .worth = 2,
					 .worth_min = 1.9,
					 .worth_max = 2.1,
					 .inflation = 1,
					 .inflation_min = 0.9,
					 .inflation_max = 1.1,
					 .steal_ns = 5 };
	const struct capacity after = { .cpus = 2,
					.worth = 1,
					.worth_min = 0.9,
					.worth_max = 1.2,
					.inflation = 2,
					.inflation_min = 1.8,
					.inflation_max = 2.2,
					.steal_ns = -1 };

	(void)state;
	capacity_merge(&a, &before);
	assert_memory_equal(&a, &before, sizeof(a));
	capacity_merge(&a, &after);
	assert_float_equal(a.worth, 1.5, 1e-9);
	assert_float_equal(a.worth_min, 0.9, 1e-9);
	assert_float_equal(a.worth_max, 2.1, 1e-9);
	assert_float_equal(a.inflation, 1.5, 1e-9);
	assert_float_equal(a.inflation_min, 0.9, 1e-9);
	assert_float_equal(a.inflation_max, 2.2, 1e-9);
	assert_int_equal(a.steal_ns, -1);
}

/* ---- the kept file ---- */

static void fill(struct calibration *c)
{
	*c = (struct calibration){
		.machine = { "Some CPU", "0-1", "6.1", "x86_64", "0123456789abcdef" },
		.measured_at = 1700000000,
		.direct = { .yield = { 600.25, 590, 610, 25 }, .fork = { 1e5, 9e4, 2e5, 51 } },
		.migration = { .nr = 3 },
	};
	for (size_t i = 0; i < 3; i++)
		c->migration.cost[i] =
			(struct migration_cost){ .distance = DISTANCE_CACHE,
						 .bytes = i ? 32768u << i : 0,
						 .stay_ns = { 100, 90, 110, 9 },
						 .extra_ns = { 10.0 * (double)i, -20, 90, 9 } };
}

static char *text_of(const struct calibration *c)
{
	json_t *whole = calibration_encode(c);
	char *text = json_dumps(whole, 0);

	json_decref(whole);
	assert_non_null(text);
	return text;
}

static void test_round_trip(void **state)
{
	struct calibration c, back;
	struct err err = {};
	char *text;

	(void)state;
	fill(&c);
	text = text_of(&c);
	assert_int_equal(calibration_decode(text, strlen(text), &back, &err), 0);
	assert_memory_equal(&c, &back, sizeof(c));
	free(text);
}

static void set_path(json_t *whole, const char *path, json_t *value)
{
	char *copy = strdup(path), *rest = copy, *name;
	json_t *at = whole;

	while ((name = strsep(&rest, "/"))) {
		if (rest)
			at = json_is_array(at) ? json_array_get(at, (size_t)atoi(name)) :
						 json_object_get(at, name);
		else if (value)
			json_object_set_new(at, name, value);
		else
			json_object_del(at, name);
	}
	free(copy);
}

/* Anything else than what was written is refused, with a sentence. */
static void test_hostile(void **state)
{
	static const struct {
		const char *path, *value;
	} cases[] = {
		{ "schema", NULL },
		{ "schema", "\"whyscale.calibration/2\"" },
		{ "measured_at", "\"now\"" },
		{ "measured_at", "-1" },
		{ "quick", "1" },
		{ "machine", "[]" },
		{ "machine/cpu", "7" },
		{ "machine/kernel", "\"a\\u001b[31mb\"" },
		{ "machine/topology", "\"0123456789abcdef0\"" },
		{ "direct", "null" },
		{ "direct/yield", NULL },
		{ "direct/yield", "5" },
		{ "direct/yield/ns", "-5" },
		{ "direct/yield/ns", "1e300" },
		{ "direct/yield/low_ns", "601" },
		{ "direct/yield/high_ns", "\"x\"" },
		{ "direct/yield/nr", "0" },
		{ "direct/yield/nr", "-1" },
		{ "direct/yield/nr", "99999999999" },
		{ "migration", "{}" },
		{ "migration/0/distance", "\"far\"" },
		{ "migration/0/distance", "3" },
		{ "migration/1/bytes", "-1" },
		{ "migration/1/extra", NULL },
		{ "migration/1/stay/low_ns", "-1" },
		{ "migration/2/extra/high_ns", "-1000" },
	};
	struct calibration c, back;

	(void)state;
	fill(&c);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *whole = calibration_encode(&c);
		struct err err = {};
		char *text;

		set_path(whole, cases[i].path,
			 cases[i].value ? json_loads(cases[i].value, JSON_DECODE_ANY, NULL) : NULL);
		text = json_dumps(whole, 0);
		if (calibration_decode(text, strlen(text), &back, &err) != -EINVAL || !*err.msg)
			fail_msg("%s: %s was taken", cases[i].path, cases[i].value ?: "(none)");
		free(text);
		json_decref(whole);
	}
}

static void test_too_many(void **state)
{
	struct calibration c, back;
	struct err err = {};
	json_t *whole, *list;
	char *text;

	(void)state;
	fill(&c);
	whole = calibration_encode(&c);
	list = json_object_get(whole, "migration");
	while (json_array_size(list) <= MIGRATION_COSTS_MAX)
		json_array_append(list, json_array_get(list, 0));
	text = json_dumps(whole, 0);
	assert_int_equal(calibration_decode(text, strlen(text), &back, &err), -EINVAL);
	free(text);
	json_decref(whole);
}

/* Every cut and every flipped bit is refused or is a calibration whose numbers are numbers; none crashes. */
static void test_damaged(void **state)
{
	struct calibration c, back;
	struct err err = {};
	char *text;
	size_t len;

	(void)state;
	fill(&c);
	text = text_of(&c);
	len = strlen(text);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(calibration_decode(text, cut, &back, &err), -EINVAL);
	for (size_t at = 0; at < len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			text[at] ^= (char)(1 << bit);
			if (!calibration_decode(text, len, &back, &err))
				assert_true(back.direct.yield.low <= back.direct.yield.high);
			text[at] ^= (char)(1 << bit);
		}
	}
	free(text);
}

/* A migration is between the least and the most of what the level 2 cache can hold. */
static void test_costs(void **state)
{
	struct topology_cpu cpu = { .cache_bytes = { 0, 0, 100000 } };
	struct topology t = { &cpu, 1 };
	struct machine_costs costs;
	struct calibration c;

	(void)state;
	fill(&c);
	c.migration.cost[2].extra_ns =
		(struct estimate){ 1e6, 9e5, 2e6, 9 }; /* of 128 KiB: too large */
	calibration_costs(&c, &t, &costs);
	assert_true(costs.one_switch.known && costs.migration.known);
	assert_float_equal(costs.one_switch.ns, 600.25, 1e-9);
	assert_float_equal(costs.migration.ns, 10, 1e-9);
	assert_float_equal(costs.migration.low_ns, -20, 1e-9);
	assert_float_equal(costs.migration.high_ns, 90, 1e-9);
	c.migration.nr = 0;
	c.direct.yield.nr = 0;
	calibration_costs(&c, &t, &costs);
	assert_false(costs.one_switch.known || costs.migration.known);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test_setup_teardown(test_server, make_root, remove_tree),
		cmocka_unit_test_setup_teardown(test_bare, make_root, remove_tree),
		cmocka_unit_test_setup_teardown(test_nonsense, make_root, remove_tree),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
