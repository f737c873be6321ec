// SPDX-License-Identifier: GPL-2.0-only
/* The workers' waits, by lock and while one ran alone: see worker_waits.h. */
#include "analysis/worker_waits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum doing { DOING_OTHER, DOING_READY, DOING_ONCPU, DOING_SYNC };

struct worker {
	uint8_t doing, kind;         /* kind: of DOING_SYNC */
	const struct thread *thread; /* NULL: not met */
	uint64_t alone_ns;
};

struct worker_pass {
	const struct ledger *ledger;
	const struct ledger_window *windows;
	size_t nr;
	uint64_t end_ns, since_ns; /* since_ns: what comes next is still to be counted */
	int failed;

	struct worker *worker; /* [nr], by the thread's oldest window */
	size_t ready, oncpu, sync;
	size_t oncpu_sum; /* of the indexes of those on a CPU: the index, when it is one */
	size_t in_kind[WAIT_KINDS];

	struct sums ns, waits; /* by the address of the struct lock */
	struct worker_waits result;
};

/* ---- which window ---- */

static bool ours(const struct worker_pass *p, const struct ledger_window *w)
{
	return w >= p->windows && w < p->windows + p->nr;
}

/* The oldest of the thread's windows (new ones go to the front), by its number, or -1. */
static ptrdiff_t worker_of(const struct worker_pass *p, const struct thread *t)
{
	ptrdiff_t i = -1;

	for (const struct ledger_window *w = t->windows; w; w = w->next)
		if (ours(p, w))
			i = w - p->windows;
	return i;
}

static bool at_work(const struct worker_pass *p, const struct thread *t, uint64_t time_ns)
{
	for (const struct ledger_window *w = t->windows; w; w = w->next)
		if (ours(p, w) && time_ns >= w->begin_ns && time_ns < w->end_ns)
			return true;
	return false;
}

/* How much of from_ns..to_ns lies in its windows. */
static uint64_t worked(const struct worker_pass *p, const struct thread *t, uint64_t from_ns,
		       uint64_t to_ns)
{
	uint64_t sum = 0;

	for (const struct ledger_window *w = t->windows; w; w = w->next) {
		uint64_t from = from_ns > w->begin_ns ? from_ns : w->begin_ns;
		uint64_t to = to_ns < w->end_ns ? to_ns : w->end_ns;

		if (ours(p, w) && to > from)
			sum += to - from;
	}
	return sum;
}

static unsigned int kind_of(const struct lock *lock)
{
	return lock ? lock->kind : WAIT_OTHER;
}

/* ---- each wait, when it has ended ---- */

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	const struct lock *lock = t->waits_on;
	struct worker_pass *p = arg;
	uint64_t ns;

	if (!t->windows || (class != CLASS_LOCK && class != CLASS_GIL && class != CLASS_KLOCK &&
			    class != CLASS_SYNC))
		return;
	if (lock && lock_kind_class(lock->kind) != class)
		lock = NULL;
	ns = worked(p, t, from_ns, to_ns);
	if (!ns)
		return;
	p->result.kind_ns[kind_of(lock)] += ns;
	if (lock &&
	    (sums_add(&p->ns, (uintptr_t)lock, ns) || sums_add(&p->waits, (uintptr_t)lock, 1)))
		p->failed = -ENOMEM;
}

/* ---- who does what at the same time, as it comes ---- */

static void advance(struct worker_pass *p, uint64_t time_ns)
{
	uint64_t ns;

	if (time_ns > p->end_ns)
		time_ns = p->end_ns;
	if (time_ns <= p->since_ns)
		return;
	ns = time_ns - p->since_ns;
	p->since_ns = time_ns;
	if (p->oncpu != 1 || p->ready || !p->sync)
		return;
	p->result.alone_ns += ns;
	p->worker[p->oncpu_sum].alone_ns += ns;
	for (int kind = 0; kind < WAIT_KINDS; kind++)
		p->result.alone_kind_ns[kind] += ns * p->in_kind[kind];
}

/* Puts worker i among those that do what it does, or (by -1) takes it from them. */
static void count(struct worker_pass *p, size_t i, int by)
{
	const struct worker *w = &p->worker[i];
	size_t n = (size_t)by;

	switch ((enum doing)w->doing) {
	case DOING_READY:
		p->ready += n;
		break;
	case DOING_ONCPU:
		p->oncpu += n;
		p->oncpu_sum += n * i;
		break;
	case DOING_SYNC:
		p->sync += n;
		p->in_kind[w->kind] += n;
		break;
	case DOING_OTHER:
		break;
	}
}

static enum doing doing_of(enum thread_state state, enum ledger_class class)
{
	switch (state) {
	case ST_ONCPU:
		return DOING_ONCPU;
	case ST_NEW:
	case ST_RUNQ:
		return DOING_READY;
	case ST_BLOCKED:
		return class == CLASS_SYNC ? DOING_SYNC : DOING_OTHER;
	default:
		return DOING_OTHER;
	}
}

static void on_state(void *arg, const struct thread *t, uint64_t time_ns, enum thread_state state,
		     enum ledger_class class)
{
	enum doing now = doing_of(state, class);
	struct worker_pass *p = arg;
	ptrdiff_t i;

	if (!t->windows)
		return;
	i = worker_of(p, t);
	if (i < 0)
		return;
	if (now == DOING_SYNC && !at_work(p, t, time_ns))
		now = DOING_OTHER;
	advance(p, time_ns);
	count(p, (size_t)i, -1);
	p->worker[i].doing = (uint8_t)now;
	p->worker[i].kind = (uint8_t)kind_of(t->waits_on); /* of this wait already */
	p->worker[i].thread = t;
	count(p, (size_t)i, 1);
}

/* ---- the result ---- */

static void copy_name(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	for (size_t i = 0; i < len && i < size - 1; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	to[len < size - 1 ? len : size - 1] = '\0';
	if (len >= size)
		memcpy(to + size - 4, "...", 4);
}

static int by_key(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* An owner that stood in it and the one who gave it away are the same holder here. */
static int take_holder(const struct worker_pass *p, const struct lock *lock, struct worker_lock *w)
{
	size_t nr = lock->holder_ns.nr;
	struct sum *sorted = calloc(nr + 1, sizeof(*sorted));
	uint32_t most = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		sorted[i] = lock->holder_ns.list[i];
		sorted[i].key >>= 1;
	}
	qsort(sorted, nr, sizeof(*sorted), by_key);
	for (size_t i = 0; i < nr; i++) {
		if (i && sorted[i].key == sorted[i - 1].key)
			sorted[i].ns += sorted[i - 1].ns;
		if (sorted[i].ns > w->holder_ns &&
		    ledger_find(p->ledger, (uint32_t)sorted[i].key)) {
			w->holder_ns = sorted[i].ns;
			most = (uint32_t)sorted[i].key;
		}
	}
	free(sorted);
	if (most) {
		const struct thread *t = ledger_find(p->ledger, most);

		w->holder_tid = t->tid;
		copy_name(w->holder_comm, sizeof(w->holder_comm), t->comm);
	}
	return 0;
}

static int take_lock(const struct worker_pass *p, const struct lock *lock, struct worker_lock *w)
{
	w->kind = lock->kind;
	w->class = lock_kind_class(lock->kind);
	copy_name(w->name, sizeof(w->name), lock->name ? lock->name : "?");
	w->all_waits = lock->waits;
	w->all_wait_ns = lock->wait_ns;
	memcpy(w->doing_ns, lock->doing_ns, sizeof(w->doing_ns));
	w->handed_ns = lock->handed_ns;
	w->convoys = lock->convoys;
	w->gil_handovers = lock->gil_work_handovers;
	w->gil_timeouts = lock->gil_work_timeouts;
	w->spins = lock->spins;
	w->spin_ns = lock->spin_ns;
	return take_holder(p, lock, w);
}

static const struct lock *lock_of(const struct sum *s)
{
	return (const struct lock *)(uintptr_t)s->key;
}

static int longest_first(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;
	const struct lock *of_x = lock_of(x), *of_y = lock_of(y);

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return (of_x->index > of_y->index) - (of_x->index < of_y->index);
}

static uint64_t waits_of(const struct worker_pass *p, uint64_t key)
{
	uint32_t i = keymap_get(&p->waits.index, key);

	return i ? p->waits.list[i - 1].ns : 0;
}

static int take_locks(struct worker_pass *p)
{
	struct worker_waits *r = &p->result;

	/* its index does not hold any more, and is not needed any more */
	if (p->ns.nr)
		qsort(p->ns.list, p->ns.nr, sizeof(*p->ns.list), longest_first);
	for (size_t i = 0; i < p->ns.nr; i++) {
		const struct lock *lock = lock_of(&p->ns.list[i]);
		enum ledger_class class = lock_kind_class(lock->kind);
		struct worker_lock *w = &r->lock[r->nr];

		if (r->nr_locks[class]++ >= WORKER_LOCKS_OF_CLASS)
			continue;
		w->waits = waits_of(p, p->ns.list[i].key);
		w->wait_ns = p->ns.list[i].ns;
		if (take_lock(p, lock, w))
			return -ENOMEM;
		r->nr++;
	}
	return 0;
}

static void take_alone(struct worker_pass *p)
{
	struct worker_waits *r = &p->result;

	for (size_t i = 0; i < p->nr; i++) {
		const struct worker *w = &p->worker[i];

		if (w->alone_ns <= r->alone_most_ns)
			continue;
		r->alone_most_ns = w->alone_ns;
		r->alone_most_tid = w->thread->tid;
		copy_name(r->alone_most_comm, sizeof(r->alone_most_comm), w->thread->comm);
	}
}

int worker_pass_finish(struct worker_pass *p, struct worker_waits *ret_waits)
{
	advance(p, p->end_ns);
	take_alone(p);
	if (!p->failed)
		p->failed = take_locks(p);
	*ret_waits = p->result;
	return p->failed;
}

int worker_pass_new(struct ledger *l, const struct ledger_window *windows, size_t nr,
		    uint64_t begin_ns, uint64_t end_ns, struct worker_pass **ret_pass,
		    struct err *err)
{
	struct worker_pass *p = calloc(1, sizeof(*p));

	if (p)
		p->worker = calloc(nr + 1, sizeof(*p->worker));
	if (!p || !p->worker) {
		worker_pass_free(p);
		return err_set(err, -ENOMEM, "not enough memory for %zu workers", nr);
	}
	p->ledger = l;
	p->windows = windows;
	p->nr = nr;
	p->since_ns = begin_ns;
	p->end_ns = end_ns > begin_ns ? end_ns : begin_ns;
	ledger_watch(l, on_interval, p);
	ledger_on_state(l, on_state, p);
	*ret_pass = p;
	return 0;
}

void worker_pass_free(struct worker_pass *p)
{
	if (!p)
		return;
	sums_free(&p->ns);
	sums_free(&p->waits);
	free(p->worker);
	free(p);
}
