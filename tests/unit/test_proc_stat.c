// SPDX-License-Identifier: GPL-2.0-only
/* The line of a /proc/PID/stat file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "record/proc_task.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define TAIL " 7 1 1 0 -1 4194560 97 0 0 0 0 0 0 0 20 0 1 0 "

static void test_parse_stat(void **unused)
{
	static const struct {
		const char *name, *line;
		bool good;
		const char *comm;
		char state;
		uint64_t start;
	} cases[] = {
		{ "plain", "12 (sh) S" TAIL "4711 99", true, "sh", 'S', 4711 },
		{ "the end of a name in a name", "12 (a) Z 1 2 (b) R" TAIL "5 0", true,
		  "a) Z 1 2 (b", 'R', 5 },
		{ "blanks and a newline", "12 (a \n b) D" TAIL "6", true, "a \n b", 'D', 6 },
		{ "no name", "12 () S" TAIL "7", true, "", 'S', 7 },
		{ "a worker's long name", "12 (kworker/u16:1-flush-8:0) I" TAIL "8", true,
		  "kworker/u16:1-f", 'I', 8 },
		{ "nothing", "", false, "", 0, 0 },
		{ "no end of the name", "12 (sh S" TAIL "4711", false, "", 0, 0 },
		{ "cut after the name", "12 (sh)", false, "", 0, 0 },
		{ "cut after the parent", "12 (sh) S 7", false, "", 0, 0 },
		{ "cut before the start time", "12 (sh) S" TAIL, false, "", 0, 0 },
		{ "parentheses the wrong way", ")( S" TAIL "1", false, "", 0, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct proc_stat s = {};

		if (proc_parse_stat(cases[i].line, &s) != cases[i].good)
			fail_msg("%s", cases[i].name);
		if (!cases[i].good)
			continue;
		assert_string_equal(s.comm, cases[i].comm);
		assert_int_equal(s.state, cases[i].state);
		assert_int_equal(s.start_ticks, cases[i].start);
		assert_int_equal(s.ppid, 7);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_stat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
