// SPDX-License-Identifier: GPL-2.0-only
/* The merge of the CPUs by time: see merge.h. */
#include "trace/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Moves that sorting by insertion may take, per record, before it gives up. Records nest a few deep. */
#define INSERT_BUDGET 8

static size_t entry_words(const uint64_t *entry)
{
	return 1 + EV_WORDS(entry[1]);
}

static int merge_room_cpus(struct merge *m, unsigned int nr)
{
	struct merge_head *heap;
	struct held *cpus;

	if (nr <= m->nr_cpus)
		return 0;
	cpus = realloc(m->cpus, nr * sizeof(*cpus));
	if (!cpus)
		return -ENOMEM;
	memset(cpus + m->nr_cpus, 0, (nr - m->nr_cpus) * sizeof(*cpus));
	m->cpus = cpus;
	heap = realloc(m->heap, nr * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	m->heap = heap;
	m->nr_cpus = nr;
	return 0;
}

/* Makes room behind the end: moves to the front if that is cheap, grows otherwise. */
static int held_room(struct held *h, size_t words)
{
	size_t cap = h->cap ? h->cap : 4096;
	uint64_t *grown;

	if (h->pos && h->pos >= h->end - h->pos) {
		memmove(h->words, h->words + h->pos, (h->end - h->pos) * sizeof(*h->words));
		h->end -= h->pos;
		h->pos = 0;
	}
	if (words <= h->cap - h->end)
		return 0;
	while (cap - h->end < words)
		cap *= 2;
	grown = realloc(h->words, cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	h->words = grown;
	h->cap = cap;
	return 0;
}

int merge_add(struct merge *m, unsigned int cpu, struct columns *c, uint64_t first_ns,
	      const uint8_t *min_words)
{
	struct columns_out out;
	struct held *h;
	bool whole;

	if (merge_room_cpus(m, cpu + 1))
		return -ENOMEM;
	h = &m->cpus[cpu];
	if (held_room(h, c->nr_words + c->nr_records + 1))
		return -ENOMEM;
	out = (struct columns_out){ .at = h->words + h->end,
				    .newest_ns = h->newest_ns,
				    .unsorted = h->unsorted };
	whole = columns_records(c, first_ns, min_words, &out);
	m->held_words += (size_t)(out.at - h->words) - h->end;
	h->end = (size_t)(out.at - h->words);
	h->newest_ns = out.newest_ns;
	h->unsorted = out.unsorted;
	return whole ? 0 : -EBADMSG;
}

static int entry_cmp(const void *pa, const void *pb)
{
	const struct merge_entry *a = pa, *b = pb;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

/* Nearly sorted input takes one pass. False when it was not so near; what is there is still a permutation. */
static bool entries_insert(struct merge_entry *entries, size_t nr)
{
	size_t budget = nr * INSERT_BUDGET;

	for (size_t i = 1; i < nr; i++) {
		struct merge_entry e = entries[i];
		size_t j = i;

		for (; j && entries[j - 1].time_ns > e.time_ns; j--)
			entries[j] = entries[j - 1];
		entries[j] = e;
		if (i - j > budget)
			return false;
		budget -= i - j;
	}
	return true;
}

/* The memory that sorting h takes: kept, because getting it anew costs more (page faults) than the sorting. */
static int sort_room(struct merge *m, const struct held *h)
{
	size_t nr = (h->end - h->pos) / 2;

	if (nr > m->cap_entries) {
		free(m->entries);
		m->entries = malloc(nr * sizeof(*m->entries));
		m->cap_entries = m->entries ? nr : 0;
	}
	if (h->cap > m->cap_spare) {
		free(m->spare);
		m->spare = malloc(h->cap * sizeof(*m->spare));
		m->cap_spare = m->spare ? h->cap : 0;
	}
	return m->entries && m->spare ? 0 : -ENOMEM;
}

static int held_sort(struct merge *m, struct held *h)
{
	uint64_t *unsorted = h->words, *to;
	size_t nr = 0, cap = h->cap;

	if (!h->unsorted)
		return 0;
	if (sort_room(m, h))
		return -ENOMEM;
	for (size_t at = h->pos; at < h->end; at += entry_words(unsorted + at))
		m->entries[nr++] = (struct merge_entry){ .time_ns = unsorted[at], .at = at };
	if (!entries_insert(m->entries, nr))
		qsort(m->entries, nr, sizeof(*m->entries), entry_cmp);
	to = h->words = m->spare;
	for (size_t i = 0; i < nr; i++) {
		const uint64_t *from = unsorted + m->entries[i].at;
		size_t left = entry_words(from);

		do
			*to++ = *from++;
		while (--left);
	}
	h->cap = m->cap_spare;
	m->spare = unsorted;
	m->cap_spare = cap;
	h->pos = 0;
	h->end = (size_t)(to - h->words);
	h->unsorted = false;
	return 0;
}

static bool head_before(const struct merge_head *a, const struct merge_head *b)
{
	return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->cpu < b->cpu);
}

static void heap_sift_down(struct merge *m, unsigned int i)
{
	struct merge_head moved = m->heap[i];

	for (;;) {
		unsigned int child = 2 * i + 1;

		if (child >= m->nr_heads)
			break;
		if (child + 1 < m->nr_heads && head_before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!head_before(&m->heap[child], &moved))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = moved;
}

/* Sorts where it must be and makes the heap of the CPUs that have something older than before_ns. */
static int heap_build(struct merge *m, uint64_t before_ns)
{
	m->nr_heads = 0;
	for (unsigned int cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct held *h = &m->cpus[cpu];

		if (h->pos >= h->end)
			continue;
		if (held_sort(m, h))
			return -ENOMEM;
		if (h->words[h->pos] < before_ns)
			m->heap[m->nr_heads++] = (struct merge_head){ h->words[h->pos], cpu };
	}
	for (unsigned int i = m->nr_heads / 2; i--;)
		heap_sift_down(m, i);
	return 0;
}

/* Up to which time the CPU at the top may run before it is another one's turn. */
static uint64_t top_runs_until(const struct merge *m, uint64_t before_ns)
{
	const struct merge_head *next = &m->heap[1];
	uint64_t until;

	if (m->nr_heads == 1)
		return before_ns;
	if (m->nr_heads > 2 && head_before(&m->heap[2], next))
		next = &m->heap[2];
	until = next->time_ns + (m->heap[0].cpu < next->cpu);
	return until < before_ns ? until : before_ns;
}

/* Gives out one CPU's events older than until_ns. */
static int held_give(struct merge *m, unsigned int cpu, uint64_t until_ns, trace_event_fn fn,
		     void *arg)
{
	struct held *h = &m->cpus[cpu];
	int rc = 0;

	while (!rc && h->pos < h->end && h->words[h->pos] < until_ns) {
		const uint64_t *entry = h->words + h->pos;
		struct trace_event ev = { .time_ns = entry[0], .cpu = cpu, .rec = entry + 1 };

		if (ev.time_ns < m->last_ns) {
			ev.time_ns = m->last_ns;
			m->late++;
		}
		m->last_ns = ev.time_ns;
		m->events++;
		m->held_words -= entry_words(entry);
		h->pos += entry_words(entry);
		rc = fn(arg, &ev);
	}
	return rc;
}

int merge_release(struct merge *m, uint64_t before_ns, trace_event_fn fn, void *arg)
{
	int rc = heap_build(m, before_ns);

	while (!rc && m->nr_heads) {
		struct merge_head *top = &m->heap[0];
		const struct held *h = &m->cpus[top->cpu];

		rc = held_give(m, top->cpu, top_runs_until(m, before_ns), fn, arg);
		if (h->pos < h->end && h->words[h->pos] < before_ns)
			top->time_ns = h->words[h->pos];
		else
			*top = m->heap[--m->nr_heads];
		if (m->nr_heads)
			heap_sift_down(m, 0);
	}
	return rc;
}

void merge_reset(struct merge *m)
{
	for (unsigned int cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct held *h = &m->cpus[cpu];

		h->pos = h->end = 0;
		h->newest_ns = 0;
		h->unsorted = false;
	}
	m->held_words = 0;
	m->last_ns = m->events = m->late = 0;
}

void merge_free(struct merge *m)
{
	for (unsigned int cpu = 0; cpu < m->nr_cpus; cpu++)
		free(m->cpus[cpu].words);
	free(m->cpus);
	free(m->heap);
	free(m->spare);
	free(m->entries);
}
