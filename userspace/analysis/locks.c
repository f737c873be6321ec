// SPDX-License-Identifier: GPL-2.0-only
/* Which lock a thread waits for: the object, and what it takes from the events. See locks.h. */
#include "analysis/locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "analysis/wakeups.h"
#include "trace/kinds.h"

static struct waiter *waiter_of(struct locks *k, uint32_t serial)
{
	struct waiter *w = serial_map_make(&k->waiters, serial);

	if (w)
		w->serial = serial;
	else
		k->failed = -ENOMEM;
	return w;
}

/* ---- for the ledger ---- */

static enum ledger_class wait_for_kernel(struct locks *k, struct thread *t, struct waiter *w,
					 const struct ev_klock *rec)
{
	struct lock *lock = lock_find_kernel(k, rec->lock);

	w->gil = GIL_NOT;
	if (lock) {
		t->waits_on = lock;
		lock_wait_begin(k, w, lock, 0);
	}
	return CLASS_KLOCK;
}

/* The owner that stands in the lock, by its protocol; 0: none. */
static uint32_t owner_of(struct locks *k, const struct thread *t, const struct waiter *w,
			 const struct lock *lock, const struct ev_futex *rec)
{
	bool shared = !(rec->op & LOCK_OP_PRIVATE), near = EV_FLAGS(rec->w0) & FX_NEAR;
	enum lock_scope scope = LOCK_OF_PROCESS;
	uint32_t tid = 0, serial;

	if (!(EV_FLAGS(rec->w0) & FX_READ) || lock->unowned)
		return 0;
	switch (lock->kind) {
	case LOCK_PI_MUTEX:
		tid = rec->word & LOCK_TID_MASK;
		break;
	case LOCK_MUTEX: /* 2: taken, with waiters; a robust one holds the tid itself */
		if (rec->word != rec->val)
			return 0;
		if (rec->word & LOCK_WAITERS)
			tid = rec->word & LOCK_TID_MASK;
		else if (rec->word == 2 && near)
			tid = lock_mutex_owner(rec->near);
		break;
	case LOCK_RWLOCK:
		/* __cur_writer, 24 bytes into it; __wrphase_futex is at 8, __writers_futex at 12; aligned to 8 */
		tid = !near ? 0 : rec->uaddr % 8 ? rec->near[1] : rec->near[2];
		break;
	default:
		return 0;
	}
	if (shared)
		scope = lock->kind == LOCK_PI_MUTEX ? LOCK_OF_NAMESPACE : LOCK_OF_ANY;
	serial = lock_thread_of(k, t, w, tid, scope);
	return serial == LOCK_SEVERAL ? 0 : serial;
}

static enum gil_wait gil_word(const struct ev_futex *rec)
{
	if (EV_FLAGS(rec->w0) & FX_TIMEOUT)
		return GIL_COND;
	return LOCK_OP(rec->op) == LOCK_OP_WAIT_BITSET ? GIL_SWITCH : GIL_MUTEX;
}

static enum ledger_class on_wait(void *arg, struct thread *t, const uint64_t *rec,
				 enum ledger_class class)
{
	const struct ev_futex *futex = (const void *)rec;
	struct locks *k = arg;
	struct waiter *w = waiter_of(k, t->serial);
	struct lock *lock;

	if (!w)
		return class;
	if (EV_KIND(rec[0]) == EV_KLOCK)
		return wait_for_kernel(k, t, w, (const void *)rec);
	if (class != CLASS_SYNC)
		return class;
	lock = lock_find_futex(k, t, w, futex, !(EV_FLAGS(futex->w0) & (FX_VECTOR | FX_FUTEX2)));
	if (w->stack)
		w->stack->parts = 0; /* its seq comes again */
	if (!lock)
		return class;
	t->waits_on = lock;
	w->gil = lock->kind != LOCK_GIL ? GIL_NOT : gil_word(futex);
	if (k->history && w->gil == GIL_SWITCH)
		lock_gil_dropped(k, lock, w);
	else if (k->history && w->gil == GIL_COND &&
		 (lock_state(k, lock)->taker == t->serial || lock_had_gil(k, lock, w)))
		lock_gil_let_go(k, lock, w);
	lock_wait_begin(k, w, lock, owner_of(k, t, w, lock, futex));
	return lock_kind_class(lock->kind);
}

/* ---- events ---- */

static void on_stack(struct locks *k, const struct ev_stack *rec)
{
	struct waiter *w = waiter_of(k, rec->who);

	if (!w || rec->part >= STACK_PARTS)
		return;
	if (!w->stack)
		w->stack = calloc(1, sizeof(*w->stack));
	if (!w->stack) {
		k->failed = -ENOMEM;
		return;
	}
	if (!rec->part)
		w->stack->parts = 0;
	if (rec->part != w->stack->parts || (rec->part && rec->seq != w->stack->seq))
		return;
	w->stack->seq = rec->seq;
	w->stack->parts++;
	memcpy(w->stack->words + rec->part * STACK_WORDS, rec->words, sizeof(rec->words));
}

uint32_t lock_new_program(struct locks *k, uint32_t tgid)
{
	if (keymap_set(&k->process_of, tgid, ++k->nr_processes))
		k->failed = -ENOMEM;
	return k->nr_processes;
}

static void know_namespace(struct locks *k, uint32_t pid_ns)
{
	for (size_t i = 0; i < k->nr_pid_ns; i++)
		if (k->pid_ns[i] == pid_ns)
			return;
	if (k->nr_pid_ns < LOCK_NAMESPACES)
		k->pid_ns[k->nr_pid_ns++] = pid_ns;
}

static void know_thread(struct locks *k, const struct waiter *w)
{
	know_namespace(k, w->pid_ns);
	if (w->ns_tid &&
	    keymap_set(&k->thread_of, (uint64_t)w->pid_ns << 32 | w->ns_tid, w->serial))
		k->failed = -ENOMEM;
}

static void on_thread(struct locks *k, const struct ev_thread *rec)
{
	bool leader = rec->tid == rec->tgid, fork = EV_KIND(rec->w0) == EV_FORK;
	struct waiter *w = waiter_of(k, rec->who);

	if (!w)
		return;
	w->ns_tid = rec->ns_tid;
	w->pid_ns = rec->pid_ns;
	know_thread(k, w);
	if (leader && keymap_set(&k->leader_of, rec->tgid, rec->who))
		k->failed = -ENOMEM;
	/* the snapshot may meet other threads of a process before its leader */
	if ((leader && fork) || !keymap_get(&k->process_of, rec->tgid))
		lock_new_program(k, rec->tgid);
}

/* A thread that is not the leader takes the leader's number over. */
static void on_exec(struct locks *k, const struct ev_exec *rec)
{
	struct waiter *w = waiter_of(k, rec->who);
	const struct waiter *leader;

	lock_new_program(k, rec->tgid);
	if (!w || rec->old_tid == rec->tid)
		return;
	leader = serial_map_find(&k->waiters, keymap_get(&k->leader_of, rec->tgid));
	if (leader && leader->pid_ns == w->pid_ns)
		w->ns_tid = leader->ns_tid;
	know_thread(k, w);
	if (keymap_set(&k->leader_of, rec->tgid, rec->who))
		k->failed = -ENOMEM;
}

static void on_wake(struct locks *k, const struct ev_wake *rec)
{
	struct waiter *w = serial_map_find(&k->waiters, rec->wakee);
	const struct thread *by;
	enum wake_context context;
	uint32_t who;

	if (!w)
		return;
	context = wake_context_of(rec, &who);
	by = context == WAKE_TASK && who != rec->wakee ? ledger_find(k->ledger, who) : NULL;
	w->wake.time_ns = k->now_ns;
	w->wake.why = rec->why;
	w->wake.waker = by && by->started && !by->ended ? who : 0;
	if (k->history && w->lock && (context == WAKE_TASK || rec->why == WHY_WOKEN))
		lock_woken(k, w);
}

/* What it was on a CPU for since the lock was found taken, it was spinning, or on its way to sleep. */
static void on_klock_end(struct locks *k, const struct ev_klock *rec)
{
	uint64_t ns[CLASS_NR], from_ns = rec->for_ns < k->now_ns ? k->now_ns - rec->for_ns : 0;
	struct lock *lock = k->history ? lock_find_kernel(k, rec->lock) : NULL;

	if (!lock)
		return;
	history_sum(k->history, rec->who, from_ns, k->now_ns, STEPS_MIN, ns);
	lock->spins++;
	lock->spin_ns += ns[CLASS_ONCPU];
}

static void on_lost(struct locks *k, const struct trace_event *ev)
{
	const struct ev_lost *rec = (const void *)ev->rec;

	if (EV_WORDS(rec->w0) < trace_kind_words[EV_LOST] || !rec->count[DROP_FULL])
		return;
	if (rec->last_time > k->lost_ns)
		k->lost_ns = rec->last_time < k->now_ns ? rec->last_time : k->now_ns;
}

/* Is it a well-formed event of one of these kinds, about a thread that the ledger knows? */
static bool concerns(const struct locks *k, const struct trace_event *ev, uint32_t kinds)
{
	unsigned int kind = EV_KIND(ev->rec[0]);

	return kinds >> kind & 1 && EV_WORDS(ev->rec[0]) >= trace_kind_words[kind] &&
	       ledger_find(k->ledger, (uint32_t)ev->rec[1]);
}

void locks_moment(struct locks *k, uint64_t time_ns)
{
	if (time_ns > k->now_ns)
		k->now_ns = time_ns;
}

int locks_before(struct locks *k, const struct trace_event *ev)
{
	const void *rec = ev->rec;

	if (ev->time_ns > k->now_ns)
		k->now_ns = ev->time_ns;
	k->credit += STEPS_PER_EVENT;
	k->in_event = true;
	if (EV_KIND(ev->rec[0]) == EV_LOST)
		on_lost(k, ev);
	/* for the classes alone, stacks are enough */
	if (!concerns(k, ev,
		      k->history ? 1u << EV_STACK | 1u << EV_WAKE | 1u << EV_KLOCK_END :
				   1u << EV_STACK))
		return 0;
	if (EV_KIND(ev->rec[0]) == EV_STACK)
		on_stack(k, rec);
	else if (EV_KIND(ev->rec[0]) == EV_WAKE)
		on_wake(k, rec);
	else
		on_klock_end(k, rec);
	return k->failed;
}

int locks_after(struct locks *k, const struct trace_event *ev)
{
	const void *rec = ev->rec;

	k->in_event = false;
	if (!concerns(k, ev, 1u << EV_FORK | 1u << EV_SNAP | 1u << EV_EXEC))
		return 0;
	if (EV_KIND(ev->rec[0]) == EV_EXEC)
		on_exec(k, rec);
	else
		on_thread(k, rec);
	return k->failed;
}

int locks_mapping(struct locks *k, const struct mapping *m)
{
	int r = space_add(k->space, m);

	return r == -ENOMEM ? r : 0;
}

/* ---- made, asked, freed ---- */

int locks_new(struct ledger *l, enum syscall_arch arch, const json_t *meta, struct history *history,
	      struct locks **ret_locks)
{
	static const struct elf_where where = { .root = "", .debug = "/usr/lib/debug" };
	struct locks *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->ledger = l;
	k->arch = arch;
	k->meta = meta;
	k->history = history;
	k->waiters.bytes = sizeof(struct waiter);
	if (getrandom(&k->seed, sizeof(k->seed), GRND_NONBLOCK) < 0)
		k->seed = (uintptr_t)k;
	if (space_new(&k->space) || resolve_new(k->space, &where, &k->resolve) ||
	    unwind_new(k->resolve, &k->unwind)) {
		locks_free(k);
		return -ENOMEM;
	}
	ledger_on_wait(l, on_wait, k);
	if (history)
		ledger_watch(l, lock_wait_end, k);
	*ret_locks = k;
	return 0;
}

void locks_on_part(struct locks *k, lock_part_fn fn, void *arg)
{
	k->on_part = fn;
	k->on_part_arg = arg;
}

static int longest_first(const void *a, const void *b)
{
	const struct lock *x = *(const struct lock *const *)a, *y = *(const struct lock *const *)b;

	if (x->wait_ns != y->wait_ns)
		return x->wait_ns < y->wait_ns ? 1 : -1;
	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

int locks_finish(struct locks *k)
{
	if (!k->history)
		return k->failed;
	lock_waits_finish(k);
	k->list = calloc(k->nr_locks + 1, sizeof(const struct lock *));
	if (!k->list)
		return -ENOMEM;
	for (size_t i = 0; i < k->nr_locks; i++) {
		struct lock *lock = k->lock[i];

		if (!lock->waits && !lock->spins)
			continue;
		lock->name = lock_make_name(k, lock);
		if (!lock->name)
			return -ENOMEM;
		k->list[k->nr_list++] = lock;
	}
	qsort(k->list, k->nr_list, sizeof(const struct lock *), longest_first);
	return k->failed;
}

const struct lock *const *locks_list(const struct locks *k, size_t *ret_nr)
{
	*ret_nr = k->nr_list;
	return k->list;
}

void locks_show_kernel_addresses(struct locks *k)
{
	k->kernel_addresses = true;
}

uint64_t locks_address(const struct locks *k, const struct lock *lock)
{
	return lock->kind == LOCK_KERNEL && !k->kernel_addresses ? lock->kernel_nr : lock->address;
}

const struct thread *locks_thread(const struct locks *k, uint32_t serial)
{
	return serial ? ledger_find(k->ledger, serial) : NULL;
}

static void lock_free(struct lock *lock)
{
	free(lock->name);
	sums_free(&lock->waiter_ns);
	sums_free(&lock->waiter_nr);
	sums_free(&lock->holder_ns);
	sums_free(&lock->cause_ns);
	free(lock);
}

void locks_free(struct locks *k)
{
	uint32_t serial = 0;
	struct waiter *w;

	if (!k)
		return;
	for (size_t i = 0; i < k->nr_locks; i++) {
		lock_free(k->lock[i]);
		free(k->state[i]->past);
		free(k->state[i]->pending);
		free(k->state[i]);
	}
	while ((w = serial_map_next(&k->waiters, &serial)))
		free(w->stack);
	free(k->lock);
	free(k->state);
	free(k->list);
	free(k->site);
	keymap_free(&k->site_of);
	keymap_free(&k->lock_of);
	keymap_free(&k->process_of);
	keymap_free(&k->thread_of);
	keymap_free(&k->leader_of);
	serial_map_free(&k->waiters);
	unwind_free(k->unwind);
	resolve_free(k->resolve);
	space_free(k->space);
	free(k);
}
