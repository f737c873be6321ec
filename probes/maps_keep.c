// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is worth storing: see maps_keep.h.
 *
 * For each traced process the address ranges that the trace has names for, sorted and disjoint, and what each is as one number:
 *
 *   |  libc.so code  |  libc.so data  | .bss |      (nothing told)      |  [stack]  |
 *
 * A fork shares its parent's ranges until one of the two changes.
 */
#include "probes/maps_keep.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "probes/maps_told.h"

#define FNV_BASIS 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

struct process {
	uint32_t tgid; /* 0: a free slot */
	bool traced, forks;
	bool ended;          /* or its first thread has */
	unsigned int stored; /* mappings, since its fork or exec */
	struct told *told;   /* NULL: nothing yet */
};

struct maps_keep {
	bool everyone;
	bool again;            /* all can be told again */
	struct process *slots; /* open addressing; at most half are used */
	size_t nr, cap;        /* cap: a power of two */
	uint64_t skipped;
};

static bool behind_data(const struct told *t, uint64_t start)
{
	size_t i = told_find(t, start);

	return i && t->ranges[i - 1].end == start && (t->ranges[i - 1].what & WHAT_DATA);
}

/*
 * The program break begins a random distance (BREAK_MAX at most: arch_randomize_brk()) behind the program, the lowest file of its
 * process; the kernel calls its first piece //anon, since it moves mm->brk afterwards. Nothing else is put there.
 */
#define BREAK_MAX (1ull << 30)

static bool is_break(const struct told *t, const struct mapping *m)
{
	size_t i = 0;

	while (t && i < t->nr && !(t->ranges[i].what & WHAT_DATA))
		i++;
	if (!t || i == t->nr)
		return false;
	while (i + 1 < t->nr && t->ranges[i + 1].start == t->ranges[i].end)
		i++;
	return m->start > t->ranges[i].end && m->start - t->ranges[i].end < BREAK_MAX &&
	       (i + 1 == t->nr || t->ranges[i + 1].start >= m->start);
}

/* ---- what a mapping is ---- */

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_anonymous(const struct mapping *m)
{
	return !m->path[0] || !strcmp(m->path, "//anon") || begins(m->path, "[anon");
}

/* Memory of a device, of the kernel's rings, of nothing a lock could be in. /dev/zero is how shared anonymous memory is named. */
static bool is_device(const char *path)
{
	return begins(path, "anon_inode:") ||
	       (begins(path, "/dev/") && !begins(path, "/dev/shm/") && !begins(path, "/dev/zero") &&
		!begins(path, "/dev/hugepages/"));
}

static bool can_grow(const struct mapping *m)
{
	return is_anonymous(m) || !strcmp(m->path, "[heap]") || !strcmp(m->path, "[stack]");
}

static bool worth(const struct told *t, const struct mapping *m)
{
	bool writable = m->prot & PROT_WRITE;

	if (m->prot & PROT_EXEC)
		return true;
	if (is_anonymous(m))
		return writable && behind_data(t, m->start);
	if (m->path[0] == '[')
		return can_grow(m);
	return !is_device(m->path) && (writable || (m->flags & MAP_SHARED));
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	for (const uint8_t *b = bytes; len--; b++)
		hash = (hash ^ *b) * FNV_PRIME;
	return hash;
}

static uint64_t what_is(const struct mapping *m)
{
	uint64_t flags = m->prot & PROT_EXEC ? WHAT_CODE : 0, hash;
	uint64_t of[] = { m->inode, (uint64_t)m->dev_major << 32 | m->dev_minor,
			  m->flags & MAP_SHARED, m->start - m->offset };

	if (is_anonymous(m))
		return ANONYMOUS | flags;
	hash = mix(FNV_BASIS, m->path, strlen(m->path));
	if (m->path[0] != '[')
		hash = mix(hash, of, sizeof(of));
	if (m->path[0] == '/' && (m->prot & PROT_WRITE))
		flags |= WHAT_DATA;
	return (hash << 3 | 1 << 3) | flags;
}

/* ---- the processes ---- */

static struct process *slot_of(const struct maps_keep *k, uint32_t tgid)
{
	size_t i = tgid * 0x9e3779b1u & (k->cap - 1);

	while (k->slots[i].tgid && k->slots[i].tgid != tgid)
		i = (i + 1) & (k->cap - 1);
	return &k->slots[i];
}

/* Of many processes most have ended: their slots go, but not those of which only the first thread has. */
static bool over(const struct process *p)
{
	return p->ended && kill((pid_t)p->tgid, 0) && errno == ESRCH;
}

static int slots_grow(struct maps_keep *k)
{
	struct maps_keep other = { .cap = k->cap };

	for (size_t i = 0; i < k->cap; i++)
		other.nr += k->slots[i].tgid && !over(&k->slots[i]);
	if (other.nr >= k->cap / 4)
		other.cap *= 2;
	other.slots = calloc(other.cap, sizeof(*other.slots));
	if (!other.slots)
		return -ENOMEM;
	other.nr = 0;
	for (size_t i = 0; i < k->cap; i++)
		if (k->slots[i].tgid && !over(&k->slots[i])) {
			*slot_of(&other, k->slots[i].tgid) = k->slots[i];
			other.nr++;
		}
	free(k->slots);
	k->slots = other.slots;
	k->cap = other.cap;
	k->nr = other.nr;
	return 0;
}

/* The process's slot, made if need be. NULL: out of memory, or no process of ours to see (0). */
static struct process *process_of(struct maps_keep *k, uint32_t tgid)
{
	struct process *p;

	if (!tgid || (k->nr >= k->cap / 2 && slots_grow(k)))
		return NULL;
	p = slot_of(k, tgid);
	if (!p->tgid) {
		*p = (struct process){ .tgid = tgid, .traced = k->everyone, .forks = k->everyone };
		k->nr++;
	}
	return p;
}

void maps_keep_words(struct maps_keep *k)
{
	k->again = true;
}

struct maps_keep *maps_keep_new(bool everyone)
{
	struct maps_keep *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->everyone = everyone;
	k->cap = 64;
	k->slots = calloc(k->cap, sizeof(*k->slots));
	if (k->slots)
		return k;
	free(k);
	return NULL;
}

void maps_keep_free(struct maps_keep *k)
{
	for (size_t i = 0; k && i < k->cap; i++)
		told_put(&k->slots[i].told);
	if (k)
		free(k->slots);
	free(k);
}

static int set_process(struct maps_keep *k, uint32_t tgid, bool traced, bool forks)
{
	struct process *p = process_of(k, tgid);

	if (!p)
		return tgid ? -ENOMEM : 0;
	told_put(&p->told);
	p->stored = 0;
	p->ended = false;
	p->traced = traced;
	p->forks = forks;
	return 0;
}

int maps_keep_process(struct maps_keep *k, uint32_t tgid, bool forks)
{
	return set_process(k, tgid, true, forks);
}

int maps_keep_except(struct maps_keep *k, uint32_t tgid)
{
	return set_process(k, tgid, false, false);
}

bool maps_keep_traced(const struct maps_keep *k, uint32_t tgid)
{
	const struct process *p = slot_of(k, tgid);

	return tgid && (p->tgid ? p->traced : k->everyone);
}

/* A process that is not traced takes its number from the traced one that had it before. */
int maps_keep_fork(struct maps_keep *k, uint32_t parent, uint32_t child)
{
	const struct process *from = slot_of(k, parent);
	bool traced = k->everyone || (parent && from->tgid && from->traced && from->forks);
	struct told *told = from->tgid ? from->told : NULL;
	struct process *to;

	if (!traced && !slot_of(k, child)->tgid)
		return 0;
	if (set_process(k, child, traced, traced))
		return -ENOMEM;
	if (!traced || !child)
		return 0;
	to = slot_of(k, child);
	to->told = told;
	if (told)
		told->refs++;
	return 1;
}

int maps_keep_exec(struct maps_keep *k, uint32_t tgid)
{
	struct process *p = slot_of(k, tgid);

	if (p->tgid) {
		told_put(&p->told);
		p->stored = 0;
	}
	return maps_keep_traced(k, tgid);
}

void maps_keep_exit(struct maps_keep *k, uint32_t tgid)
{
	struct process *p = slot_of(k, tgid);

	if (!p->tgid)
		return;
	told_put(&p->told);
	p->ended = true;
}

static bool lives(const struct process *p)
{
	return p->tgid && (!kill((pid_t)p->tgid, 0) || errno != ESRCH);
}

/* An ended process's slot is not needed: a new one of that number is told by its fork, or found in /proc. */
void maps_keep_tidy(struct maps_keep *k)
{
	struct maps_keep kept = {
		.everyone = k->everyone, .again = k->again, .cap = 64, .skipped = k->skipped
	};
	size_t living = 0;

	for (size_t i = 0; i < k->cap; i++)
		living += lives(&k->slots[i]);
	while (kept.cap < living * 4)
		kept.cap *= 2;
	kept.slots = calloc(kept.cap, sizeof(*kept.slots));
	if (!kept.slots)
		return;
	for (size_t i = 0; i < k->cap; i++) {
		struct process *p = &k->slots[i];

		if (!lives(p) || kept.nr >= living) {
			told_put(&p->told);
			continue;
		}
		p->stored = 0;
		*slot_of(&kept, p->tgid) = *p;
		kept.nr++;
	}
	free(k->slots);
	*k = kept;
}

int maps_keep_each(const struct maps_keep *k, int (*fn)(void *arg, const struct mapping *m),
		   void *arg)
{
	int r = 0;

	for (size_t i = 0; i < k->cap && !r; i++) {
		const struct process *p = &k->slots[i];

		r = p->tgid && p->told ? told_each(p->told, p->tgid, fn, arg) : 0;
	}
	return r;
}

/* It hides something that has a name and has none that would be of use. */
static void take_name(struct mapping *m)
{
	m->path = "";
	m->offset = m->inode = 0;
	m->dev_major = m->dev_minor = 0;
	m->build_id_len = 0;
}

/* Whether there is something to say that the trace does not have; of what is not worth its name only that another's is gone. */
static bool is_news(const struct told *t, const struct mapping *m, uint64_t what, bool named)
{
	struct overlap has = told_overlap(t, m->start, m->end, what);
	uint64_t size = m->end - m->start, rest = size - has.same;

	if (!named || has.other)
		return has.other;
	return rest > (can_grow(m) ? size / 8 : 0);
}

int maps_keep_mapped(struct maps_keep *k, struct mapping *m)
{
	struct process *p;
	struct told *t;
	bool named;

	if (!maps_keep_traced(k, m->tgid) || m->start >= m->end)
		return 0;
	p = process_of(k, m->tgid);
	if (!p)
		return -ENOMEM;
	if (!strcmp(m->path, "//anon") && m->prot & PROT_WRITE && !(m->flags & MAP_SHARED) &&
	    is_break(p->told, m))
		m->path = "[heap]";
	named = worth(p->told, m);
	if (!is_news(p->told, m, what_is(m), named))
		return 0;
	t = told_own(&p->told);
	if (!t)
		return -ENOMEM;
	if (p->stored >= KEEP_MAX || t->nr >= 2ul * KEEP_MAX) {
		k->skipped++;
		return 0;
	}
	p->stored++;
	told_set(t, m->start, m->end, named ? what_is(m) : 0, NULL);
	if (!named)
		take_name(m);
	return 1;
}

void maps_keep_stored(struct maps_keep *k, const struct mapping *m)
{
	const struct process *p = slot_of(k, m->tgid);
	size_t i = p->tgid ? told_find(p->told, m->start) : 0;
	struct range *r = p->told && i < p->told->nr ? &p->told->ranges[i] : NULL;

	if (k->again && r && !r->words && r->start == m->start && r->end == m->end)
		r->words = words_new(m);
}

size_t maps_keep_room(const struct maps_keep *k)
{
	return k->cap;
}

uint64_t maps_keep_skipped(const struct maps_keep *k)
{
	return k->skipped;
}
