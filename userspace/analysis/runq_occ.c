// SPDX-License-Identifier: GPL-2.0-only
/* Who it is that has a CPU: threads and foreigners as processes; and the result by their names. See runq_who.h. */
#include <errno.h>
#include <string.h>

#include "analysis/runq_impl.h"
#include "base/vec.h"

#define KEY_FOREIGN (1ull << 32)
#define KEY_TRACKED (2ull << 32)

const char *runq_part_name(enum runq_part part)
{
	static const char *const names[RUNQ_PARTS] = {
		[RUNQ_OWN] = "own",   [RUNQ_TRACKED] = "tracked", [RUNQ_FOREIGN] = "foreign",
		[RUNQ_IDLE] = "idle", [RUNQ_IRQ] = "interrupts",  [RUNQ_UNKNOWN] = "unknown",
	};

	return (unsigned int)part < RUNQ_PARTS ? names[part] : "?";
}

/* The number of a new one; OCC_UNKNOWN when out of memory. */
static uint32_t occ_new(struct runq_who *w, uint64_t key, const struct occupant *o)
{
	if (vec_room(&w->occ, &w->cap_occ, w->nr_occ + 1) ||
	    (key && keymap_set(&w->occ_by_pid, key, (uint32_t)w->nr_occ))) {
		w->failed = -ENOMEM;
		return OCC_UNKNOWN;
	}
	w->occ[w->nr_occ] = *o;
	return (uint32_t)w->nr_occ++;
}

/* A foreign process bears the name of its leader, or of the first thread met. */
static uint32_t occ_of_foreign(struct runq_who *w, uint32_t who)
{
	uint32_t tid = who & ~WHO_UNTRACKED, pid, occ;
	struct foreign *f = foreign_find(w->foreign, who);

	if (f && f->occupant)
		return f->occupant;
	pid = f ? f->tgid : tid;
	occ = keymap_get(&w->occ_by_pid, KEY_FOREIGN | pid);
	if (!occ) {
		if (w->nr_foreign == RUNQ_FOREIGN_MAX)
			return OCC_OTHERS;
		w->nr_foreign++;
		occ = occ_new(w, KEY_FOREIGN | pid,
			      &(struct occupant){ .part = RUNQ_FOREIGN, .pid = pid });
	}
	if (f && occ != OCC_UNKNOWN) {
		if (tid == pid || !w->occ[occ].comm[0])
			memcpy(w->occ[occ].comm, f->comm, sizeof(f->comm));
		f->occupant = occ;
	}
	return occ;
}

/* The process of a recorded thread. A leader that is new while the one before has ended leads another process. */
static uint32_t occ_of_thread(struct runq_who *w, const struct thread *t)
{
	uint64_t key = KEY_TRACKED | t->tgid;
	uint32_t occ = keymap_get(&w->occ_by_pid, key);
	bool leads = t->tid == t->tgid;

	if (occ && !(leads && w->occ[occ].lead != t && w->occ[occ].lead->ended)) {
		if (leads)
			w->occ[occ].lead = t;
		return occ;
	}
	return occ_new(w, key,
		       &(struct occupant){ .part = RUNQ_TRACKED, .pid = t->tgid, .lead = t });
}

struct waiter *runq_waiter_make(struct runq_who *w, uint32_t who)
{
	const struct thread *t = ledger_find(w->ledger, who);
	struct waiter *x = t ? serial_map_make(&w->waiters, who) : NULL;

	if (!x) {
		w->failed = t ? -ENOMEM : w->failed;
		return NULL;
	}
	x->t = t;
	x->occ = occ_of_thread(w, t);
	x->tgid = t->tgid;
	x->last_own = 0;
	return x;
}

uint32_t runq_occ_of(struct runq_who *w, uint32_t who)
{
	struct waiter *x;

	if (who == WHO_IDLE)
		return OCC_IDLE;
	if (who & WHO_UNTRACKED)
		return occ_of_foreign(w, who);
	x = runq_waiter_of(w, who);
	return x ? x->occ : OCC_UNKNOWN;
}

uint32_t runq_own_of(struct runq_who *w, uint32_t cpu, uint32_t occ)
{
	uint64_t key = (uint64_t)cpu << 32 | occ;
	uint32_t own;

	if (w->occ[occ].part != RUNQ_TRACKED)
		return 0;
	own = keymap_get(&w->own_of, key);
	if (own)
		return own;
	if (vec_room(&w->own_ns, &w->cap_own, w->nr_own + 1) ||
	    keymap_set(&w->own_of, key, (uint32_t)w->nr_own)) {
		w->failed = -ENOMEM;
		return 0;
	}
	w->own_ns[w->nr_own] = 0;
	return (uint32_t)w->nr_own++;
}

int runq_occ_init(struct runq_who *w)
{
	static const enum runq_part parts[OCC_FIRST] = { RUNQ_UNKNOWN, RUNQ_UNKNOWN, RUNQ_IDLE,
							 RUNQ_FOREIGN };

	for (int i = 0; i < OCC_FIRST; i++)
		occ_new(w, 0, &(struct occupant){ .part = parts[i] });
	w->nr_own = 1;
	if (vec_room(&w->own_ns, &w->cap_own, 1))
		return -ENOMEM;
	w->own_ns[0] = 0;
	return w->failed;
}

/* What is left of a part for which no name was kept: one more of the list. */
static void add_unnamed(struct runq_occupant *list, size_t *nr, bool tracked, uint64_t ns)
{
	if (ns)
		list[(*nr)++] = (struct runq_occupant){ .tracked = tracked, .comm = "", .ns = ns };
}

static int by_time(const void *a, const void *b)
{
	const struct runq_occupant *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

int runq_who_others(const struct runq_who *w, struct runq_occupant **ret_list, size_t *ret_nr)
{
	uint64_t left_ns[RUNQ_PARTS];
	struct runq_occupant *list = calloc(w->nr_occ + 2, sizeof(*list));
	size_t nr = 0;

	if (!list)
		return -ENOMEM;
	memcpy(left_ns, w->all.part_ns, sizeof(left_ns));
	for (size_t i = OCC_FIRST; i < w->nr_occ; i++) {
		const struct occupant *o = &w->occ[i];
		uint64_t ns = o->ns > o->own_ns ? o->ns - o->own_ns : 0;

		if (ns > left_ns[o->part])
			ns = left_ns[o->part];
		left_ns[o->part] -= ns;
		if (ns)
			list[nr++] =
				(struct runq_occupant){ .tracked = o->part == RUNQ_TRACKED,
							.pid = o->pid,
							.comm = o->lead ? o->lead->comm : o->comm,
							.ns = ns };
	}
	add_unnamed(list, &nr, true, left_ns[RUNQ_TRACKED]);
	add_unnamed(list, &nr, false, left_ns[RUNQ_FOREIGN]);
	qsort(list, nr, sizeof(*list), by_time);
	*ret_list = list;
	*ret_nr = nr;
	return 0;
}
