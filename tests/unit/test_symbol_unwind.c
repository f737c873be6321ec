// SPDX-License-Identifier: GPL-2.0-only
/* Unwinding real processes that block in a lock, and Python interpreters: the names are known, and libdwfl gives the same frames. */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
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
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "symbol_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define STACK_BYTES (256 << 10)
#define MAX_FRAMES 200

#define CALLED __attribute__((noipa, optimize("no-optimize-sibling-calls")))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

/* No inlining and no tail calls: each is a frame. They do something after the call, with a saved register. */
CALLED int blocks_in_mutex(int n);
CALLED int blocks_in_mutex(int n)
{
	return pthread_mutex_lock(&mutex) + n;
}

CALLED int blocks_in_cond(int n);
CALLED int blocks_in_cond(int n)
{
	return pthread_cond_wait(&cond, &mutex) + n;
}

CALLED int blocks_in_semaphore(int n);
CALLED int blocks_in_semaphore(int n)
{
	return sem_wait(&semaphore) + n;
}

/* A frame of a size that is only known at run time: its CFA is by the frame pointer. */
CALLED int calls_with_alloca(int (*fn)(int), int n);
CALLED int calls_with_alloca(int (*fn)(int), int n)
{
	volatile char *room = __builtin_alloca((size_t)n * 16);

	room[n] = 1;
	return fn(n) + room[n];
}

CALLED void blocks_in_handler(int signal);
CALLED void blocks_in_handler(int signal)
{
	calls_with_alloca(blocks_in_mutex, signal);
}

CALLED int raises(int n);
CALLED int raises(int n)
{
	return raise(SIGUSR1) + n;
}

static volatile int sink;

static void run_child(int (*fn)(int))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, blocks_in_handler);
	pthread_mutex_lock(&mutex);
	sem_init(&semaphore, 0, 0);
	sink = calls_with_alloca(fn, 20);
	_exit(sink);
}

static pid_t start_child(int (*fn)(int))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		run_child(fn);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
}

/* What libdwfl finds in the stopped process. */
struct oracle {
	uint64_t pcs[MAX_FRAMES];
	size_t nr;
};

static int oracle_frame(Dwfl_Frame *frame, void *arg)
{
	struct oracle *o = arg;
	Dwarf_Addr pc;

	if (o->nr == MAX_FRAMES || !dwfl_frame_pc(frame, &pc, NULL))
		return DWARF_CB_ABORT;
	o->pcs[o->nr++] = pc;
	return DWARF_CB_OK;
}

static void ask_libdwfl(pid_t pid, pid_t tid, struct oracle *o)
{
	static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_linux_proc_find_elf,
						  .find_debuginfo = dwfl_standard_find_debuginfo };
	Dwfl *dwfl = dwfl_begin(&callbacks);

	assert_non_null(dwfl);
	dwfl_report_begin(dwfl);
	assert_int_equal(dwfl_linux_proc_report(dwfl, pid), 0);
	dwfl_report_end(dwfl, NULL, NULL);
	assert_int_equal(dwfl_linux_proc_attach(dwfl, pid, true), 0);
	o->nr = 0;
	dwfl_getthread_frames(dwfl, tid, oracle_frame, o);
	dwfl_end(dwfl);
}

/* A stopped process, and what is needed to unwind it. */
struct stopped {
	struct help_world world;
	struct unwind *unwind;
	struct unwind_state state;
	uint8_t *stack;
	struct unwind_frame frames[MAX_FRAMES];
	size_t nr;
	enum unwind_end end;
};

static void look(struct stopped *s, pid_t pid, pid_t tid, size_t stack_bytes)
{
	help_world_open(&s->world);
	help_add_proc(s->world.space, pid, 0);
	assert_int_equal(unwind_new(s->world.resolve, &s->unwind), 0);
	s->stack = malloc(stack_bytes);
	assert_non_null(s->stack);
	help_state(pid, tid, s->stack, stack_bytes, &s->state);
	s->nr = unwind_stack(s->unwind, (uint32_t)pid, 1, &s->state, s->frames, MAX_FRAMES,
			     &s->end);
}

static void look_end(struct stopped *s)
{
	unwind_free(s->unwind);
	help_world_close(&s->world);
	free(s->stack);
}

static bool same_as_libdwfl(const struct stopped *s, const struct oracle *o)
{
	bool same = s->nr == o->nr;

	for (size_t i = 0; i < s->nr && i < o->nr; i++)
		same &= s->frames[i].pc == o->pcs[i];
	return same;
}

/* The index of the first frame from `from` on whose function begins with that name. */
static size_t frame_of(struct stopped *s, pid_t pid, const char *name, size_t from)
{
	for (size_t i = from; i < s->nr; i++) {
		struct code_place place;

		unwind_code(s->unwind, (uint32_t)pid, 1, &s->frames[i], &place);
		if (place.name && !strncmp(place.name, name, strlen(name)))
			return i;
	}
	fail_msg("no frame of %s", name);
	return 0;
}

static void check_blocked(int (*fn)(int), const char *const *names)
{
	pid_t pid = start_child(fn);
	struct stopped s;
	struct oracle o;
	size_t at = 0;

	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	ask_libdwfl(pid, pid, &o);
	assert_true(s.nr > 5);
	assert_int_equal(s.end, UNWIND_DONE);
	assert_true(same_as_libdwfl(&s, &o));
	for (; *names; names++)
		at = frame_of(&s, pid, *names, at) + 1;
	assert_true(frame_of(&s, pid, "main", at) > at);
	look_end(&s);
	end_child(pid);
}

static void test_blocked_in_locks(void **state)
{
	(void)state;
	check_blocked(blocks_in_mutex, (const char *[]){ "pthread_mutex_lock", "blocks_in_mutex",
							 "calls_with_alloca", NULL });
	check_blocked(blocks_in_cond, (const char *[]){ "pthread_cond_wait", "blocks_in_cond",
							"calls_with_alloca", NULL });
	check_blocked(blocks_in_semaphore,
		      (const char *[]){ "blocks_in_semaphore", "calls_with_alloca", NULL });
}

static void test_through_a_signal(void **state)
{
	pid_t pid = start_child(raises);
	struct unwind_frame *f;
	struct stopped s;
	struct oracle o;
	size_t at;

	(void)state;
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	ask_libdwfl(pid, pid, &o);
	assert_true(same_as_libdwfl(&s, &o));
	at = frame_of(&s, pid, "blocks_in_handler", 0) + 1;
	f = &s.frames[at];
	assert_true(f[0].exact && f[1].exact && !f[-1].exact && !f[2].exact);
	at = frame_of(&s, pid, "raise", at);
	at = frame_of(&s, pid, "raises", at + 1);
	frame_of(&s, pid, "main", at);
	look_end(&s);
	end_child(pid);
}

/* Whatever the copy's size, the frames are the first ones of the whole stack's, and the end is called cut. */
static void test_cut_copies(void **state)
{
	struct unwind_frame frames[MAX_FRAMES];
	pid_t pid = start_child(blocks_in_mutex);
	enum unwind_end end;
	struct stopped s;
	size_t most = 0;

	(void)state;
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	for (size_t bytes = 0; bytes < 16384; bytes += bytes < 600 ? 3 : 512) {
		struct unwind_state cut = s.state;
		size_t nr;

		if (bytes > s.state.stack_bytes)
			break;
		cut.stack_bytes = bytes;
		nr = unwind_stack(s.unwind, (uint32_t)pid, 1, &cut, frames, MAX_FRAMES, &end);
		assert_true(nr >= most && nr <= s.nr);
		for (size_t i = 0; i < nr; i++)
			assert_int_equal(frames[i].pc, s.frames[i].pc);
		assert_int_equal(end, nr == s.nr ? UNWIND_DONE : UNWIND_CUT);
		most = nr;
	}
	assert_true(most > 4);
	assert_int_equal(unwind_stack(s.unwind, (uint32_t)pid, 1, &s.state, frames, 3, &end), 3);
	assert_int_equal(end, UNWIND_FULL);
	/* A process of which nothing is known: only the innermost frame. */
	assert_int_equal(unwind_stack(s.unwind, 1, 1, &s.state, frames, 9, &end), 1);
	look_end(&s);
	end_child(pid);
}

#if defined(__x86_64__)
#define SP_REGISTER UNWIND_X86_SP
#else
#define SP_REGISTER UNWIND_ARM64_SP
#endif

/*
 * What is said to lie above the copy, nonsense too, is never looked at for what lies in it, and only as far as it reaches. That frames
 * above are found by it is seen in tests/e2e/stacks.sh.
 */
static void test_words_above(void **state)
{
	struct unwind_frame without[MAX_FRAMES], frames[MAX_FRAMES];
	pid_t pid = start_child(blocks_in_mutex);
	uint64_t seed = 7, code, top;
	size_t longer = 0;
	struct stopped s;

	(void)state;
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	code = s.frames[s.nr - 2].pc;
	for (int round = 0; round < 4000; round++) {
		struct unwind_state cut = s.state;
		size_t nr = (size_t)round % 80, alone, together;
		uint64_t *chain = malloc(nr * sizeof(*chain) + 1);

		assert_non_null(chain);
		cut.stack_bytes = s.state.stack_bytes < 1024 ? 64 : (size_t)round % 128 * 8;
		top = s.state.registers[SP_REGISTER] + cut.stack_bytes;
		for (size_t i = 0; i < nr; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			/* addresses that rise, now and then not; code, now and then none */
			chain[i] = i && i % 2 == 0 ? (seed >> 60 ? code : 0) :
				   seed >> 61      ? top + i * 8 + (seed >> 56 & 0x18) :
						     seed >> 58;
		}
		alone = unwind_stack(s.unwind, (uint32_t)pid, 1, &cut, without, MAX_FRAMES, NULL);
		cut.chain = chain;
		cut.chain_words = nr;
		together = unwind_stack(s.unwind, (uint32_t)pid, 1, &cut, frames, MAX_FRAMES, NULL);
		assert_true(together >= alone);
		for (size_t i = 0; i < alone; i++)
			assert_int_equal(frames[i].pc, without[i].pc);
		longer += together > alone;
		free(chain);
	}
	assert_true(longer > 0);
	look_end(&s);
	end_child(pid);
}

/* Code that was made at run time, with a frame pointer: `call *%rdi` between its prologue and epilogue. */
static void *make_code(void)
{
#if defined(__x86_64__)
	static const uint8_t code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0xbf,
					0x05, 0x00, 0x00, 0x00, 0xff, 0xd0, 0x5d, 0xc3 };
#else
	static const uint32_t code[] = { 0xa9bf7bfd, 0x910003fd, 0xaa0003e8, 0x528000a0,
					 0xd63f0100, 0xa8c17bfd, 0xd65f03c0 };
#endif
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	memcpy(page, code, sizeof(code));
	__builtin___clear_cache(page, (char *)page + sizeof(code));
	return page;
}

static int (*made)(int (*fn)(int));

CALLED int calls_made_code(int n);
CALLED int calls_made_code(int n)
{
	return made(blocks_in_mutex) + n;
}

static void test_through_made_code(void **state)
{
	struct code_place place;
	struct stopped s;
	size_t at;
	pid_t pid;

	(void)state;
	made = (int (*)(int (*)(int)))make_code();
	pid = start_child(calls_made_code);
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	at = frame_of(&s, pid, "blocks_in_mutex", 0) + 1;
	unwind_code(s.unwind, (uint32_t)pid, 1, &s.frames[at], &place);
	assert_null(place.name);
	assert_false(s.frames[at].guessed);
	assert_int_equal(frame_of(&s, pid, "calls_made_code", at), at + 1);
	assert_true(s.frames[at + 1].guessed);
	assert_true(frame_of(&s, pid, "main", at) > at + 2);
	assert_int_equal(s.end, UNWIND_DONE);
	look_end(&s);
	end_child(pid);
}

/* Nonsense in the registers and on the stack: an end, and no access outside of the copy (the sanitizers see it). */
static void test_random_stacks(void **state)
{
	pid_t pid = start_child(blocks_in_cond);
	struct unwind_frame frames[MAX_FRAMES];
	uint64_t seed = 99;
	struct stopped s;
	size_t all = 0;

	(void)state;
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, 2048);
	for (int round = 0; round < 3000; round++) {
		struct unwind_state broken = s.state;
		uint8_t *stack = malloc(s.state.stack_bytes);

		assert_non_null(stack);
		memcpy(stack, s.stack, s.state.stack_bytes);
		for (int i = 0; i < 30; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			stack[(seed >> 20) % s.state.stack_bytes] = (uint8_t)(seed >> 56);
			if (round % 3 == 0)
				broken.registers[(seed >> 30) % UNWIND_REGISTERS] ^= seed >> 50;
		}
		broken.stack = stack;
		if (round % 7 == 0)
			broken.pc = s.frames[(size_t)round % s.nr].pc + (seed >> 58);
		all += unwind_stack(s.unwind, (uint32_t)pid, 1, &broken, frames, MAX_FRAMES, NULL);
		free(stack);
	}
	assert_true(all > 3000);
	look_end(&s);
	end_child(pid);
}

static const char python_program[] = "import threading\n"
				     "l = threading.Lock()\n"
				     "l.acquire()\n"
				     "def f(n):\n"
				     "    return f(n - 1) if n else l.acquire()\n"
				     "f(5)\n";

static void check_python(const char *python)
{
	pid_t pid = fork();
	struct stopped s;
	struct oracle o;

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(python, python, "-S", "-c", python_program, NULL);
		_exit(127);
	}
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, STACK_BYTES);
	ask_libdwfl(pid, pid, &o);
	if (!same_as_libdwfl(&s, &o))
		fail_msg("%s: %zu frames, libdwfl finds %zu", python, s.nr, o.nr);
	assert_int_equal(s.end, UNWIND_DONE);
	assert_true(s.nr > 15);
	frame_of(&s, pid, "PyThread_acquire_lock", 0);
	look_end(&s);
	end_child(pid);
}

static void test_pythons(void **state)
{
	(void)state;
	help_each_python(check_python);
}

static double seconds(void)
{
	return (double)monotonic_ns() / 1e9;
}

static void test_speed(void **state)
{
	struct unwind_frame frames[MAX_FRAMES];
	pid_t pid = start_child(blocks_in_mutex);
	struct code_place place;
	struct stopped s;
	double begin;
	size_t nr = 0;

	(void)state;
	assert_true(help_stop_in_futex(pid, pid));
	look(&s, pid, pid, 8192);
	begin = seconds();
	for (int i = 0; i < 20000; i++)
		nr += unwind_stack(s.unwind, (uint32_t)pid, 1, &s.state, frames, MAX_FRAMES, NULL);
	print_message("%.0f unwinds/s of %zu frames\n", 20000 / (seconds() - begin), nr / 20000);
	begin = seconds();
	for (size_t i = 0; i < 200000; i++)
		unwind_code(s.unwind, (uint32_t)pid, 1, &frames[i % (nr / 20000)], &place);
	print_message("%.0f ns a code look-up\n", (seconds() - begin) / 200000 * 1e9);
	assert_true(seconds() - begin < 2);
	look_end(&s);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocked_in_locks),  cmocka_unit_test(test_through_a_signal),
		cmocka_unit_test(test_cut_copies),        cmocka_unit_test(test_words_above),
		cmocka_unit_test(test_through_made_code), cmocka_unit_test(test_random_stacks),
		cmocka_unit_test(test_pythons),           cmocka_unit_test(test_speed),
	};

	unsetenv("DEBUGINFOD_URLS"); /* libdwfl would ask a server */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
