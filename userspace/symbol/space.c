// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces over time: see space.h.
 *
 *   a process's records by time:  A A A A | EXEC A A A A A | EXEC A A A        A: MAPPING_ADD
 *   its epochs:                   `--0--'   `-----1-----'    `--2--'
 *
 * A FORK begins an epoch as an EXEC does, and tells where to look on when the epoch itself has no answer. Within an epoch the latest
 * record that contains the address wins: found by going back through a few records, or by a tree (space_tree.h) over many of them;
 * those that came after the tree was built are gone through until they are a fifth of all.
 */
#include "symbol/space.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/vec.h"
#include "symbol/space_files.h"
#include "symbol/space_tree.h"

#define SCAN_MAX 64      /* so many records are gone through without a tree */
#define MAX_PARENTS 1024 /* steps from child to parent */

struct record {
	uint64_t time_ns;
	uint64_t start, end, offset;
	uint32_t seq; /* the order of those with the same time */
	uint32_t ref; /* MAPPING_ADD: the file's index; MAPPING_FORK: the parent */
	uint8_t kind, prot;
	bool shared;
};

struct epoch {
	uint64_t time_ns;
	uint32_t first, nr; /* its records, all MAPPING_ADD */
	uint32_t tree_nr;   /* the first so many of them are in the tree */
	uint32_t parent;
	bool forked;
	struct space_tree *tree;
};

struct process {
	uint32_t tgid;
	uint32_t nr, cap;
	struct record *records;
	struct epoch *epochs; /* valid while not dirty */
	size_t nr_epochs, cap_epochs;
	bool dirty; /* not sorted */
};

struct space {
	struct space_files files;
	struct process *processes;
	size_t nr, cap;
	uint32_t *slots; /* hash table of index + 1 by tgid; 0: free */
	size_t nr_slots; /* a power of two */
	uint64_t rejected;
};

int space_new(struct space **ret_space)
{
	*ret_space = calloc(1, sizeof(**ret_space));
	return *ret_space ? 0 : -ENOMEM;
}

static void drop_epochs(struct process *p)
{
	for (size_t i = 0; i < p->nr_epochs; i++)
		space_tree_free(p->epochs[i].tree);
	p->nr_epochs = 0;
}

void space_free(struct space *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		drop_epochs(&s->processes[i]);
		free(s->processes[i].epochs);
		free(s->processes[i].records);
	}
	space_files_free(&s->files);
	free(s->processes);
	free(s->slots);
	free(s);
}

/* Knuth's multiplicative hashing: tgids come in runs. */
static size_t hash_of(uint32_t tgid)
{
	return (tgid * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

static uint32_t *slot_of(const struct space *s, uint32_t tgid)
{
	for (size_t at = hash_of(tgid);; at++) {
		uint32_t *slot = &s->slots[at & (s->nr_slots - 1)];

		if (!*slot || s->processes[*slot - 1].tgid == tgid)
			return slot;
	}
}

static int grow(struct space *s)
{
	size_t nr_slots = s->nr_slots ? s->nr_slots * 2 : 64;
	uint32_t *slots = calloc(nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(s->slots);
	s->slots = slots;
	s->nr_slots = nr_slots;
	for (uint32_t i = 0; i < s->nr; i++)
		*slot_of(s, s->processes[i].tgid) = i + 1;
	return 0;
}

static struct process *process_find(const struct space *s, uint32_t tgid)
{
	uint32_t *slot = s->nr_slots ? slot_of(s, tgid) : NULL;

	return slot && *slot ? &s->processes[*slot - 1] : NULL;
}

static struct process *process_get(struct space *s, uint32_t tgid)
{
	uint32_t *slot;

	if (2 * (s->nr + 1) > s->nr_slots && grow(s))
		return NULL;
	slot = slot_of(s, tgid);
	if (!*slot) {
		if (vec_room(&s->processes, &s->cap, s->nr + 1))
			return NULL;
		s->processes[s->nr++] = (struct process){ .tgid = tgid };
		*slot = (uint32_t)s->nr;
	}
	return &s->processes[*slot - 1];
}

static int begin_epoch(struct process *p, const struct record *r, uint32_t first)
{
	if (vec_room(&p->epochs, &p->cap_epochs, p->nr_epochs + 1))
		return -ENOMEM;
	p->epochs[p->nr_epochs++] = (struct epoch){ .time_ns = r ? r->time_ns : 0,
						    .first = first,
						    .forked = r && r->kind == MAPPING_FORK,
						    .parent = r ? r->ref : 0 };
	return 0;
}

/* Continues the epochs with the record at `index`. */
static int extend_epochs(struct process *p, uint32_t index)
{
	const struct record *r = &p->records[index];

	if (r->kind != MAPPING_ADD)
		return begin_epoch(p, r, index + 1);
	if (!p->nr_epochs && begin_epoch(p, NULL, 0))
		return -ENOMEM;
	p->epochs[p->nr_epochs - 1].nr++;
	return 0;
}

static int by_time(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int process_sort(struct process *p)
{
	if (!p->dirty)
		return 0;
	qsort(p->records, p->nr, sizeof(*p->records), by_time);
	drop_epochs(p);
	for (uint32_t i = 0; i < p->nr; i++) {
		if (extend_epochs(p, i))
			return -ENOMEM;
	}
	p->dirty = false;
	return 0;
}

/* Most processes have very few records: begins with two and not with vec_room()'s sixteen. */
static int append(struct process *p, const struct record *r)
{
	if (p->nr == p->cap) {
		uint32_t cap = p->cap ? p->cap * 2 : 2;
		struct record *more = cap > p->cap ? reallocarray(p->records, cap, sizeof(*more)) :
						     NULL;

		if (!more)
			return -ENOMEM;
		p->records = more;
		p->cap = cap;
	}
	if (p->nr && p->records[p->nr - 1].time_ns > r->time_ns)
		p->dirty = true;
	p->records[p->nr] = *r;
	p->records[p->nr].seq = p->nr;
	p->nr++;
	if (!p->dirty && extend_epochs(p, p->nr - 1))
		p->dirty = true; /* tried again at the next question */
	return 0;
}

static bool sensible(const struct mapping *m)
{
	switch (m->kind) {
	case MAPPING_ADD:
		return m->start < m->end && m->build_id_len <= MAPPING_BUILD_ID_MAX &&
		       (!m->path || strnlen(m->path, PATH_MAX + 1) <= PATH_MAX);
	case MAPPING_EXEC:
		return true;
	case MAPPING_FORK:
		return m->parent_tgid != m->tgid;
	default:
		return false;
	}
}

int space_add(struct space *s, const struct mapping *m)
{
	struct record r = { .time_ns = m->time_ns, .kind = (uint8_t)m->kind };
	struct process *p;

	if (!sensible(m)) {
		s->rejected++;
		return -EINVAL;
	}
	if (m->kind == MAPPING_ADD) {
		r.start = m->start;
		r.end = m->end;
		r.offset = m->offset;
		r.prot = (uint8_t)m->prot;
		r.shared = (m->flags & MAP_TYPE) == MAP_SHARED ||
			   (m->flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
		if (space_files_index(&s->files, m, &r.ref))
			return -ENOMEM;
	} else if (m->kind == MAPPING_FORK) {
		r.ref = m->parent_tgid;
	}
	p = process_get(s, m->tgid);
	return p ? append(p, &r) : -ENOMEM;
}

static void range_of(const void *arg, uint32_t i, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct record *records = arg;

	*ret_start = records[i].start;
	*ret_end = records[i].end;
}

static void update_tree(struct epoch *e, const struct record *records)
{
	struct space_tree *tree;
	uint32_t tail = e->nr - e->tree_nr;

	if (tail <= SCAN_MAX || tail <= e->tree_nr / 4 ||
	    space_tree_new(range_of, records, e->nr, &tree))
		return;
	space_tree_free(e->tree);
	e->tree = tree;
	e->tree_nr = e->nr;
}

/* The first record of the epoch that is later than that time: its number within the epoch. */
static uint32_t later_than(const struct epoch *e, const struct record *records, uint64_t time_ns)
{
	uint32_t low = 0, high = e->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (records[middle].time_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct record *epoch_find(struct epoch *e, const struct record *records,
				       uint64_t time_ns, uint64_t address)
{
	uint32_t limit = later_than(e, records, time_ns), i;

	update_tree(e, records);
	for (i = limit; i > e->tree_nr; i--) {
		const struct record *r = &records[i - 1];

		if (address >= r->start && address < r->end)
			return r;
	}
	i = e->tree ? space_tree_find(e->tree, address, i) : SPACE_TREE_NONE;
	return i == SPACE_TREE_NONE ? NULL : &records[i];
}

/* The epoch that holds at that time, or NULL. */
static struct epoch *epoch_at(const struct process *p, uint64_t time_ns)
{
	size_t low = 0, high = p->nr_epochs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->epochs[middle].time_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &p->epochs[low - 1] : NULL;
}

bool space_find(struct space *s, uint32_t tgid, uint64_t time_ns, uint64_t address,
		struct space_mapping *ret_mapping)
{
	for (int step = 0; step < MAX_PARENTS; step++) {
		struct process *p = process_find(s, tgid);
		struct epoch *e = p && !process_sort(p) ? epoch_at(p, time_ns) : NULL;
		const struct record *r;

		if (!e)
			return false;
		r = epoch_find(e, p->records + e->first, time_ns, address);
		if (r) {
			*ret_mapping = (struct space_mapping){
				.time_ns = r->time_ns,
				.start = r->start,
				.end = r->end,
				.offset = r->offset,
				.prot = r->prot,
				.shared = r->shared,
				.file = s->files.files[r->ref],
			};
			return true;
		}
		if (!e->forked)
			return false;
		tgid = e->parent;
		time_ns = e->time_ns;
	}
	return false;
}

uint64_t space_began(struct space *s, uint32_t tgid, uint64_t time_ns)
{
	struct process *p = process_find(s, tgid);
	struct epoch *e = p && !process_sort(p) ? epoch_at(p, time_ns) : NULL;

	return e ? e->time_ns : 0;
}

size_t space_nr_files(const struct space *s)
{
	return s->files.nr;
}

uint64_t space_rejected(const struct space *s)
{
	return s->rejected;
}
