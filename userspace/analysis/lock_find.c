// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lock that a futex word belongs to, and what kind it is.
 *
 *   (program, word, place in the code, operation) -> site: the kind, from the stack and the protocol
 *   (program, word or what it lies in, kind) or (file, offset) of shared memory -> lock
 *
 * The words of one object of the program's symbol table are one lock where the kind has several words (condition variable, rwlock); all
 * words in _PyRuntime are its interpreter's lock.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "analysis/stack_regs.h"
#include "base/vec.h"

#define MAX_FRAMES 16

/* ---- from keys to places in an array ---- */

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

static bool same_site(const struct site *a, const struct site *b)
{
	return a->process == b->process && a->uaddr == b->uaddr && a->pc == b->pc && a->op == b->op;
}

/* NULL: there are too many, or no memory. */
static struct site *site_get(struct locks *k, const struct site *wanted)
{
	uint64_t key =
		mix(mix(mix(k->seed, (uint64_t)wanted->op << 32 | wanted->process), wanted->uaddr),
		    wanted->pc);
	uint32_t i;

	while ((i = keymap_get(&k->site_of, key))) {
		if (same_site(&k->site[i - 1], wanted))
			return &k->site[i - 1];
		key++;
	}
	if (k->nr_sites == SITES_MAX)
		return NULL;
	if (vec_room(&k->site, &k->cap_sites, k->nr_sites + 1) ||
	    keymap_set(&k->site_of, key, (uint32_t)k->nr_sites + 1)) {
		k->failed = -ENOMEM;
		return NULL;
	}
	k->site[k->nr_sites] = *wanted;
	return &k->site[k->nr_sites++];
}

static struct lock *lock_add(struct locks *k, const struct lock *from)
{
	struct lock *lock = malloc(sizeof(*lock));
	struct lock_state *state = calloc(1, sizeof(*state));

	if (!lock || !state || vec_room(&k->lock, &k->cap_locks, k->nr_locks + 1) ||
	    vec_room(&k->state, &k->cap_states, k->nr_locks + 1)) {
		free(lock);
		free(state);
		k->failed = -ENOMEM;
		return NULL;
	}
	*lock = *from;
	lock->index = (uint32_t)k->nr_locks;
	k->lock[k->nr_locks] = lock;
	k->state[k->nr_locks] = state;
	return k->lock[k->nr_locks++];
}

struct lock_state *lock_state(struct locks *k, const struct lock *lock)
{
	return k->state[lock->index];
}

static struct lock *too_many(struct locks *k, enum lock_kind kind)
{
	struct lock others = { .kind = kind, .overflow = true };

	if (!k->overflow[kind])
		k->overflow[kind] = lock_add(k, &others);
	return k->overflow[kind];
}

typedef bool (*same_fn)(const struct lock *a, const struct lock *b);

static bool same_private(const struct lock *a, const struct lock *b)
{
	return !a->place.shared && a->program == b->program && a->address == b->address &&
	       a->kind == b->kind;
}

static bool same_shared(const struct lock *a, const struct lock *b)
{
	return a->place.shared && a->kind == b->kind && place_same_shared(&a->place, &b->place);
}

/* The lock that is the same as `wanted`, made where there is none. */
static struct lock *lock_get(struct locks *k, uint64_t key, same_fn same, const struct lock *wanted)
{
	struct lock *lock;
	uint32_t i;

	while ((i = keymap_get(&k->lock_of, key))) {
		if (same(k->lock[i - 1], wanted))
			return k->lock[i - 1];
		key++;
	}
	if (k->nr_locks >= LOCKS_MAX)
		return too_many(k, wanted->kind);
	lock = lock_add(k, wanted);
	if (lock && keymap_set(&k->lock_of, key, lock->index + 1))
		k->failed = -ENOMEM;
	return lock;
}

/* ---- whose number is that ---- */

/* The living thread other than t that is called so there; 0: none. */
static uint32_t called(const struct locks *k, const struct thread *t, uint32_t pid_ns, uint32_t tid)
{
	uint32_t serial = keymap_get(&k->thread_of, (uint64_t)pid_ns << 32 | tid);
	const struct thread *one = serial ? ledger_find(k->ledger, serial) : NULL;

	return one && !one->ended && one != t ? serial : 0;
}

uint32_t lock_thread_of(const struct locks *k, const struct thread *t, const struct waiter *w,
			uint32_t tid, enum lock_scope scope)
{
	uint32_t serial = tid ? called(k, t, w->pid_ns, tid) : 0;

	if (scope == LOCK_OF_PROCESS && serial && ledger_find(k->ledger, serial)->tgid != t->tgid)
		return 0;
	if (!tid || scope != LOCK_OF_ANY)
		return serial;
	for (size_t i = 0; i < k->nr_pid_ns; i++) {
		uint32_t other = k->pid_ns[i] == w->pid_ns ? 0 : called(k, t, k->pid_ns[i], tid);

		if (serial && other)
			return LOCK_SEVERAL;
		serial = serial ?: other;
	}
	return serial && k->nr_pid_ns == LOCK_NAMESPACES ? LOCK_SEVERAL : serial;
}

/* ---- which kind ---- */

static void state_of_stack(const struct locks *k, const struct stack_copy *s,
			   struct unwind_state *ret)
{
	*ret = (struct unwind_state){
		.machine = k->arch == ARCH_AARCH64 ? EM_AARCH64 : EM_X86_64,
		.stack = (const uint8_t *)(s->words + STACK_REGS),
		.stack_bytes = (STACK_PARTS * STACK_WORDS - STACK_REGS) * sizeof(uint64_t),
	};
	stack_regs(k->arch, s->words, ret);
}

static enum lock_kind kind_by_stack(struct locks *k, const struct thread *t,
				    const struct stack_copy *s, struct site *site)
{
	struct unwind_frame frame[MAX_FRAMES];
	struct lock_frame named[MAX_FRAMES];
	struct unwind_state state;
	size_t nr;

	state_of_stack(k, s, &state);
	nr = unwind_stack(k->unwind, t->tgid, k->now_ns, &state, frame, MAX_FRAMES, NULL);
	for (size_t i = 0; i < nr; i++) {
		struct code_place code;

		unwind_code(k->unwind, t->tgid, k->now_ns, &frame[i], &code);
		named[i] = (struct lock_frame){ code.name, code.path };
	}
	site->unowned = !lock_stack_keeps_owner(named, nr);
	site->own_call = nr && named[0].function && !strcmp(named[0].function, "syscall");
	return lock_kind_by_stack(named, nr, &site->runtime, &site->malloc_lock);
}

static enum lock_kind kind_by_word(const struct locks *k, const struct thread *t,
				   const struct waiter *w, const struct lock_call *call,
				   const struct ev_futex *rec)
{
	bool shared = !(rec->op & LOCK_OP_PRIVATE);
	uint32_t owner = EV_FLAGS(rec->w0) & FX_NEAR ? lock_mutex_owner(rec->near) : 0;

	if ((lock_is_mutex_word(call) || lock_is_robust_word(call, owner)) &&
	    lock_thread_of(k, t, w, owner, shared ? LOCK_OF_ANY : LOCK_OF_PROCESS))
		return LOCK_MUTEX;
	if (call->futex && shared && call->read && call->word == call->val &&
	    lock_thread_of(k, t, w, call->word, LOCK_OF_PROCESS))
		return LOCK_JOIN;
	return LOCK_FUTEX;
}

/* The strongest evidence that there is for this wait. */
static enum lock_kind kind_of(struct locks *k, const struct thread *t, const struct waiter *w,
			      const struct ev_futex *rec, bool futex_call, struct site *site)
{
	struct lock_call call = {
		.futex = futex_call,
		.op = rec->op,
		.val = rec->val,
		.read = EV_FLAGS(rec->w0) & FX_READ,
		.word = rec->word,
	};
	struct runtime_place runtime;
	enum lock_kind kind;

	if (resolve_runtime(k->resolve, t->tgid, k->now_ns, rec->uaddr, &runtime))
		return LOCK_GIL;
	kind = lock_kind_by_call(&call);
	if (kind == LOCK_FUTEX && w->stack && w->stack->parts == STACK_PARTS &&
	    w->stack->seq == rec->seq)
		kind = kind_by_stack(k, t, w->stack, site);
	if (kind != LOCK_FUTEX)
		return kind;
	site->unowned = false;
	/* glibc's locks make no call by syscall(): the program made that itself, whatever its words look like */
	if (site->own_call)
		return LOCK_FUTEX;
	return kind_by_word(k, t, w, &call, rec);
}

/* ---- which lock ---- */

/* pthread_cond_t and pthread_rwlock_t have more than one futex word; pthread_barrier_t's is not its first. */
static bool has_several_words(const struct lock *lock)
{
	return (lock->kind == LOCK_COND && lock->place.size == 48) ||
	       (lock->kind == LOCK_RWLOCK && lock->place.size == 56) ||
	       (lock->kind == LOCK_BARRIER && lock->place.size == 32);
}

/*
 * Where no symbol says where it begins: two words side by side, in 8 bytes, are waited for (pthread_cond_t's __g_signals at 40 and 44,
 * pthread_rwlock_t's __wrphase_futex and __writers_futex at 8 and 12, of glibc since 2.25).
 */
static void first_of_two(struct lock *lock)
{
	uint64_t second = lock->address % 8;

	if ((lock->kind != LOCK_COND && lock->kind != LOCK_RWLOCK) || lock->runtime ||
	    lock->place.offset < second)
		return;
	lock->address -= second;
	lock->place.offset -= second;
	if (lock->place.identified)
		lock->place.file_offset -= second;
}

/* An interpreter's own GIL lies in allocated memory: its words (condition variable, mutex) are those that lie close together. */
#define GIL_BYTES 256

static void own_gil(const struct locks *k, struct lock *wanted)
{
	for (size_t i = 0; i < k->nr_locks; i++) {
		const struct lock *l = k->lock[i];
		uint64_t distance = l->address < wanted->address ? wanted->address - l->address :
								   l->address - wanted->address;

		if (l->kind == LOCK_GIL && !l->main_gil && l->program == wanted->program &&
		    distance < GIL_BYTES) {
			wanted->address = l->address;
			wanted->place = l->place;
		}
	}
}

static struct lock *lock_of_site(struct locks *k, const struct thread *t, const struct site *site,
				 const struct ev_futex *rec)
{
	struct lock wanted = { .kind = site->kind,
			       .tgid = t->tgid,
			       .program = site->process,
			       .address = rec->uaddr,
			       .runtime = site->runtime,
			       .malloc_lock = site->malloc_lock,
			       .unowned = site->unowned };
	struct runtime_place runtime;
	uint64_t bias;

	resolve_data(k->resolve, t->tgid, k->now_ns, rec->uaddr, &wanted.place);
	/* without a symbol: the address as the object's own symbols would give it */
	if (wanted.place.kind == PLACE_OBJECT && !wanted.place.name &&
	    resolve_object(k->resolve, t->tgid, k->now_ns, rec->uaddr, &bias))
		wanted.place.offset = rec->uaddr - bias;
	if (site->kind == LOCK_GIL &&
	    resolve_runtime(k->resolve, t->tgid, k->now_ns, rec->uaddr, &runtime)) {
		wanted.address -= runtime.offset;
		wanted.place.offset -= runtime.offset;
		wanted.main_gil = true;
		wanted.gil_major = runtime.major;
		wanted.gil_minor = runtime.minor;
	} else if (site->kind == LOCK_GIL) {
		own_gil(k, &wanted);
	} else if (wanted.place.name && has_several_words(&wanted)) {
		wanted.address -= wanted.place.offset;
		wanted.place.offset = 0;
	} else {
		first_of_two(&wanted);
	}
	if (wanted.place.shared && wanted.place.identified)
		return lock_get(k,
				mix(mix(mix(k->seed + wanted.kind, wanted.place.inode),
					wanted.place.file_offset),
				    (uint64_t)wanted.place.dev_major << 32 |
					    wanted.place.dev_minor),
				same_shared, &wanted);
	wanted.place.shared = false;
	return lock_get(k, mix(mix(k->seed + wanted.kind, wanted.program), wanted.address),
			same_private, &wanted);
}

static uint32_t program_of(struct locks *k, uint32_t tgid)
{
	return keymap_get(&k->process_of, tgid) ?: lock_new_program(k, tgid);
}

/* The word is the number of the thread that is waited for. Several may have had one stack, one after the other: then none is named. */
static void note_joined(const struct locks *k, const struct thread *t, const struct waiter *w,
			struct lock *lock, const struct ev_futex *rec)
{
	uint32_t serial = EV_FLAGS(rec->w0) & FX_READ ?
				  lock_thread_of(k, t, w, rec->word, LOCK_OF_PROCESS) :
				  0;

	if (lock->joined && lock->joined != serial)
		lock->joined_several = true;
	lock->joined = serial;
}

struct lock *lock_find_futex(struct locks *k, const struct thread *t, struct waiter *w,
			     const struct ev_futex *rec, bool futex_call)
{
	struct site wanted = { .process = program_of(k, t->tgid),
			       .uaddr = rec->uaddr,
			       .pc = rec->pc,
			       .op = LOCK_OP(rec->op) };
	struct site *site = site_get(k, &wanted);
	bool sampled = w->stack && w->stack->seq == rec->seq && w->stack->parts == STACK_PARTS;
	enum lock_kind kind;
	struct lock *lock;

	if (!site)
		site = &wanted;
	if (!site->lock || sampled || site->kind == LOCK_FUTEX) {
		kind = kind_of(k, t, w, rec, futex_call, site);
		if (kind != site->kind)
			site->lock = 0;
		site->kind = kind;
	}
	lock = site->lock ? k->lock[site->lock - 1] : lock_of_site(k, t, site, rec);
	if (!lock)
		return NULL;
	site->lock = lock->index + 1;
	if (lock->kind == LOCK_JOIN)
		note_joined(k, t, w, lock, rec);
	return lock;
}

/* ---- kernel locks ---- */

static bool same_kernel(const struct lock *a, const struct lock *b)
{
	return a->kind == LOCK_KERNEL && a->address == b->address;
}

/* Functions between the lock and who wanted it: the locking itself, tracing. */
static bool is_plumbing(const char *function)
{
	static const char *const parts[] = { "bpf_",       "mutex_lock", "rwsem_",     "down_read",
					     "down_write", "rwbase_",    "rt_mutex",   "percpu_",
					     "spin_lock",  "trace_",     "contention", "slowpath",
					     "queued_",    "rt_spin",    NULL };

	while (*function == '_')
		function++;
	for (size_t i = 0; parts[i]; i++)
		if (strstr(function, parts[i]))
			return true;
	return false;
}

static void name_kernel(struct locks *k, struct lock *lock)
{
	char key[24];
	const json_t *about, *callers, *caller;
	size_t i;

	snprintf(key, sizeof(key), "0x%" PRIx64, lock->address);
	about = json_object_get(json_object_get(k->meta, "klocks"), key);
	lock->kernel_nr = ++k->nr_kernel;
	lock->kernel_name = json_string_value(json_object_get(about, "name"));
	if (lock->kernel_name)
		return;
	callers = json_object_get(about, "callers");
	json_array_foreach(callers, i, caller) {
		const char *name = json_string_value(caller);

		if (!name || is_plumbing(name))
			continue;
		lock->kernel_name = name;
		lock->kernel_caller = true;
		return;
	}
}

struct lock *lock_find_kernel(struct locks *k, uint64_t address)
{
	struct lock wanted = { .kind = LOCK_KERNEL, .address = address };
	size_t nr = k->nr_locks;
	struct lock *lock = lock_get(k, mix(k->seed + LOCK_KERNEL, address), same_kernel, &wanted);

	if (lock && k->nr_locks > nr && !lock->overflow)
		name_kernel(k, lock);
	return lock;
}
