// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where CPython's structures have what, against the headers of each CPython that is installed with its internal ones, below
 * ~/.pyenv/versions and /usr/include: tests/e2e/python_offsets.c says what these say. And _PyRuntime's address against nm(1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/python_file.h"

#define FIELD(name)                                     \
	{                                               \
#name, offsetof(struct py_layout, name) \
	}

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	FIELD(runtime_interpreters),
	FIELD(interp_next),
	FIELD(interp_threads),
	FIELD(thread_prev),
	FIELD(thread_next),
	FIELD(thread_interp),
	FIELD(thread_id),
	FIELD(thread_frame),
	FIELD(cframe_frame),
	FIELD(frame_back),
	FIELD(frame_code),
	FIELD(frame_at),
	FIELD(frame_entry),
	FIELD(frame_owner),
	FIELD(code_first_line),
	FIELD(code_name),
	FIELD(code_file),
	FIELD(code_table),
	FIELD(code_start),
	FIELD(code_serial),
	FIELD(text_ascii),
	FIELD(text_wide),
	FIELD(text_length),
	FIELD(text_state),
	FIELD(bytes_length),
	FIELD(bytes_begin),
};

static unsigned int field(const struct py_layout *l, size_t i)
{
	uint16_t value;

	memcpy(&value, (const char *)l + fields[i].offset, sizeof(value));
	return value;
}

/* Each line of the headers' answer, and that they have no field of which they say nothing. */
static void compare(const struct py_layout *layout, FILE *said)
{
	bool seen[sizeof(fields) / sizeof(*fields)] = {};
	unsigned int offset, nr = 0;
	char name[64];

	while (fscanf(said, "%63s %u", name, &offset) == 2) {
		size_t i = 0;

		while (i < sizeof(fields) / sizeof(*fields) && strcmp(fields[i].name, name) != 0)
			i++;
		if (i == sizeof(fields) / sizeof(*fields))
			fail_msg("no field %s", name);
		if (field(layout, i) != offset)
			fail_msg("3.%u: %s is at %u, not %u", layout->version, name, offset,
				 field(layout, i));
		seen[i] = true;
		nr++;
	}
	assert_true(nr > 20);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!seen[i] && field(layout, i) != PYL_NONE)
			fail_msg("3.%u has no %s", layout->version, fields[i].name);
}

static void check_address(const char *object, uint64_t address)
{
	char command[700];
	uint64_t said = 0;
	FILE *nm;

	snprintf(command, sizeof(command), "nm -D '%s' | awk '$3 == \"_PyRuntime\" { print $1 }'",
		 object);
	nm = popen(command, "r");
	assert_non_null(nm);
	assert_int_equal(fscanf(nm, "%lx", &said), 1);
	pclose(nm);
	assert_int_equal(said, address);
}

/* Compiles what asks the headers below `include`, as the program, with an option more. */
static void build_offsets(char *program, const char *include, const char *option)
{
	int to = mkstemp(program);
	char command[1600];

	assert_true(to >= 0);
	close(to);
	snprintf(command, sizeof(command),
		 "gcc -w %s -I'%s' -I'%s/internal' -o %s tests/e2e/python_offsets.c "
		 "-Wl,--unresolved-symbols=ignore-all",
		 option, include, include, program);
	assert_int_equal(system(command), 0);
}

/*
 * A free-threaded 3.13 has longer objects, which its table tells. There need be none: its headers say what it would have, when they
 * are asked with the macro that its compiler has.
 */
static void check_free_threaded(const char *include)
{
	char program[] = "/tmp/whyscale-offsets-XXXXXX", command[200], path[64];
	struct python_file file = { .is_python = true, .major = 3, .minor = 13, .has_debug = true };
	struct py_layout layout;
	FILE *said;

	build_offsets(program, include, "-DPy_GIL_DISABLED=1");
	snprintf(path, sizeof(path), "%s.debug", program);
	snprintf(command, sizeof(command), "%s %s", program, path);
	assert_int_equal(system(command), 0);
	said = fopen(path, "r");
	assert_non_null(said);
	assert_int_equal(fread(file.debug, 1, sizeof(file.debug), said), sizeof(file.debug));
	fclose(said);
	assert_int_equal(file.debug[16], 1); /* that it is free-threaded */
	assert_true(python_layout(&file, &layout));
	assert_int_equal(layout.text_ascii, 56); /* 40 in the others */
	said = popen(program, "r");
	assert_non_null(said);
	compare(&layout, said);
	assert_int_equal(pclose(said), 0);
	unlink(path);
	unlink(program);
}

static void check_version(const char *object, const char *include)
{
	char program[] = "/tmp/whyscale-offsets-XXXXXX";
	int fd = open(object, O_RDONLY | O_CLOEXEC);
	struct py_layout layout;
	struct python_file file;
	FILE *said;

	assert_true(fd >= 0);
	python_file_read(fd, object, &file);
	close(fd);
	assert_true(file.is_python);
	check_address(object, file.runtime);
	assert_true(python_layout(&file, &layout));
	build_offsets(program, include, "");
	said = popen(program, "r");
	assert_non_null(said);
	compare(&layout, said);
	assert_int_equal(pclose(said), 0);
	unlink(program);
}

/* Of the files that a pattern finds, those that have the headers beside them. Returns how many. */
static int check_all(const char *pattern, const char *to_include)
{
	glob_t found = {};
	int nr = 0;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			const char *object = found.gl_pathv[i];
			char include[600], internal[640];
			unsigned int minor;

			if (sscanf(strstr(strrchr(object, '/'), "python"), "python3.%u", &minor) !=
				    1 ||
			    minor < 8 || minor > 13)
				continue;
			snprintf(include, sizeof(include), "%.*s%spython3.%u",
				 (int)(strrchr(object, '/') - object), object, to_include, minor);
			snprintf(internal, sizeof(internal), "%s/internal", include);
			if (access(internal, R_OK))
				continue;
			print_message("%s\n", object);
			check_version(object, include);
			if (minor == 13)
				check_free_threaded(include);
			nr++;
		}
	globfree(&found);
	return nr;
}

static void test_offsets(void **state)
{
	const char *home = getenv("HOME");
	char pattern[512];
	int nr;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/3.*/lib/libpython3.*.so.1.0",
		 home ? home : "");
	nr = check_all(pattern, "/../include/");
	nr += check_all("/usr/bin/python3.[0-9]*[0-9]", "/../include/");
	if (!nr) {
		print_message("SKIP: no CPython from 3.8 to 3.13 has its internal headers here\n");
		skip();
	}
}

static void test_unknown(void **state)
{
	struct python_file file = { .is_python = true, .major = 3 };
	struct py_layout layout;

	(void)state;
	for (file.minor = -1; file.minor < 40; file.minor++)
		assert_int_equal(python_layout(&file, &layout),
				 file.minor >= 8 && file.minor <= 12);
	file.minor = 8;
	file.major = 2;
	assert_false(python_layout(&file, &layout));
	/* of the name alone it would be another one */
	file.major = 3;
	file.before_37 = true;
	assert_false(python_layout(&file, &layout));
}

/* Files that are no CPython, one that is, and one of before 3.7, by the symbols that it defines. */
static void test_marks(void **state)
{
	static const struct {
		const char *source;
		bool is_python, before_37;
	} cases[] = {
		{ "int x;", false, false },
		{ "int PyEval_EvalFrameEx(void) { return 0; }", true, true },
		{ "int _PyRuntime[200]; int PyEval_EvalFrameEx(void) { return 0; }", true, false },
		{ "int _PyRuntime[200];", true, false },
		{ "extern int _PyRuntime[]; int *x(void) { return _PyRuntime; }", false, false },
		{ "int PyEval_EvalFrameEx(void); int x(void) { return PyEval_EvalFrameEx(); }",
		  false, false },
		{ "int PyEval_EvalFrameEx;", false, false },
	};
	char object[] = "/tmp/whyscale-mark-XXXXXX", command[400];
	int fd = mkstemp(object);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct python_file file;

		snprintf(command, sizeof(command), "echo '%s' | gcc -w -shared -fPIC -x c - -o %s",
			 cases[i].source, object);
		assert_int_equal(system(command), 0);
		close(fd);
		fd = open(object, O_RDONLY | O_CLOEXEC);
		python_file_read(fd, "/usr/lib/libpython3.11.so.1.0", &file);
		assert_int_equal(file.is_python, cases[i].is_python);
		assert_int_equal(file.before_37, cases[i].before_37);
		if (file.before_37)
			assert_int_equal(file.major, 3);
	}
	close(fd);
	unlink(object);
}

/* What 3.13 tells is not believed where BPF would read beyond what it has. */
static void test_hostile(void **state)
{
	struct python_file file = { .is_python = true, .major = 3, .minor = 13, .has_debug = true };
	struct py_layout layout;
	uint64_t hex = 0x030d00f0;

	(void)state;
	memcpy(file.debug, "xdebugpy", 8);
	memcpy(file.debug + 8, &hex, sizeof(hex));
	assert_true(python_layout(&file, &layout));
	memset(file.debug + 16, 0xff, sizeof(file.debug) - 16);
	assert_false(python_layout(&file, &layout));
	hex = 0x030e00f0;
	memset(file.debug + 16, 0, sizeof(file.debug) - 16);
	memcpy(file.debug + 8, &hex, sizeof(hex));
	assert_false(python_layout(&file, &layout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
