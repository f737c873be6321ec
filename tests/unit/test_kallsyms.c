// SPDX-License-Identifier: GPL-2.0-only
/* Kernel symbols: from texts whose answers are known, and from this kernel's own /proc/kallsyms. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/kallsyms.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct kallsyms *read_text(const char *text, int expected)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct kallsyms *k = NULL;
	struct err err = { 0 };

	assert_non_null(f);
	assert_int_equal(kallsyms_read(f, "the text", &k, &err), expected);
	fclose(f);
	assert_int_equal(err.code, expected);
	if (expected)
		assert_non_null(strstr(err.msg, "the text"));
	return k;
}

static void test_lookup(void **state)
{
	static const char text[] = "ffffffff81000000 T _stext\n"
				   "ffffffff81000000 T first_function\n"
				   "ffffffff81000000 T alias_of_it\n"
				   "ffffffff81000100 t second\n"
				   "ffffffff81000200 d some_data\n"
				   "ffffffff81000200 t beside_data\n"
				   "ffffffff81000180 W out_of_order\n"
				   "0000000000001000 A per_cpu_offset\n"
				   "ffffffffc0000000 t in_module\t[nf_tables]\n"
				   "ffffffffc0000040 t bpf_prog_6deef7357e7b4530_drop\t[bpf]\n"
				   "nonsense\n"
				   "ffffffffc0000080\n"
				   "ffffffffc0000080 \n"
				   "ffffffffc0000080 t\n"
				   "ffffffffc0000080 t \n"
				   "ffffffffc0000060 t last_and_not_ended";
	static const struct {
		uint64_t address;
		enum kallsyms_what what;
		const char *name, *module; /* name NULL: none */
		uint64_t offset;
	} cases[] = {
		{ 0xffffffff80ffffff, KALLSYMS_FUNCTION, NULL, NULL, 0 },
		{ 0xffffffff81000000, KALLSYMS_FUNCTION, "first_function", NULL, 0 },
		{ 0xffffffff810000ff, KALLSYMS_FUNCTION, "first_function", NULL, 0xff },
		{ 0xffffffff81000100, KALLSYMS_FUNCTION, "second", NULL, 0 },
		{ 0xffffffff81000181, KALLSYMS_FUNCTION, "out_of_order", NULL, 1 },
		{ 0xffffffff81000204, KALLSYMS_FUNCTION, "beside_data", NULL, 4 },
		{ 0xffffffff81000204, KALLSYMS_DATA, "some_data", NULL, 4 },
		{ 0xffffffff81000104, KALLSYMS_DATA, NULL, NULL, 0 },
		{ 0xffffffffc0000010, KALLSYMS_FUNCTION, "in_module", "nf_tables", 0x10 },
		{ 0xffffffffc0000041, KALLSYMS_FUNCTION, "bpf_prog_6deef7357e7b4530_drop", "bpf",
		  1 },
		{ 0xffffffffc0000068, KALLSYMS_FUNCTION, "last_and_not_ended", NULL, 8 },
		{ 0xfffffffff0000000, KALLSYMS_FUNCTION, NULL, NULL, 0 },
		{ 0, KALLSYMS_FUNCTION, NULL, NULL, 0 },
		{ UINT64_MAX, KALLSYMS_FUNCTION, NULL, NULL, 0 },
	};
	struct kallsyms *k = read_text(text, 0);

	(void)state;
	assert_int_equal(kallsyms_nr(k), 11);
	assert_false(kallsyms_hidden(k));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kallsym s;
		bool found = kallsyms_find(k, cases[i].address, cases[i].what, &s);

		if (found != (cases[i].name != NULL))
			fail_msg("case %zu: %s", i, found ? s.name : "none");
		if (!found)
			continue;
		assert_string_equal(s.name, cases[i].name);
		assert_int_equal(s.offset, cases[i].offset);
		if (cases[i].module)
			assert_string_equal(s.module, cases[i].module);
		else
			assert_null(s.module);
	}
	assert_false(
		kallsyms_find(NULL, 0xffffffff81000000, KALLSYMS_FUNCTION, &(struct kallsym){ 0 }));
	kallsyms_free(k);
	kallsyms_free(NULL);
}

static void test_hidden(void **state)
{
	struct kallsyms *k =
		read_text("0000000000000000 T _stext\n0000000000000000 T schedule\n", -EACCES);
	struct kallsym s;
	struct err err = { 0 };

	(void)state;
	assert_true(kallsyms_hidden(k));
	assert_false(kallsyms_find(k, 0xffffffff81000000, KALLSYMS_FUNCTION, &s));
	kallsyms_free(k);
	k = read_text("\n", 0);
	assert_false(kallsyms_hidden(k));
	assert_int_equal(kallsyms_nr(k), 0);
	kallsyms_free(k);
	assert_int_equal(kallsyms_open("/no/such/file", &k, &err), -ENOENT);
	assert_null(k);
	assert_non_null(strstr(err.msg, "/no/such/file"));
}

/* Each function of this kernel is found at its own address, by one of the names that kallsyms has for it, and soon. */
static void test_this_kernel(void **state)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	uint64_t begin = monotonic_ns(), read_ns, last = 0;
	size_t nr = 0, same = 0, at_all = 0;
	struct kallsyms *k = NULL;
	struct err err = { 0 };
	char line[1024];

	(void)state;
	assert_non_null(f);
	if (kallsyms_open(NULL, &k, &err)) {
		kallsyms_free(k);
		fclose(f);
		skip();
	}
	read_ns = monotonic_ns() - begin;
	while (fgets(line, sizeof(line), f)) {
		struct kallsym s;
		uint64_t address;
		char name[512], type;

		if (sscanf(line, "%" SCNx64 " %c %511s", &address, &type, name) != 3 ||
		    !strchr("tTwW", type) || address < UINT64_C(1) << 63 ||
		    strstr(line, "[bpf]")) /* these come and go */
			continue;
		if (!kallsyms_find(k, address, KALLSYMS_FUNCTION, &s) || s.offset)
			fail_msg("%s is not found", name);
		same += !strcmp(s.name, name);
		at_all += address != last;
		last = address;
		nr++;
	}
	fclose(f);
	assert_true(nr > 10000);
	/* of several names one is given */
	assert_true(same + nr / 100 >= at_all && same <= at_all + nr / 100);
	assert_true(read_ns < 2 * NSEC_PER_SEC);
	kallsyms_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
