// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of Python code, against every CPython of this machine: each compiles some of its own library, and a file with all that is
 * peculiar (long jumps, lines far apart, instructions without a line), and tells its tables and, by dis, the line of every instruction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/python_lines.h"
#include "symbol_help.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Prints "code MINOR FIRST_LINE TABLE" and then "AT LINE" for every instruction, LINE 0 if it has none. 3.8, 3.9: the tables
 * begin a line at each of dis.findlinestarts(), and all behind is of that line. 3.10: co_lines(). 3.11 on: co_positions().
 */
static const char script[] =
	"import sys, dis, types\n"
	"minor = sys.version_info[1]\n"
	"def lines(c):\n"
	"    n = len(c.co_code)\n"
	"    if minor >= 11:\n"
	"        return [(2 * i, p[0] or 0) for i, p in enumerate(c.co_positions())]\n"
	"    if minor == 10:\n"
	"        return [(at, l or 0) for b, e, l in c.co_lines() for at in range(b, e, 2)]\n"
	"    found = []\n"
	"    starts = dict(dis.findlinestarts(c))\n"
	"    line = c.co_firstlineno\n"
	"    for at in range(0, n, 2):\n"
	"        line = starts.get(at, line)\n"
	"        found.append((at, line))\n"
	"    return found\n"
	"def show(c):\n"
	"    table = c.co_lnotab if minor < 10 else c.co_linetable\n"
	"    print('code', minor, c.co_firstlineno, table.hex() or '-')\n"
	"    for at, line in lines(c):\n"
	"        print(at, line)\n"
	"    for k in c.co_consts:\n"
	"        if isinstance(k, types.CodeType):\n"
	"            show(k)\n"
	"far = 'def f(x):\\n    y = x' + '\\n' * 700 + '    z = (y +' + '\\n' * 200 + '      1)\\n    return z\\n'\n"
	"wide = 'def g(x):\\n  return [\\n' + ''.join('   x(%d, %d),\\n' % (i, i) for i in range(400)) + '  ]\\n'\n"
	"odd = 'def h(x):\\n  try:\\n    with x as y:\\n      return (y\\n        .a)\\n  finally:\\n    del x\\n'\n"
	"long = 'def k(x):\\n  return ' + ' + '.join(['x'] * 900) + '\\n'\n"
	"back = 'def b(x):\\n  return (x(\\n 1,\\n 2).y(\\n 3)\\n  .z)\\nclass C:\\n  @b\\n  @b\\n  def m(self): yield self\\n'\n"
	"for text in far, wide, odd, long, back:\n"
	"    show(compile(text, 'x', 'exec'))\n"
	"import os, argparse\n"
	"for module in os, argparse, dis:\n"
	"    show(compile(open(module.__file__).read(), 'x', 'exec'))\n";

static size_t from_hex(const char *text, uint8_t *ret, size_t max)
{
	size_t n = 0;

	if (*text == '-')
		return 0;
	for (; text[0] && text[1] && n < max; text += 2)
		assert_int_equal(sscanf(text, "%2hhx", &ret[n++]), 1);
	return n;
}

#define TABLE_MAX 65536

static size_t compare(FILE *f, const char *python, unsigned int *ret_minor)
{
	static char line[2 * TABLE_MAX + 64], hex[2 * TABLE_MAX + 1];
	static uint8_t table[TABLE_MAX];
	size_t bytes = 0, compared = 0;
	uint32_t first = 0, at;
	int expected, got;

	*ret_minor = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "code %u %" SCNu32 " %131072s", ret_minor, &first, hex) == 3) {
			bytes = from_hex(hex, table, sizeof(table));
			continue;
		}
		assert_int_equal(sscanf(line, "%" SCNu32 " %d", &at, &expected), 2);
		got = python_line(*ret_minor, table, bytes, first, at);
		if (got != expected)
			fail_msg("%s: code that begins in line %" PRIu32 ", instruction %" PRIu32
				 ": line %d, not %d",
				 python, first, at, got, expected);
		compared++;
	}
	return compared;
}

static bool is_wanted(const char *python, unsigned int *ret_minor)
{
	char command[512];
	FILE *f;
	int major = 0;

	snprintf(command, sizeof(command),
		 "'%.300s' -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null", python);
	f = popen(command, "r");
	assert_non_null(f);
	if (fscanf(f, "%d %u", &major, ret_minor) != 2)
		major = 0;
	pclose(f);
	return major == 3 && *ret_minor >= 8 && *ret_minor <= 13;
}

static void test_every_python(void **state)
{
	size_t nr, tried = 0;
	char **python = help_pythons(&nr);
	char dir[64], command[512];
	FILE *f;

	(void)state;
	help_dir_new(dir);
	snprintf(command, sizeof(command), "%s/lines.py", dir);
	f = fopen(command, "we");
	assert_non_null(f);
	fputs(script, f);
	fclose(f);
	for (size_t i = 0; i < nr; i++) {
		unsigned int minor, told;
		size_t compared;

		if (is_wanted(python[i], &minor)) {
			snprintf(command, sizeof(command), "'%.300s' -I %s/lines.py", python[i],
				 dir);
			f = popen(command, "r");
			assert_non_null(f);
			compared = compare(f, python[i], &told);
			assert_int_equal(pclose(f), 0);
			assert_int_equal(told, minor);
			assert_true(compared > 10000);
			tried++;
		} else {
			print_message("not CPython 3.8 to 3.13: %s\n", python[i]);
		}
		free(python[i]);
	}
	free(python);
	help_dir_remove(dir);
	if (!tried) {
		print_message("no CPython from 3.8 to 3.13 on this machine\n");
		skip();
	}
}

/* Any bytes give a number; what cannot be a line is none. */
static void test_garbage(void **state)
{
	uint8_t table[300];
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		for (size_t i = 0; i < sizeof(table); i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			table[i] = (uint8_t)(random >> 56) | (round % 3 ? 0 : 0x40);
		}
		for (unsigned int minor = 7; minor <= 14; minor++)
			for (uint32_t at = 0; at < 200; at += 22)
				assert_true(python_line(minor, table, (size_t)round % 300,
							UINT32_MAX - (uint32_t)round, at) >= 0);
	}
	assert_int_equal(python_line(7, table, sizeof(table), 1, 0), 0);
	assert_int_equal(python_line(14, table, sizeof(table), 1, 0), 0);
	assert_int_equal(python_line(11, NULL, 0, 5, 0), 0);
	assert_int_equal(python_line(10, NULL, 0, 5, 0), 0);
	/* before 3.10 an empty table says that all is in the first line */
	assert_int_equal(python_line(9, NULL, 0, 5, 0), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_python),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
