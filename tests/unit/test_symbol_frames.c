// SPDX-License-Identifier: GPL-2.0-only
/* What a call stack shows: own code, libraries loaded later, what has no name, files that are gone, replaced or elsewhere. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/frames.h"
#include "symbol_help.h"

#define BASE 0x7a0000000000
#define NOBODY 0x7ffffff0 /* no process has this id */

static const char source[] = "static inline __attribute__((always_inline)) int inner(int n)\n"
			     "{\n"
			     "	return n * 7 + 1;\n"
			     "}\n"
			     "int frames_test_library(int n);\n"
			     "int frames_test_library(int n)\n"
			     "{\n"
			     "	return inner(n) ^ n;\n"
			     "}\n";

__attribute__((noipa)) int frames_test_function(int n);
__attribute__((noipa)) int frames_test_function(int n)
{
	return n + 1;
}

/* A resolver and its frames. */
struct world {
	struct space *space;
	struct resolve *resolve;
	struct frames *frames;
};

static void open_world(struct world *w, const struct elf_where *where,
		       const struct frames_options *options)
{
	assert_int_equal(space_new(&w->space), 0);
	assert_int_equal(resolve_new(w->space, where, &w->resolve), 0);
	assert_int_equal(frames_new(w->resolve, options, &w->frames), 0);
}

static void close_world(struct world *w)
{
	frames_free(w->frames);
	resolve_free(w->resolve);
	space_free(w->space);
}

static struct frame_name one(struct world *w, pid_t tgid, uint64_t pc)
{
	struct frame_name f[FRAMES_MAX];
	size_t nr = frames_of(w->frames, (uint32_t)tgid, 5, pc, true, f, FRAMES_MAX);

	assert_true(nr >= 1);
	return f[0];
}

static void build_library(const char *d, const char *name, const char *flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/source.c", d);
	help_write(path, (const uint8_t *)source, strlen(source));
	help_run("gcc -O2 -g -shared -fPIC -Wl,--build-id %s -o %s/%s %s/source.c", flags, d, name,
		 d);
}

static void test_own_code(void **state)
{
	void *anon = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t function = (uintptr_t)frames_test_function;
	struct frame_name f, again;
	pid_t me = getpid();
	struct world w;
	char *heap = sbrk(4096);

	(void)state;
	open_world(&w, NULL, NULL);
	help_add_proc(w.space, me, 0);
	f = one(&w, me, function);
	assert_string_equal(f.name, "frames_test_function");
	assert_non_null(strstr(f.object, "/test_symbol_frames"));
	assert_true(f.named && !f.inlined && !f.jit && !f.guessed && !f.file && !f.line);
	again = one(&w, me, function);
	assert_ptr_equal(f.name, again.name);
	/* a return address belongs to what is before it */
	assert_int_equal(frames_of(w.frames, (uint32_t)me, 5, function, false, &again, 1), 1);
	assert_string_not_equal(again.name, "frames_test_function");
	assert_int_equal(frames_of(w.frames, (uint32_t)me, 5, function + 1, false, &again, 1), 1);
	assert_string_equal(again.name, "frames_test_function");
	assert_int_equal(frames_of(w.frames, (uint32_t)me, 5, function, true, &again, 0), 0);
	assert_string_equal(one(&w, me, (uintptr_t)dlsym(RTLD_DEFAULT, "qsort_r")).name, "qsort_r");
	assert_string_equal(one(&w, me, (uintptr_t)anon).name, "[anon]");
	assert_string_equal(one(&w, me, (uintptr_t)heap).name, "[heap]");
	f = one(&w, me, 8);
	assert_string_equal(f.name, "[unknown]");
	assert_string_equal(f.object, "");
	assert_false(f.named);
	assert_string_equal(one(&w, me + 1, function).name, "[unknown]");
	assert_string_equal(one(&w, me, 0).name, "[unknown]");
	close_world(&w);
	munmap(anon, 4096);
}

static void test_loaded_library(void **state)
{
	const struct frames_options options = { .inlined = true, .lines = true };
	char buf[64], *d = help_dir_new(buf), path[128];
	struct frame_name f[FRAMES_MAX];
	struct world w;
	void *handle, *function;
	int both = 0;

	(void)state;
	build_library(d, "libframes.so", "");
	snprintf(path, sizeof(path), "%s/libframes.so", d);
	handle = dlopen(path, RTLD_NOW);
	assert_non_null(handle);
	function = dlsym(handle, "frames_test_library");
	assert_non_null(function);
	open_world(&w, NULL, &options);
	help_add_proc(w.space, getpid(), 0);
	for (int i = 0; i < 8; i++) {
		size_t nr = frames_of(w.frames, (uint32_t)getpid(), 5, (uintptr_t)function + i,
				      true, f, FRAMES_MAX);

		assert_string_equal(f[0].name, "frames_test_library");
		assert_string_equal(f[0].object, path);
		assert_false(f[0].inlined);
		assert_int_equal(f[0].line, nr == 1 && !i ? 7 : f[0].line);
		if (nr == 1)
			continue;
		assert_int_equal(nr, 2);
		assert_true(f[1].inlined && f[1].named);
		assert_string_equal(f[1].name, "inner");
		assert_string_equal(f[1].object, path);
		assert_int_equal(f[0].line, 8);
		assert_int_equal(f[1].line, 3);
		assert_non_null(strstr(f[1].file, "/source.c"));
		both++;
	}
	assert_true(both > 0);
	close_world(&w);
	/* without `inlined`: one frame, and the line of the instruction */
	open_world(&w, NULL, &(struct frames_options){ .lines = true });
	help_add_proc(w.space, getpid(), 0);
	both = 0;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(frames_of(w.frames, (uint32_t)getpid(), 5, (uintptr_t)function + i,
					   true, f, FRAMES_MAX),
				 1);
		both += f[0].line == 3;
	}
	assert_true(both > 0);
	close_world(&w);
	dlclose(handle);
	help_dir_remove(d);
}

/* A library without a single symbol, and a C++ one. */
static void test_names_that_stand_for_objects(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128];
	struct frame_name f;
	struct world w;

	(void)state;
	build_library(d, "libbare.so.1", "-s -fvisibility=hidden");
	snprintf(path, sizeof(path), "%s/libbare.so.1", d);
	open_world(&w, NULL, NULL);
	help_map_file(w.space, NOBODY, BASE, path, NULL, true);
	f = one(&w, NOBODY, BASE + 0x1100);
	assert_string_equal(f.name, "[libbare.so.1]");
	assert_false(f.named);
	close_world(&w);
	help_dir_remove(d);
}

static void count_problem(void *arg, const char *path, const char *reason)
{
	assert_non_null(strstr(path, "/lib"));
	assert_true(strlen(reason) > 10);
	++*(int *)arg;
}

static void test_replaced_file(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], expected[64];
	struct frame_name f;
	uint64_t address;
	struct world w;
	int problems = 0;

	(void)state;
	build_library(d, "libone.so", "");
	snprintf(path, sizeof(path), "%s/libone.so", d);
	address = help_function_address(path, "frames_test_library");
	open_world(&w, NULL, NULL);
	help_map_file(w.space, NOBODY, BASE, path, NULL, true);
	build_library(d, "libtwo.so", "-O0");
	help_run("mv %s/libtwo.so %s", d, path);
	f = one(&w, NOBODY, BASE + address);
	/* this library's segments have their offsets as addresses up to the data */
	snprintf(expected, sizeof(expected), "libone.so+0x%lx", address);
	assert_string_equal(f.name, expected);
	assert_string_equal(f.object, path);
	assert_false(f.named);
	resolve_problems(w.resolve, count_problem, &problems);
	assert_int_equal(problems, 1);
	close_world(&w);
	/* without a build-id only the inode tells, and that may have changed for many reasons */
	open_world(&w, NULL, NULL);
	help_map_file(w.space, NOBODY, BASE, path, NULL, false);
	f = one(&w, NOBODY, BASE + help_function_address(path, "frames_test_library"));
	assert_string_equal(f.name, "frames_test_library");
	assert_false(f.guessed);
	close_world(&w);
	open_world(&w, NULL, NULL);
	help_map_file(w.space, NOBODY, BASE, path, NULL, false);
	help_run("cp %s %s.new && mv %s.new %s", path, path, path, path);
	f = one(&w, NOBODY, BASE + help_function_address(path, "frames_test_library"));
	assert_string_equal(f.name, "frames_test_library");
	assert_true(f.guessed);
	close_world(&w);
	help_dir_remove(d);
}

/* A child that does what `act` says, then waits to be killed; returns when that is done. */
static pid_t start(bool (*act)(void *arg), void *arg)
{
	int fds[2];
	pid_t pid;
	char done;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (act(arg) && write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	if (read(fds[0], &done, 1) != 1)
		fail_msg("the child could not do it");
	close(fds[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool go_to_root(void *arg)
{
	return !chroot(arg) && !chdir("/");
}

/* A path means what it means in the process's own root directory, while it lives; and what was read then stays. */
static void test_other_root(void **state)
{
	const struct frames_options options = { .inlined = true };
	char buf[64], *d = help_dir_new(buf), path[128];
	uint64_t pc;
	struct frame_name f[FRAMES_MAX];
	struct world w;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	help_run("mkdir -p %s/opt/frames-test", d);
	build_library(d, "opt/frames-test/libroot.so", "");
	snprintf(path, sizeof(path), "%s/opt/frames-test/libroot.so", d);
	pc = BASE + help_function_address(path, "frames_test_library");
	pid = start(go_to_root, d);
	open_world(&w, NULL, &options);
	help_map_file(w.space, pid, BASE, path, "/opt/frames-test/libroot.so", true);
	assert_string_equal(one(&w, pid, pc).name, "frames_test_library");
	end(pid);
	/* also for questions that come later, about another place and what is inlined there */
	assert_true(frames_of(w.frames, (uint32_t)pid, 5, pc + 1, true, f, FRAMES_MAX) >= 1);
	assert_string_equal(f[0].name, "frames_test_library");
	assert_string_equal(f[0].object, "/opt/frames-test/libroot.so");
	close_world(&w);
	/* by the inode, too; and with --symfs when it is gone */
	open_world(&w, &(struct elf_where){ .root = d }, &options);
	help_map_file(w.space, pid, BASE, path, "/opt/frames-test/libroot.so", false);
	assert_string_equal(one(&w, pid, pc).name, "frames_test_library");
	close_world(&w);
	open_world(&w, NULL, &options);
	help_map_file(w.space, pid, BASE, path, "/opt/frames-test/libroot.so", true);
	assert_string_equal(one(&w, pid, pc).name, "[libroot.so]");
	close_world(&w);
	help_dir_remove(d);
}

static bool map_it(void *arg)
{
	int fd = open(arg, O_RDONLY);
	void *at =
		mmap((void *)BASE, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 4096);

	return at != MAP_FAILED && !unlink(arg);
}

/* The file is deleted, but a process that lives still maps it. */
static void test_deleted_file(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], deleted[160];
	struct mapping m = { .kind = MAPPING_ADD,
			     .start = BASE,
			     .end = BASE + 4096,
			     .offset = 4096,
			     .prot = PROT_READ | PROT_EXEC,
			     .flags = MAP_PRIVATE,
			     .path = deleted };
	struct world w;
	struct stat st;
	uint64_t pc;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	build_library(d, "libgone.so", "");
	snprintf(path, sizeof(path), "%s/libgone.so", d);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", path);
	assert_int_equal(stat(path, &st), 0);
	pc = BASE - 4096 + help_function_address(path, "frames_test_library");
	pid = start(map_it, path);
	m.tgid = (uint32_t)pid;
	m.dev_major = major(st.st_dev);
	m.dev_minor = minor(st.st_dev);
	m.inode = st.st_ino;
	open_world(&w, NULL, NULL);
	assert_int_equal(space_add(w.space, &m), 0);
	assert_string_equal(one(&w, pid, pc).name, "frames_test_library");
	close_world(&w);
	end(pid);
	open_world(&w, NULL, NULL);
	assert_int_equal(space_add(w.space, &m), 0);
	assert_non_null(strstr(one(&w, pid, pc).name, "libgone.so+0x"));
	close_world(&w);
	help_dir_remove(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_code),
		cmocka_unit_test(test_loaded_library),
		cmocka_unit_test(test_names_that_stand_for_objects),
		cmocka_unit_test(test_replaced_file),
		cmocka_unit_test(test_other_root),
		cmocka_unit_test(test_deleted_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
