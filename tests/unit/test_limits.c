// SPDX-License-Identifier: GPL-2.0-only
/* What is said of what a recording could not see: probes that were missing, and threads outside of the recorder's pid namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/foreign.h"
#include "report/report.h"
#include "trace_text.h"

#define END_NS 1000

/*
 * A loses its CPU to two processes outside, of one name, and to one inside. 1073741825 is WHO_OUTSIDE | 1; u77 has the number 77.
 */
static const char events[] = "100 cpu0 snap A tid=5 oncpu\n"
			     "200 cpu0 name u1073741825 rival\n"
			     "200 cpu0 switch A/P u1073741825\n"
			     "300 cpu0 name u1073741826 rival\n"
			     "300 cpu0 switch u1073741825/P u1073741826\n"
			     "500 cpu0 name u77 inner\n"
			     "500 cpu0 switch u1073741826/P u77\n"
			     "900 cpu0 switch u77/S A\n"
			     "1000 cpu0 switch A/X idle\n";

static json_t *meta_of(void)
{
	return json_pack("{s:{s:i,s:[i]},s:{s:i},s:i,s:{s:s},s:{s:s},s:{s:i}}", "machine", "cpus",
			 TRACE_TEXT_CPUS, "online", 0, "clock", "epoch_ns", 0, "ended_ns", END_NS,
			 "maps", "unavailable", "a \x1b reason", "klock", "unavailable",
			 "another one", "asleep", "unavailable", 7);
}

/* A form of that trace's report; the caller frees it. */
static char *report(const char *form_name)
{
	const struct report_form *form = report_form_by_name(form_name), *forms[] = { form, NULL };
	struct report_options o = { .width = 100, .max_threads = REPORT_THREADS_DEFAULT };
	char path[] = "/tmp/test_limits.XXXXXX", *text = NULL;
	json_t *meta = meta_of();
	struct loaded *l = NULL;
	struct err err = {};
	size_t len;
	FILE *out = open_memstream(&text, &len);

	close(mkstemp(path));
	assert_non_null(meta);
	trace_text_write(path, meta, events);
	json_decref(meta);
	assert_int_equal(load_open(path, &l, &err), 0);
	assert_int_equal(load_passes(l, form->passes, &err), 0);
	assert_int_equal(load_run(l, NULL, NULL, &err), 0);
	assert_int_equal(report_print(l, forms, &o, out, &err), 0);
	fclose(out);
	load_free(l);
	unlink(path);
	return text;
}

static void test_ids(void **state)
{
	(void)state;
	assert_int_equal(foreign_id(WHO_UNTRACKED | 77), 77);
	assert_int_equal(foreign_id(WHO_UNTRACKED | WHO_OUTSIDE | 77), 0);
	assert_int_equal(foreign_id(WHO_OUTSIDE | 77), 0); /* a process */
	assert_int_equal(foreign_id(4194304), 4194304);    /* the largest that there is */
}

static void test_json(void **state)
{
	char *text = report("json");
	json_t *all = json_loads(text, 0, NULL), *limits, *by, *one;
	json_int_t outside = 0, inside = 0;
	size_t i;

	(void)state;
	assert_non_null(all);
	limits = json_object_get(all, "limits");
	assert_int_equal(json_object_size(limits), 2);
	assert_string_equal(json_string_value(json_object_get(limits, "maps")), "a \x1b reason");
	by = json_object_get(json_object_get(all, "runq_by"), "by");
	assert_int_equal(json_array_size(by), 3);
	json_array_foreach(by, i, one) {
		bool is = json_is_true(json_object_get(one, "outside"));

		assert_int_equal(is, json_is_null(json_object_get(one, "pid")));
		*(is ? &outside : &inside) += json_integer_value(json_object_get(one, "ns"));
	}
	assert_int_equal(outside, 300); /* 100 of one, 200 of the other */
	assert_int_equal(inside, 400);
	json_decref(all);
	free(text);
}

static void test_text(void **state)
{
	char *text = report("table");

	(void)state;
	assert_non_null(
		strstr(text, "limits    locks and functions have no names: a \\x1b reason\n"));
	assert_non_null(strstr(text, "limits    waits for locks inside the kernel"));
	assert_null(strstr(text, "waits that began before")); /* its reason is no text */
	assert_non_null(strstr(text, "not recorded, outside this pid namespace"));
	assert_null(strstr(text, "10737418"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
