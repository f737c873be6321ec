// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who wakes whom, the pairs with the longest delay first. When there are more than fit, the threads are put together by their names:
 * "worker (8)" is eight threads of that name. What does not fit then is one row, so that the sums are true.
 */
#include "analysis/wakeups.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

#define NAME_SIZE 112

/* What a row is of: one pair, or all pairs of two names. */
struct entry {
	char waker[EV_COMM_LEN], wakee[EV_COMM_LEN];
	uint32_t waker_id, wakee_id; /* tids; 0: several, or none */
	size_t pairs;                /* pairs that are put together here */
	enum wake_context context;
	struct wake_counts counts;
};

struct entries {
	struct entry *list;
	size_t nr;
	bool by_name;
};

static void name_waker(const struct loaded *l, const struct wake_pair *p, struct entry *e)
{
	static const char *const interrupts[WAKE_CONTEXT_NR] = {
		[WAKE_HARDIRQ] = "hard interrupt",
		[WAKE_SOFTIRQ] = "soft interrupt",
		[WAKE_INTERRUPT] = "an interrupt",
	};
	const struct thread *t = ledger_find(l->ledger, p->waker);
	const struct foreign *f = foreign_find(&l->passes->foreign, p->waker);

	if (interrupts[p->context]) {
		strncpy(e->waker, interrupts[p->context], sizeof(e->waker) - 1);
	} else if (t) {
		memcpy(e->waker, t->comm, sizeof(e->waker));
		e->waker_id = t->tid;
	} else {
		memcpy(e->waker, f ? f->comm : "?\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(e->waker));
		e->waker_id = foreign_id(p->waker);
	}
}

static struct entry entry_of(const struct loaded *l, const struct wake_pair *p)
{
	const struct thread *t = ledger_find(l->ledger, p->wakee);
	struct entry e = { .context = p->context, .counts = p->counts, .pairs = 1 };

	name_waker(l, p, &e);
	if (t) {
		memcpy(e.wakee, t->comm, sizeof(e.wakee));
		e.wakee_id = t->tid;
	}
	return e;
}

static int by_names(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = memcmp(x->waker, y->waker, sizeof(x->waker));

	if (!r)
		r = memcmp(x->wakee, y->wakee, sizeof(x->wakee));
	if (!r)
		r = (int)x->context - (int)y->context;
	if (!r)
		r = (x->waker_id > y->waker_id) - (x->waker_id < y->waker_id);
	return r;
}

static int by_delay(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->counts.delay_ns != y->counts.delay_ns)
		return x->counts.delay_ns > y->counts.delay_ns ? -1 : 1;
	if (x->counts.count != y->counts.count)
		return x->counts.count > y->counts.count ? -1 : 1;
	return by_names(a, b);
}

static void add_counts(struct wake_counts *to, const struct wake_counts *from)
{
	to->count += from->count;
	to->delays += from->delays;
	to->delay_ns += from->delay_ns;
	if (from->longest_ns > to->longest_ns)
		to->longest_ns = from->longest_ns;
}

static bool same_names(const struct entry *x, const struct entry *y)
{
	return !memcmp(x->waker, y->waker, sizeof(x->waker)) &&
	       !memcmp(x->wakee, y->wakee, sizeof(x->wakee)) && x->context == y->context;
}

static void fold(struct entries *e)
{
	size_t nr = 0;

	qsort(e->list, e->nr, sizeof(*e->list), by_names);
	for (size_t i = 0; i < e->nr; i++) {
		struct entry *last = nr ? &e->list[nr - 1] : NULL;

		if (!last || !same_names(last, &e->list[i])) {
			e->list[nr++] = e->list[i];
			continue;
		}
		add_counts(&last->counts, &e->list[i].counts);
		if (last->waker_id != e->list[i].waker_id)
			last->waker_id = 0;
		if (last->wakee_id != e->list[i].wakee_id)
			last->wakee_id = 0;
		last->pairs++;
	}
	e->nr = nr;
	e->by_name = true;
}

static int make_entries(const struct loaded *l, size_t max, struct entries *ret)
{
	const struct wakeups *w = l->passes->wakeups;

	ret->list = calloc(w->nr + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr; i++)
		ret->list[i] = entry_of(l, &w->pair[i]);
	ret->nr = w->nr;
	if (w->nr > max)
		fold(ret);
	qsort(ret->list, ret->nr, sizeof(*ret->list), by_delay);
	return 0;
}

static void counts_cells(struct grid *g, const struct wake_counts *c)
{
	char text[UNITS_SIZE];

	grid_cell(g, "%" PRIu64, c->count);
	grid_cell(g, "%s", units_time(text, c->delay_ns));
	grid_cell(g, "%s", c->delays ? units_time(text, c->delay_ns / c->delays) : "-");
	grid_cell(g, "%s", c->delays ? units_time(text, c->longest_ns) : "-");
}

static void person_cell(struct grid *g, const char *comm, uint32_t id, bool several)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)];

	escape_terminal(name, sizeof(name), comm, EV_COMM_LEN, false);
	if (id)
		grid_cell(g, "%s/%" PRIu32, name, id);
	else
		grid_cell(g, "%s%s", name, several ? " (several)" : "");
}

static void entry_row(struct grid *g, const struct entry *e)
{
	bool interrupt = e->context == WAKE_HARDIRQ || e->context == WAKE_SOFTIRQ ||
			 e->context == WAKE_INTERRUPT;

	grid_row(g, false);
	person_cell(g, e->waker, e->waker_id, !interrupt && e->pairs > 1);
	grid_cell(g, "%s", wake_context_name(e->context));
	person_cell(g, e->wakee, e->wakee_id, e->pairs > 1);
	counts_cells(g, &e->counts);
}

static void sum_row(struct grid *g, const char *name, const struct wake_counts *c, bool bold)
{
	grid_row(g, bold);
	grid_cell(g, "%s", name);
	grid_cell(g, "%s", "");
	grid_cell(g, "%s", "");
	counts_cells(g, c);
}

static void rows(struct grid *g, const struct wakeups *w, const struct entries *e, size_t max)
{
	struct wake_counts rest = w->others;
	size_t shown = e->nr < max ? e->nr : max;
	char name[NAME_SIZE];

	for (size_t i = 0; i < shown; i++)
		entry_row(g, &e->list[i]);
	for (size_t i = shown; i < e->nr; i++)
		add_counts(&rest, &e->list[i].counts);
	snprintf(name, sizeof(name), "(%zu more%s)", e->nr - shown,
		 w->others.count ? ", and others" : "");
	if (rest.count)
		sum_row(g, name, &rest, false);
	sum_row(g, "all wake-ups", &w->all, true);
}

static bool has_context(const struct entries *e, enum wake_context context)
{
	for (size_t i = 0; i < e->nr; i++)
		if (e->list[i].context == context)
			return true;
	return false;
}

static void legend(const struct entries *e, const struct report_options *o, FILE *out)
{
	static const char *const meanings[WAKE_CONTEXT_NR] = {
		[WAKE_TASK] = "the waker did it itself, in a system call, an exception or its exit",
		[WAKE_HARDIRQ] =
			"an interrupt of a device or a timer did it, whomever it interrupted",
		[WAKE_SOFTIRQ] =
			"the kernel's deferred work of an interrupt did it (network, timers)",
		[WAKE_INTERRUPT] = "one of the two, on a CPU that was idle",
		[WAKE_UNKNOWN] =
			"the thread that was on the waking CPU, or an interrupt above it: not known "
			"which",
		[WAKE_NEW] =
			"the first one of a new thread, by its maker; its delay is from the fork on",
	};

	fputc('\n', out);
	text_item(out, o->width, "delay",
		  "how long the woken thread then waited for a CPU: from the wake-up to running");
	for (int c = 0; c < WAKE_CONTEXT_NR; c++)
		if (has_context(e, c))
			text_item(out, o->width, wake_context_name(c), "%s", meanings[c]);
	if (e->by_name)
		text_line(out, o->width,
			  "There are too many pairs of threads for one row each: threads of the "
			  "same name are put together (--json has them all).");
}

static int print_wakeups(const struct loaded *l, const struct report_options *o, FILE *out,
			 struct err *err)
{
	static const char *const names[] = { "wake-ups", "delay", "mean", "longest" };
	const struct wakeups *w = l->passes ? l->passes->wakeups : NULL;
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	struct entries e = {};
	int r;

	if (!w || !w->all.count) {
		fprintf(out, "No wake-up was recorded.\n");
		return 0;
	}
	if (make_entries(l, o->max_threads, &e))
		return err_set(err, -ENOMEM, "out of memory while printing the wake-ups");
	grid_column(g, "waker", GRID_KEY | GRID_CUT);
	grid_column(g, "context", GRID_KEY);
	grid_column(g, "wakes", GRID_KEY | GRID_CUT);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		grid_column(g, names[i], GRID_RIGHT);
	rows(g, w, &e, o->max_threads);
	text_line(out, o->width,
		  "Who woke whom, how often, and how long it then waited for a CPU, the longest in "
		  "all first:");
	r = grid_print(g, o->width, o->colour, out, err);
	if (!r && !o->no_legend)
		legend(&e, o, out);
	free(e.list);
	return r;
}

const struct report_form form_wakeups = {
	.name = "wakeups",
	.help = "who wakes whom, how often, and the wait for a CPU that follows",
	.passes = PASS_WAKEUPS,
	.print = print_wakeups,
};
