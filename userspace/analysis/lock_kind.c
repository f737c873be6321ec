// SPDX-License-Identifier: GPL-2.0-only
/* What a futex is used for: see lock_kind.h. */
#include "analysis/lock_kind.h"

#include <string.h>

/* How far out the calling function may be: above it are the program's own. */
#define MAX_DEPTH 8

static const char *const names[LOCK_KIND_NR] = {
	[LOCK_FUTEX] = "futex",     [LOCK_MUTEX] = "mutex",     [LOCK_PI_MUTEX] = "pi_mutex",
	[LOCK_RWLOCK] = "rwlock",   [LOCK_GIL] = "gil",         [LOCK_KERNEL] = "kernel",
	[LOCK_COND] = "cond",       [LOCK_JOIN] = "join",       [LOCK_SEMAPHORE] = "semaphore",
	[LOCK_BARRIER] = "barrier", [LOCK_ONCE] = "once",       [LOCK_FUTURE] = "future",
	[LOCK_PARK] = "park",       [LOCK_RUNTIME] = "runtime",
};

const char *lock_kind_name(enum lock_kind kind)
{
	return kind < LOCK_KIND_NR ? names[kind] : "?";
}

enum ledger_class lock_kind_class(enum lock_kind kind)
{
	switch (kind) {
	case LOCK_MUTEX:
	case LOCK_PI_MUTEX:
	case LOCK_RWLOCK:
		return CLASS_LOCK;
	case LOCK_GIL:
		return CLASS_GIL;
	case LOCK_KERNEL:
		return CLASS_KLOCK;
	default:
		return CLASS_SYNC;
	}
}

enum match { EXACT_MATCH, PREFIX_MATCH, PART_MATCH };

static const struct {
	enum match how;
	const char *text;
	enum lock_kind kind;
} functions[] = {
#define EXACT(text, kind) { EXACT_MATCH, text, kind },
#define PREFIX(text, kind) { PREFIX_MATCH, text, kind },
#define PART(text, kind) { PART_MATCH, text, kind },
#include "analysis/lock_functions.def"
#undef EXACT
#undef PREFIX
#undef PART
};

/* Without leading underscores, and glibc's internal prefix. */
static const char *bare_name(const char *name)
{
	name += strspn(name, "_");
	if (!strncmp(name, "GI_", 3))
		name += 3 + strspn(name + 3, "_");
	return name;
}

static enum lock_kind kind_of_function(const char *name)
{
	name = bare_name(name);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		const char *text = functions[i].text;
		bool hit = functions[i].how == EXACT_MATCH  ? !strcmp(name, text) :
			   functions[i].how == PREFIX_MATCH ? !strncmp(name, text, strlen(text)) :
							      strstr(name, text) != NULL;

		if (hit)
			return functions[i].kind;
	}
	return LOCK_FUTEX;
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; name && *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

/* A function of the C library that waits for a lock, a condition variable or a semaphore. */
static bool is_primitive(const char *name)
{
	enum lock_kind kind = name ? kind_of_function(name) : LOCK_FUTEX;

	return kind == LOCK_MUTEX || kind == LOCK_COND || kind == LOCK_SEMAPHORE;
}

/* take_gil() is static; these are its callers. */
static const char *const gil_takers[] = {
	"take_gil",
	"PyEval_RestoreThread",
	"PyEval_AcquireThread",
	"PyEval_AcquireLock",
	"_PyEval_AcquireLock",
	"_PyThreadState_Attach",
	"PyGILState_Ensure",
	"_Py_HandlePending",
	"_PyEval_EvalFrameDefault",
	/* drop_gil() waits too: for its mutexes, and until another thread has taken over */
	"drop_gil",
	"drop_gil_impl",
	"PyEval_SaveThread",
	"PyEval_ReleaseThread",
	"PyEval_ReleaseLock",
	"_PyEval_ReleaseLock",
	"_PyThreadState_Detach",
	NULL,
};

static const char *const allocators[] = {
	"malloc",
	"free",
	"calloc",
	"realloc",
	"memalign",
	"aligned_alloc",
	"posix_memalign",
	"__libc_malloc",
	"__libc_free",
	"__libc_calloc",
	"__libc_realloc",
	"__libc_memalign",
	"_int_malloc",
	"_int_free",
	"_int_realloc",
	"arena_get2",
	"arena_get2.part.0",
	"arena_get_retry",
	NULL,
};

/* The function above frame `i`; frames without a name are passed over within its object only: it is one of its static functions. */
static const char *caller_of(const struct lock_frame *frames, size_t nr, size_t i)
{
	size_t first = i + 1;

	while (++i < nr) {
		if (!frames[i].object || !frames[first].object ||
		    strcmp(frames[i].object, frames[first].object))
			return NULL;
		if (frames[i].function)
			return frames[i].function;
	}
	return NULL;
}

/* Java's threads and monitors wait in libjvm's own parkers, by pthread_cond_wait(). */
static bool in_java(const struct lock_frame *frames, size_t nr, size_t i)
{
	const char *file = i + 1 < nr && frames[i + 1].object ? strrchr(frames[i + 1].object, '/') :
								NULL;

	return file && !strcmp(file, "/libjvm.so");
}

enum lock_kind lock_kind_by_stack(const struct lock_frame *frames, size_t nr,
				  const char **ret_runtime, bool *ret_malloc)
{
	enum lock_kind kind = LOCK_FUTEX;
	const char *runtime = NULL, *caller;
	bool allocator = false;
	size_t i;

	for (i = 0; i < nr && i < MAX_DEPTH && kind == LOCK_FUTEX; i++)
		if (frames[i].function)
			kind = kind_of_function(frames[i].function);
	i--; /* the frame that told */
	if (kind == LOCK_RUNTIME) {
		runtime = "Go";
	} else if (kind == LOCK_MUTEX || kind == LOCK_COND || kind == LOCK_SEMAPHORE) {
		/* lll_lock_wait is called by pthread_mutex_lock, and that by pthread_cond_wait */
		while (i + 1 < nr && is_primitive(frames[i + 1].function))
			i++;
		caller = caller_of(frames, nr, i);
		if (kind != LOCK_SEMAPHORE && is_one_of(caller, gil_takers))
			kind = LOCK_GIL;
		else if (in_java(frames, nr, i)) {
			kind = LOCK_RUNTIME;
			runtime = "Java";
		}
		allocator = is_one_of(caller, allocators);
	}
	if (ret_runtime)
		*ret_runtime = runtime;
	if (ret_malloc)
		*ret_malloc = allocator;
	return kind;
}

bool lock_stack_keeps_owner(const struct lock_frame *frames, size_t nr)
{
	static const char *const owned[] = { "pthread_mutex_", "pthread_rwlock_", "pthread_cond_",
					     "mtx_", "cnd_" };

	for (size_t i = 0; i < nr && i < MAX_DEPTH; i++) {
		const char *name = frames[i].function ? bare_name(frames[i].function) : NULL;

		for (size_t k = 0; name && k < sizeof(owned) / sizeof(owned[0]); k++)
			if (!strncmp(name, owned[k], strlen(owned[k])))
				return true;
		/* what is further out called a lock that is none of these */
		if (name && kind_of_function(name) != LOCK_FUTEX &&
		    strncmp(name, "lll_lock_wait", strlen("lll_lock_wait")))
			return false;
	}
	return false;
}

enum lock_kind lock_kind_by_call(const struct lock_call *c)
{
	if (!c->futex)
		return LOCK_FUTEX;
	switch (LOCK_OP(c->op)) {
	case LOCK_OP_LOCK_PI:
	case LOCK_OP_LOCK_PI2:
		return LOCK_PI_MUTEX;
	case LOCK_OP_WAIT_REQUEUE_PI:
		return LOCK_COND;
	default:
		return LOCK_FUTEX;
	}
}

/* It waits in a plain way for another value than this, and the word has it still. */
static bool waits_for_change(const struct lock_call *c)
{
	unsigned int op = LOCK_OP(c->op);

	return c->futex && (op == LOCK_OP_WAIT || op == LOCK_OP_WAIT_BITSET) && c->read &&
	       c->word == c->val;
}

bool lock_is_mutex_word(const struct lock_call *c)
{
	return waits_for_change(c) && c->val == 2;
}

bool lock_is_robust_word(const struct lock_call *c, uint32_t owner)
{
	return waits_for_change(c) && owner && c->val == (owner | LOCK_WAITERS);
}

/* More bits than these no mutex has in its kind: type, robustness, protocol, process-shared, elision. */
#define MUTEX_KINDS 0x400

uint32_t lock_mutex_owner(const uint32_t near[3])
{
	return near[1] && near[2] < MUTEX_KINDS ? near[0] & LOCK_TID_MASK : 0;
}
