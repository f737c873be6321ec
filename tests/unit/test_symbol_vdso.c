// SPDX-License-Identifier: GPL-2.0-only
/* The vdso: its names, and stacks that go through it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/frames.h"
#include "symbol/vdso.h"
#include "symbol_help.h"

struct world {
	struct space *space;
	struct resolve *resolve;
	struct frames *frames;
};

static void open_world(struct world *w, const struct elf_where *where)
{
	assert_int_equal(space_new(&w->space), 0);
	assert_int_equal(resolve_new(w->space, where, &w->resolve), 0);
	assert_int_equal(frames_new(w->resolve, NULL, &w->frames), 0);
}

static void close_world(struct world *w)
{
	frames_free(w->frames);
	resolve_free(w->resolve);
	space_free(w->space);
}

static struct frame_name one(struct world *w, pid_t tgid, uint64_t pc)
{
	struct frame_name f;

	assert_int_equal(frames_of(w->frames, (uint32_t)tgid, 5, pc, true, &f, 1), 1);
	return f;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool vdso_range(pid_t pid, uint64_t *ret_start, uint64_t *ret_end)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", ret_start, ret_end) == 2;
	if (f)
		fclose(f);
	return found;
}

static void test_vdso_names(void **state)
{
	struct elf_where where = { 0 };
	struct utsname uts;
	struct elf_symbols *vdso;
	struct elf_symbol symbol;
	uint64_t first, last, bias;
	struct world w;
	pid_t me = getpid();

	(void)state;
	assert_int_equal(uname(&uts), 0);
	if (!vdso_range(me, &first, &last))
		skip();
	assert_int_equal(vdso_open(uts.release, last - first, &vdso), 0);
	assert_true(elf_symbols_find_function(vdso, "__vdso_clock_gettime", &symbol) ||
		    elf_symbols_find_function(vdso, "__kernel_clock_gettime", &symbol));
	where.kernel = uts.release;
	open_world(&w, &where);
	help_add_proc(w.space, me, 0);
	assert_non_null(strstr(one(&w, me, first + symbol.address).name, "clock_gettime"));
	assert_string_equal(one(&w, me, first + symbol.address).object, "[vdso]");
	assert_non_null(resolve_cfi(w.resolve, (uint32_t)me, 5, first + symbol.address, &bias));
	assert_int_equal(bias, first);
	close_world(&w);
	elf_symbols_close(vdso);
	/* the vdso of another kernel is not known */
	where.kernel = "6.66.6";
	open_world(&w, &where);
	help_add_proc(w.space, me, 0);
	assert_string_equal(one(&w, me, first + symbol.address).name, "[vdso]");
	close_world(&w);
	assert_int_equal(vdso_open(uts.release, last - first + 4096, &vdso), -ENOENT);
	assert_int_equal(vdso_open(NULL, last - first, &vdso), -ENOENT);
}

/* Stops a process in its vdso; false: it was never there. */
static bool stop_in_vdso(pid_t pid, uint8_t *stack, size_t bytes, struct unwind_state *ret)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	uint64_t first, last;
	int status;

	if (!vdso_range(pid, &first, &last) || ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		return false;
	for (int i = 0; i < 2000; i++) {
		if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
		    waitpid(pid, &status, __WALL) != pid)
			return false;
		help_state(pid, pid, stack, bytes, ret);
		if (ret->pc >= first && ret->pc < last)
			return true;
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		nanosleep(&moment, NULL);
	}
	return false;
}

static _Noreturn void spin(void)
{
	struct timespec ts;

	for (;;)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void test_unwind_through_vdso(void **state)
{
	static uint8_t stack[16384];
	struct elf_where where = { 0 };
	struct unwind_frame frames[64];
	struct unwind_state at;
	struct unwind *unwind;
	struct utsname uts;
	struct world w;
	bool in_main = false;
	size_t nr;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		spin();
	}
	if (!stop_in_vdso(pid, stack, sizeof(stack), &at)) {
		end(pid);
		skip();
	}
	assert_int_equal(uname(&uts), 0);
	where.kernel = uts.release;
	open_world(&w, &where);
	help_add_proc(w.space, pid, 0);
	assert_int_equal(unwind_new(w.resolve, &unwind), 0);
	nr = unwind_stack(unwind, (uint32_t)pid, 5, &at, frames, 64, NULL);
	assert_true(nr >= 4);
	for (size_t i = 0; i < nr; i++) {
		struct frame_name f;

		frames_of(w.frames, (uint32_t)pid, 5, frames[i].pc, frames[i].exact, &f, 1);
		if (!i)
			assert_string_equal(f.object, "[vdso]");
		in_main |= !strcmp(f.name, "main");
	}
	assert_true(in_main);
	unwind_free(unwind);
	close_world(&w);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vdso_names),
		cmocka_unit_test(test_unwind_through_vdso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
