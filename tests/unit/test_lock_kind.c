// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a futex is used for, by the stack: stacks as they are with and without symbols of static functions (a NULL is
 * a frame without a name), of glibc 2.36, CPython 3.11, rustc's std, Go 1.2x, OpenJDK 17, libgomp 12. The exported names that this machine's
 * own libraries have are looked for in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#include "analysis/lock_kind.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define C "/lib/x86_64-linux-gnu/libc.so.6"
#define PY "/usr/bin/python3.11"
#define APP "/usr/bin/app"
#define GOMP "/lib/x86_64-linux-gnu/libgomp.so.1"
#define JVM "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"

#define MANGLED(path, rest) "_ZN3std3sys" path rest "17h0123456789abcdefE"

static const struct {
	const char *name;
	struct lock_frame frame[10]; /* ended by one without an object */
	enum lock_kind kind;
	const char *runtime;
	bool malloc_lock;
} stacks[] = {
	{ "nothing", { { NULL, NULL } }, LOCK_FUTEX, NULL, false },
	{ "no names", { { NULL, C }, { NULL, APP }, { NULL, APP } }, LOCK_FUTEX, NULL, false },
	{ "a program's own call",
	  { { "syscall", C }, { "my_lock", APP }, { "main", APP } },
	  LOCK_FUTEX,
	  NULL,
	  false },

	/* glibc, stripped */
	{ "mutex",
	  { { NULL, C }, { "pthread_mutex_lock", C }, { "main", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "a mutex within a limit",
	  { { NULL, C }, { "pthread_mutex_timedlock", C }, { "main", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "C11 mutex", { { NULL, C }, { "mtx_lock", C }, { "f", APP } }, LOCK_MUTEX, NULL, false },
	{ "condition variable",
	  { { NULL, C }, { "pthread_cond_wait", C }, { "main", APP } },
	  LOCK_COND,
	  NULL,
	  false },
	{ "a condition variable within a limit",
	  { { NULL, C }, { "pthread_cond_clockwait", C }, { "f", APP } },
	  LOCK_COND,
	  NULL,
	  false },
	{ "join", { { NULL, C }, { NULL, C }, { "main", APP } }, LOCK_FUTEX, NULL, false },
	{ "C11 join", { { NULL, C }, { "thrd_join", C }, { "main", APP } }, LOCK_JOIN, NULL, false },
	{ "semaphore",
	  { { NULL, C }, { "sem_wait", C }, { "main", APP } },
	  LOCK_SEMAPHORE,
	  NULL,
	  false },
	{ "a semaphore within a limit",
	  { { NULL, C }, { NULL, C }, { "sem_clockwait", C }, { "main", APP } },
	  LOCK_SEMAPHORE,
	  NULL,
	  false },
	{ "barrier",
	  { { NULL, C }, { "pthread_barrier_wait", C }, { "main", APP } },
	  LOCK_BARRIER,
	  NULL,
	  false },
	{ "rwlock",
	  { { NULL, C }, { "pthread_rwlock_wrlock", C }, { "main", APP } },
	  LOCK_RWLOCK,
	  NULL,
	  false },
	{ "once", { { "pthread_once", C }, { "f", APP } }, LOCK_ONCE, NULL, false },
	{ "malloc's arena",
	  { { "__lll_lock_wait_private", C }, { NULL, C }, { "malloc", C }, { "f", APP } },
	  LOCK_MUTEX,
	  NULL,
	  true },
	{ "stdio's lock",
	  { { "__lll_lock_wait_private", C }, { "puts", C }, { "f", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "a program's lock around malloc is not malloc's",
	  { { NULL, C }, { "pthread_mutex_lock", C }, { "malloc", APP }, { "main", APP } },
	  LOCK_MUTEX,
	  NULL,
	  true }, /* another allocator's, such as jemalloc's */

	/* glibc with its debug symbols */
	{ "mutex, all names",
	  { { "futex_wait", C },
	    { "__GI___lll_lock_wait", C },
	    { "lll_mutex_lock_optimized", C },
	    { "___pthread_mutex_lock", C },
	    { "main", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "join, all names",
	  { { "__futex_abstimed_wait_common64", C },
	    { "__futex_abstimed_wait_common", C },
	    { "__GI___futex_abstimed_wait_cancelable64", C },
	    { "__pthread_clockjoin_ex", C },
	    { "main", APP } },
	  LOCK_JOIN,
	  NULL,
	  false },
	{ "semaphore, all names",
	  { { "__futex_abstimed_wait_common", C },
	    { "__new_sem_wait_slow64", C },
	    { "__new_sem_wait", C },
	    { "main", APP } },
	  LOCK_SEMAPHORE,
	  NULL,
	  false },
	{ "the mutex of a condition variable is a mutex",
	  { { "futex_wait", C },
	    { "__lll_lock_wait", C },
	    { "__pthread_mutex_cond_lock", C },
	    { "___pthread_cond_wait", C },
	    { "main", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "malloc's arena, all names",
	  { { "futex_wait", C },
	    { "__GI___lll_lock_wait_private", C },
	    { "arena_get2.part.0", C },
	    { "arena_get2", C },
	    { "__libc_malloc", C },
	    { "f", APP } },
	  LOCK_MUTEX,
	  NULL,
	  true },

	/* CPython */
	{ "take_gil, with symbols",
	  { { NULL, C },
	    { "pthread_cond_timedwait", C },
	    { "take_gil", PY },
	    { "PyEval_RestoreThread", PY },
	    { "time_sleep", PY } },
	  LOCK_GIL,
	  NULL,
	  false },
	{ "take_gil, stripped",
	  { { NULL, C },
	    { NULL, C },
	    { "pthread_cond_clockwait", C },
	    { NULL, PY },
	    { "PyEval_RestoreThread", PY } },
	  LOCK_GIL,
	  NULL,
	  false },
	{ "the loop gives it up and takes it again, stripped",
	  { { "pthread_cond_timedwait", C },
	    { NULL, PY },
	    { NULL, PY },
	    { "_PyEval_EvalFrameDefault", PY } },
	  LOCK_GIL,
	  NULL,
	  false },
	{ "the mutex inside, and that of its condition variable",
	  { { "__lll_lock_wait", C },
	    { "__pthread_mutex_cond_lock", C },
	    { "pthread_cond_timedwait", C },
	    { NULL, PY },
	    { "PyEval_RestoreThread", PY } },
	  LOCK_GIL,
	  NULL,
	  false },
	{ "threading.Lock, stripped",
	  { { NULL, C },
	    { "sem_clockwait", C },
	    { "PyThread_acquire_lock_timed", PY },
	    { NULL, PY },
	    { "_PyEval_EvalFrameDefault", PY } },
	  LOCK_SEMAPHORE,
	  NULL,
	  false },
	{ "a semaphore is never the GIL",
	  { { "sem_wait", C }, { NULL, PY }, { NULL, PY }, { "_PyEval_EvalFrameDefault", PY } },
	  LOCK_SEMAPHORE,
	  NULL,
	  false },
	{ "an extension module's condition variable is not the GIL",
	  { { "pthread_cond_wait", C },
	    { NULL, "/usr/lib/python3/_queue.so" },
	    { "_PyEval_EvalFrameDefault", PY } },
	  LOCK_COND,
	  NULL,
	  false },

	/* Rust: std since 1.8x, 1.7x, 1.63; legacy and v0 mangling */
	{ "Rust, mutex",
	  { { "syscall", C },
	    { MANGLED("4sync5mutex5futex5Mutex", "14lock_contended"), APP },
	    { "_ZN3app4work17h0123456789abcdefE", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "Rust, mutex, older",
	  { { "syscall", C },
	    { MANGLED("4unix5locks11futex_mutex5Mutex", "14lock_contended"), APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "Rust, mutex, v0",
	  { { "syscall", C },
	    { "_RNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync5mutex5futexNtB2_5Mutex14lock_contended",
	      APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "Rust, rwlock, v0",
	  { { "syscall", C },
	    { "_RNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync6rwlock5futexNtB2_6RwLock14read_contended",
	      APP } },
	  LOCK_RWLOCK,
	  NULL,
	  false },
	{ "Rust, condition variable, v0",
	  { { "syscall", C },
	    { "_RNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync7condvar5futexNtB2_7Condvar4wait", APP } },
	  LOCK_COND,
	  NULL,
	  false },
	{ "Rust, barrier, v0",
	  { { "syscall", C },
	    { "_RNvMNtNtCsjrHSEGnQ3l9_3std4sync7barrierNtB2_7Barrier4wait", APP } },
	  LOCK_BARRIER,
	  NULL,
	  false },
	{ "Rust, barrier, whose mutex is taken",
	  { { "syscall", C },
	    { MANGLED("4sync5mutex5futex5Mutex", "14lock_contended"), APP },
	    { "_ZN3std4sync7barrier7Barrier4wait17h0123456789abcdefE", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "Rust, once, v0",
	  { { "syscall", C },
	    { "_RNvMs0_NtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync4once5futexNtB5_4Once4call", APP } },
	  LOCK_ONCE,
	  NULL,
	  false },
	{ "Rust, park, v0",
	  { { "syscall", C },
	    { "_RNvMs_NtNtCsjrHSEGnQ3l9_3std6thread6threadNtB4_6Thread4park", APP } },
	  LOCK_PARK,
	  NULL,
	  false },
	{ "Rust, parking_lot",
	  { { "syscall", C },
	    { "_ZN11parking_lot9raw_mutex8RawMutex9lock_slow17h0123456789abcdefE", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "Rust, a program's own parking places",
	  { { "syscall", C }, { "_ZN7carpark7parking5spark17h0123456789abcdefE", APP } },
	  LOCK_FUTEX,
	  NULL,
	  false },
	{ "Rust, rwlock",
	  { { "syscall", C }, { MANGLED("4sync6rwlock5futex6RwLock", "15write_contended"), APP } },
	  LOCK_RWLOCK,
	  NULL,
	  false },
	{ "Rust, condition variable",
	  { { "syscall", C },
	    { MANGLED("4sync7condvar5futex7Condvar", "21wait_optional_timeout"), APP } },
	  LOCK_COND,
	  NULL,
	  false },
	{ "Rust, park",
	  { { "syscall", C },
	    { MANGLED("4sync14thread_parking5futex6Parker", "4park"), APP },
	    { "_ZN3std6thread4park17h0123456789abcdefE", APP } },
	  LOCK_PARK,
	  NULL,
	  false },
	{ "Rust, once",
	  { { "syscall", C }, { MANGLED("4sync4once5futex4Once", "4wait"), APP } },
	  LOCK_ONCE,
	  NULL,
	  false },

	/* C++, Go, Java, OpenMP */
	{ "C++, future",
	  { { "syscall", C },
	    { "_ZNSt28__atomic_futex_unsigned_base19_M_futex_wait_untilEPjjbNSt6chrono8durationIlS"
	      "t5ratioILl1ELl1EEEENS2_IlS3_ILl1ELl1000000000EEEE",
	      "/lib/x86_64-linux-gnu/libstdc++.so.6" } },
	  LOCK_FUTURE,
	  NULL,
	  false },
	{ "Go",
	  { { "runtime.futex.abi0", APP },
	    { "runtime.futexsleep", APP },
	    { "runtime.notesleep", APP },
	    { "runtime.stopm", APP } },
	  LOCK_RUNTIME,
	  "Go",
	  false },
	{ "Java, parked",
	  { { NULL, C }, { "pthread_cond_wait", C }, { NULL, JVM }, { NULL, JVM } },
	  LOCK_RUNTIME,
	  "Java",
	  false },
	{ "a Java program's library with a mutex of its own",
	  { { "pthread_mutex_lock", C }, { NULL, "/tmp/libjvm.so.1" }, { NULL, JVM } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "OpenMP, barrier",
	  { { NULL, GOMP }, { "GOMP_barrier", GOMP }, { "main._omp_fn.0", APP } },
	  LOCK_BARRIER,
	  NULL,
	  false },
	{ "OpenMP, critical section",
	  { { NULL, GOMP }, { "GOMP_critical_start", GOMP }, { "main._omp_fn.0", APP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "OpenMP, lock, with symbols",
	  { { "futex_wait", GOMP }, { "gomp_mutex_lock_slow", GOMP }, { "omp_set_lock", GOMP } },
	  LOCK_MUTEX,
	  NULL,
	  false },
	{ "OpenMP, the end of a team, with symbols",
	  { { "futex_wait", GOMP },
	    { "gomp_team_barrier_wait_end", GOMP },
	    { "gomp_thread_start", GOMP } },
	  LOCK_BARRIER,
	  NULL,
	  false },

	/* too far out: what the program does inside of a library's callback is its own */
	{ "a function too far out",
	  { { "syscall", C },
	    { "a", APP },
	    { "b", APP },
	    { "c", APP },
	    { "d", APP },
	    { "e", APP },
	    { "f", APP },
	    { "g", APP },
	    { "pthread_once", C } },
	  LOCK_FUTEX,
	  NULL,
	  false },
};

static void test_stacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(stacks); i++) {
		const char *runtime = "unset";
		bool malloc_lock = true;
		size_t nr = 0;
		enum lock_kind kind;

		while (nr < LEN(stacks[i].frame) && stacks[i].frame[nr].object)
			nr++;
		kind = lock_kind_by_stack(stacks[i].frame, nr, &runtime, &malloc_lock);
		if (kind != stacks[i].kind)
			fail_msg("%s: %s, not %s", stacks[i].name, lock_kind_name(kind),
				 lock_kind_name(stacks[i].kind));
		if (runtime != stacks[i].runtime &&
		    (!runtime || !stacks[i].runtime || strcmp(runtime, stacks[i].runtime)))
			fail_msg("%s: runtime %s", stacks[i].name, runtime ?: "none");
		if (malloc_lock != stacks[i].malloc_lock)
			fail_msg("%s: malloc %d", stacks[i].name, malloc_lock);
		assert_int_equal(lock_kind_by_stack(stacks[i].frame, nr, NULL, NULL), kind);
	}
}

/* An owner is only where the stack shows glibc's own types: beside another lock's word anything may stand, a living thread's number, too. */
static void test_owners(void **state)
{
	static const struct {
		const char *name;
		struct lock_frame frame[4];
		bool owner;
	} cases[] = {
		{ "mutex", { { NULL, C }, { "pthread_mutex_lock", C }, { "f", APP } }, true },
		{ "a mutex, with glibc's symbols",
		  { { "__lll_lock_wait", C }, { "___pthread_mutex_lock", C }, { "f", APP } },
		  true },
		{ "C11's", { { NULL, C }, { "mtx_lock", C }, { "f", APP } }, true },
		{ "a condition variable's mutex",
		  { { "__lll_lock_wait", C }, { "pthread_cond_wait", C }, { "f", APP } },
		  true },
		{ "rwlock", { { NULL, C }, { "pthread_rwlock_rdlock", C }, { "f", APP } }, true },
		{ "malloc's", { { "__lll_lock_wait_private", C }, { "malloc", C } }, false },
		{ "stdio's", { { "__lll_lock_wait", C }, { "puts", C }, { "f", APP } }, false },
		{ "Rust's mutex",
		  { { "syscall", C },
		    { "_ZN3std3sys4sync5mutex5futex5Mutex14lock_contendedE", APP } },
		  false },
		{ "Rust's rwlock",
		  { { "syscall", C },
		    { "_ZN3std3sys4sync6rwlock5futex6RwLock14read_contendedE", APP },
		    { "pthread_mutex_lock_everything", APP } },
		  false },
		{ "OpenMP's", { { NULL, GOMP }, { "GOMP_critical_start", GOMP } }, false },
		{ "nothing known", { { NULL, C }, { NULL, APP } }, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		size_t nr = 0;

		while (nr < LEN(cases[i].frame) && cases[i].frame[nr].object)
			nr++;
		if (lock_stack_keeps_owner(cases[i].frame, nr) != cases[i].owner)
			fail_msg("%s", cases[i].name);
	}
}

/* The functions that our table names exist in the library that this program runs with. */
static void test_real_names(void **state)
{
	static const struct {
		const char *name;
		enum lock_kind kind;
	} exported[] = {
		{ "pthread_mutex_lock", LOCK_MUTEX },
		{ "pthread_mutex_clocklock", LOCK_MUTEX },
		{ "pthread_cond_clockwait", LOCK_COND },
		{ "pthread_rwlock_rdlock", LOCK_RWLOCK },
		{ "pthread_join", LOCK_JOIN },
		{ "pthread_timedjoin_np", LOCK_JOIN },
		{ "pthread_clockjoin_np", LOCK_JOIN },
		{ "pthread_barrier_wait", LOCK_BARRIER },
		{ "pthread_once", LOCK_ONCE },
		{ "sem_wait", LOCK_SEMAPHORE },
		{ "sem_timedwait", LOCK_SEMAPHORE },
		{ "mtx_timedlock", LOCK_MUTEX },
		{ "cnd_wait", LOCK_COND },
		{ "thrd_join", LOCK_JOIN },
		{ "call_once", LOCK_ONCE },
	};

	(void)state;
	for (size_t i = 0; i < LEN(exported); i++) {
		struct lock_frame frame[] = { { NULL, C }, { exported[i].name, C } };

		if (!dlsym(RTLD_DEFAULT, exported[i].name))
			fail_msg("this C library has no %s", exported[i].name);
		assert_int_equal(lock_kind_by_stack(frame, 2, NULL, NULL), exported[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_real_names),
		cmocka_unit_test(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
