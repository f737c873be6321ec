// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows of the per-thread tables: see rows.h.
 *
 * A pid may be used again, so a process is not its number alone: a thread that leads its group (tid == tgid) and begins
 * after everything else of that number has ended is the first of another process.
 */
#include "report/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"

struct entry {
	const struct thread *thread;
};

struct process {
	size_t first, nr; /* entries */
	bool ran;
	uint64_t lost_ns;
	uint32_t serial;
};

struct maker {
	const struct loaded *loaded;
	struct entry *entries;
	struct process *processes;
	size_t nr_processes;
	size_t left;   /* threads that may still have a row */
	bool only_ran; /* threads that never ran have none */
	struct report_rows *out;
};

static uint64_t life(const struct thread *t)
{
	return t->end_ns - t->start_ns;
}

static uint64_t lost(const struct thread *t)
{
	return life(t) - t->ledger_ns[CLASS_ONCPU];
}

static bool ran(const struct thread *t)
{
	return t->ledger_ns[CLASS_ONCPU] || t->voluntary || t->involuntary;
}

static int by_process(const void *a, const void *b)
{
	const struct thread *x = ((const struct entry *)a)->thread;
	const struct thread *y = ((const struct entry *)b)->thread;

	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x->serial > y->serial) - (x->serial < y->serial);
}

static int by_lost(const void *a, const void *b)
{
	const struct thread *x = ((const struct entry *)a)->thread;
	const struct thread *y = ((const struct entry *)b)->thread;

	if (ran(x) != ran(y))
		return ran(x) ? -1 : 1;
	if (lost(x) != lost(y))
		return lost(x) > lost(y) ? -1 : 1;
	return (x->serial > y->serial) - (x->serial < y->serial);
}

static int by_lost_process(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	if (x->ran != y->ran)
		return x->ran ? -1 : 1;
	if (x->lost_ns != y->lost_ns)
		return x->lost_ns > y->lost_ns ? -1 : 1;
	return (x->serial > y->serial) - (x->serial < y->serial);
}

/* Entries are in by_process order; gives each its process. */
static void find_processes(struct maker *m)
{
	uint64_t ended_ns = 0;

	for (size_t i = 0; i < m->loaded->nr_threads; i++) {
		const struct thread *t = m->entries[i].thread;
		bool other = !i || t->tgid != m->entries[i - 1].thread->tgid;
		struct process *p;

		if (!other && t->tid == t->tgid && t->start_ns >= ended_ns)
			other = true;
		if (other) {
			m->processes[m->nr_processes++] =
				(struct process){ .first = i, .serial = t->serial };
			ended_ns = 0;
		}
		p = &m->processes[m->nr_processes - 1];
		p->nr++;
		p->ran |= ran(t);
		p->lost_ns += lost(t);
		if (t->end_ns > ended_ns)
			ended_ns = t->end_ns;
	}
	for (size_t i = 0; i < m->nr_processes; i++)
		qsort(m->entries + m->processes[i].first, m->processes[i].nr, sizeof(*m->entries),
		      by_lost);
	qsort(m->processes, m->nr_processes, sizeof(*m->processes), by_lost_process);
}

static bool same_scheduling(const struct thread *a, const struct thread *b)
{
	return a->has_task == b->has_task && a->policy == b->policy && a->nice == b->nice &&
	       a->rt_priority == b->rt_priority && a->nr_allowed == b->nr_allowed &&
	       a->cgroup == b->cgroup && !memcmp(a->allowed, b->allowed, sizeof(a->allowed));
}

static void add_thread(struct report_row *row, const struct thread *t, const struct loaded *l)
{
	struct audit audit = { .all = AUDIT_NONE };

	if (!l->from_books)
		audit_thread(t, &audit);
	if (l->counts)
		counted_add(&row->counted, counts_of(l->counts, t->serial));
	if (!row->nr_threads++)
		row->same_scheduling = true;
	if (row->thread && !same_scheduling(row->thread, t))
		row->same_scheduling = false;
	row->life_ns += life(t);
	for (int c = 0; c < CLASS_NR; c++)
		row->ledger_ns[c] += t->ledger_ns[c];
	row->voluntary += t->voluntary;
	row->involuntary += t->involuntary;
	row->yields += t->yields;
	row->yielded_ns += t->yielded_ns;
	row->migrations += t->migrations;
	if (audit.all > row->audit)
		row->audit = audit.all;
}

static void add_row(struct maker *m, const struct report_row *row)
{
	m->out->row[m->out->nr++] = *row;
}

/* The thread whose name the process bears: the leader, else the first of them. */
static const struct thread *leader(const struct maker *m, const struct process *p)
{
	for (size_t i = 0; i < p->nr; i++)
		if (m->entries[p->first + i].thread->tid == m->entries[p->first + i].thread->tgid)
			return m->entries[p->first + i].thread;
	return m->entries[p->first].thread;
}

static void add_process(struct maker *m, const struct process *p)
{
	const struct loaded *l = m->loaded;
	bool single = p->nr == 1;
	struct report_row more = { .kind = ROW_MORE, .indented = true };
	struct report_row sum = { .kind = single ? ROW_SINGLE : ROW_PROCESS,
				  .thread = leader(m, p) };

	for (size_t i = 0; i < p->nr; i++)
		add_thread(&sum, m->entries[p->first + i].thread, l);
	add_row(m, &sum);
	if (single) {
		m->left--;
		return;
	}
	for (size_t i = 0; i < p->nr; i++) {
		const struct thread *t = m->entries[p->first + i].thread;
		struct report_row row = { .kind = ROW_THREAD, .indented = true, .thread = t };

		if (!m->left || (m->only_ran && !ran(t))) {
			add_thread(&more, t, l);
			continue;
		}
		m->left--;
		add_thread(&row, t, l);
		add_row(m, &row);
	}
	if (more.nr_threads)
		add_row(m, &more);
}

static void add_processes(struct maker *m)
{
	struct report_row total = { .kind = ROW_TOTAL }, more = { .kind = ROW_MORE };

	for (size_t i = 0; i < m->nr_processes; i++) {
		const struct process *p = &m->processes[i];
		bool fits = m->left > 0 && (p->ran || !m->only_ran);

		if (fits)
			add_process(m, p);
		for (size_t j = 0; j < p->nr; j++) {
			const struct thread *t = m->entries[p->first + j].thread;

			add_thread(&total, t, m->loaded);
			if (!fits)
				add_thread(&more, t, m->loaded);
		}
	}
	if (more.nr_threads)
		add_row(m, &more);
	if (total.nr_threads > 1)
		add_row(m, &total);
}

int rows_make(const struct loaded *l, size_t max_threads, struct report_rows *ret_rows,
	      struct err *err)
{
	size_t nr = l->nr_threads;
	_cleanup_(free_p) struct entry *entries = calloc(nr + 1, sizeof(*entries));
	_cleanup_(free_p) struct process *processes = calloc(nr + 1, sizeof(*processes));
	struct maker m = { .loaded = l, .entries = entries, .processes = processes };

	/* every thread, its process, one "more" for each process, "more" and the total */
	ret_rows->row = calloc(3 * nr + 2, sizeof(*ret_rows->row));
	ret_rows->nr = 0;
	if (!entries || !processes || !ret_rows->row)
		return err_set(err, -ENOMEM, "out of memory while sorting the threads");
	m.left = max_threads;
	m.only_ran = nr > max_threads;
	m.out = ret_rows;
	for (size_t i = 0; i < nr; i++)
		entries[i].thread = l->threads[i];
	qsort(entries, nr, sizeof(*entries), by_process);
	find_processes(&m);
	add_processes(&m);
	return 0;
}

void rows_free(struct report_rows *rows)
{
	free(rows->row);
	rows->row = NULL;
}

const char *row_name(const struct report_row *row, char *buf)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)];

	if (row->kind == ROW_TOTAL)
		snprintf(buf, ROW_NAME_SIZE, "all %zu threads", row->nr_threads);
	else if (row->kind == ROW_MORE)
		snprintf(buf, ROW_NAME_SIZE, "%s(%zu more thread%s)", row->indented ? "  " : "",
			 row->nr_threads, row->nr_threads == 1 ? "" : "s");
	else
		snprintf(buf, ROW_NAME_SIZE, "%s%s", row->indented ? "  " : "",
			 escape_terminal(name, sizeof(name), row->thread->comm, EV_COMM_LEN,
					 false));
	return buf;
}

const char *row_id(const struct report_row *row, char *buf)
{
	if (row->kind == ROW_MORE || row->kind == ROW_TOTAL)
		buf[0] = '\0';
	else
		snprintf(buf, 16, "%" PRIu32,
			 row->kind == ROW_PROCESS ? row->thread->tgid : row->thread->tid);
	return buf;
}
