// SPDX-License-Identifier: GPL-2.0-only
/* What the report is made of: units, escapes, paragraphs, grids. Tables of input and expected output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/text.h"
#include "report/units.h"

#define MS 1000000ull

/* ---- units ---- */

static void test_units_time(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0 ns" },
		{ 999, "999 ns" },
		{ 1000, "1.00 us" },
		{ 12345, "12.3 us" },
		{ 123456, "123 us" },
		{ 999499, "999 us" },
		{ 999500, "1.00 ms" },
		{ 9994999, "9.99 ms" },
		{ 12345678, "12.3 ms" },
		{ 999499999, "999 ms" },
		{ 999500000, "1.000 s" },
		{ 1234000000, "1.234 s" },
		{ 123456000000, "123.456 s" },
		{ UINT64_MAX, "18446744073.710 s" },
	};
	char buf[UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units_time(buf, cases[i].ns), cases[i].text);
}

static void test_units_percent(void **state)
{
	static const struct {
		uint64_t part, whole;
		const char *text;
	} cases[] = {
		{ 0, 0, "-" },
		{ 5, 0, "-" },
		{ 0, 7, "0 %" },
		{ 7, 7, "100 %" },
		{ 1, 3, "33.3 %" },
		{ 4, 10000, "0.04 %" },
		{ 1, 1000000, "<0.01 %" },
		{ 99999, 100000, ">99.9 %" },
		{ 3, 2, "150.0 %" },
		{ 2, 100, "2.0 %" },
	};
	char buf[UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units_percent(buf, cases[i].part, cases[i].whole),
				    cases[i].text);
}

static void test_units_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 kB" },
		{ 999949, "999.9 kB" },
		{ 999950, "1.0 MB" },
		{ 34500000, "34.5 MB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char buf[UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units_bytes(buf, cases[i].bytes), cases[i].text);
}

static void test_units_scaled(void **state)
{
	static const struct {
		uint64_t largest, ns;
		const char *unit, *text;
	} cases[] = {
		{ 9999999, 1234567, "us", "1234.6" }, { 10 * MS, 1234567, "ms", "1.23" },
		{ 9999999999, 4001, "ms", "0.00" },   { 10000000000, 1234567890, "s", "1.235" },
		{ 10000000000, 0, "s", "-" },
	};
	char buf[UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct units_scale scale = units_scale(cases[i].largest);

		assert_string_equal(scale.name, cases[i].unit);
		assert_string_equal(units_scaled(buf, &scale, cases[i].ns), cases[i].text);
	}
}

static void test_units_cpus(void **state)
{
	static const struct {
		uint64_t bits[2];
		const char *text;
	} cases[] = {
		{ { 0, 0 }, "" },
		{ { 1, 0 }, "0" },
		{ { 0x10f, 0 }, "0-3,8" },
		{ { 1ull << 63, 3 }, "63-65" },
		{ { 0x5555, 0 }, "0,2,4,6,8,10,12,..." },
		{ { UINT64_MAX, UINT64_MAX }, "0-127" },
	};
	char buf[22];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units_cpus(buf, sizeof(buf), cases[i].bits, 2), cases[i].text);
}

/* ---- escapes, paragraphs, grids ---- */

static void test_escape_terminal(void **state)
{
	static const struct {
		const char *in;
		bool word;
		const char *out;
	} cases[] = {
		{ "plain", false, "plain" },
		{ "", false, "" },
		{ "", true, "-" },
		{ "a b", false, "a b" },
		{ "a b", true, "a\\x20b" },
		{ "\x1b[2J", false, "\\x1b[2J" },
		{ "a\nb\x7f", false, "a\\x0ab\\x7f" },
		{ "back\\slash", false, "back\\slash" },
		{ "back\\slash", true, "back\\\\slash" },
		{ "caf\xc3\xa9", false, "caf\xc3\xa9" },
		{ "\xc2\x9b"
		  "31m",
		  false, "\\xc2\\x9b31m" }, /* a C1 control as UTF-8 */
		{ "\x9b"
		  "31m",
		  false, "\\x9b31m" }, /* and as a byte */
		{ "\xe2\x80\xae"
		  "abc",
		  false, "\\xe2\\x80\\xaeabc" },              /* right-to-left override */
		{ "\xc0\xaf", false, "\\xc0\\xaf" },          /* overlong */
		{ "\xed\xa0\x80", false, "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "cut\xe2\x82", false, "cut\\xe2\\x82" },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(escape_terminal(buf, sizeof(buf), cases[i].in, 64,
						    cases[i].word),
				    cases[i].out);
	/* whole characters only, and no byte behind `max` */
	assert_string_equal(escape_terminal(buf, 6, "ab\x1b\x1b", 64, false), "ab");
	assert_string_equal(escape_terminal(buf, sizeof(buf), "0123456789", 4, false), "0123");
}

static void test_escape_json(void **state)
{
	json_t *text = escape_json("a\x1b\xff\xc3\xa9", 16);

	(void)state;
	assert_string_equal(json_string_value(text), "a\x1b\xef\xbf\xbd\xc3\xa9");
	json_decref(text);
}

static void test_text(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	text_field(out, 40, "label", "%s", "takes 12.3 ms or 45 %, not more, for a while");
	text_field(out, 40, "none", "%s", "");
	text_item(out, 40, "io", "waiting for %s", "a disk or a socket");
	text_line(out, 20, "one two three four five six");
	fclose(out);
	assert_string_equal(text, "label     takes 12.3 ms or 45 %, not\n"
				  "          more, for a while\n"
				  "none      \n"
				  "  io              waiting for a disk or\n"
				  "                  a socket\n"
				  "one two three four\n"
				  "five six\n");
	free(text);
}

static void test_grid_blocks(void **state)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	struct err err = {};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	grid_column(g, "key", GRID_KEY);
	grid_column(g, "first", GRID_RIGHT);
	grid_column(g, "empty", GRID_OPTIONAL);
	grid_column(g, "second", GRID_RIGHT);
	grid_row(g, false);
	grid_cell(g, "a");
	grid_cell(g, "%d", 1);
	grid_cell(g, "-");
	grid_cell(g, "%d", 2);
	assert_false(grid_shows(g, "empty"));
	assert_int_equal(grid_print(g, 12, false, out, &err), 0);
	fclose(out);
	assert_string_equal(text, "key first\n"
				  "a       1\n"
				  "\n"
				  "key second\n"
				  "a        2\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_time),  cmocka_unit_test(test_units_percent),
		cmocka_unit_test(test_units_bytes), cmocka_unit_test(test_units_scaled),
		cmocka_unit_test(test_units_cpus),  cmocka_unit_test(test_escape_terminal),
		cmocka_unit_test(test_escape_json), cmocka_unit_test(test_text),
		cmocka_unit_test(test_grid_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
