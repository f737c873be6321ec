// SPDX-License-Identifier: GPL-2.0-only
/* The critical path: what the length of the run is made of, by thread and by class. */
#include "analysis/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

/* A thread's share of the path. */
struct entry {
	const struct thread *thread; /* NULL: not known */
	uint64_t ns, class_ns[CLASS_NR];
};

#define OUTSIDE_SHOWN 10

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return !y->thread - !x->thread ?:
		       x->thread       ? (x->thread->serial > y->thread->serial) -
					   (x->thread->serial < y->thread->serial) :
				   0;
}

static void add(struct entry *to, const struct entry *from)
{
	to->ns += from->ns;
	for (int c = 0; c < CLASS_NR; c++)
		to->class_ns[c] += from->class_ns[c];
}

/* One entry for each thread, the largest first. NULL when out of memory. */
static struct entry *entries(const struct critical_path *path, size_t *ret_nr)
{
	struct entry *list = calloc(path->nr + 1, sizeof(*list));
	size_t nr = 0;

	for (size_t i = 0; list && i < path->nr; i++) {
		const struct path_part *p = &path->part[i];

		if (!nr || list[nr - 1].thread != p->thread)
			list[nr++].thread = p->thread;
		list[nr - 1].ns += p->ns;
		list[nr - 1].class_ns[p->class] += p->ns;
	}
	if (list && nr)
		qsort(list, nr, sizeof(*list), by_time);
	*ret_nr = nr;
	return list;
}

static void cells(struct grid *g, const struct entry *e, uint64_t whole_ns,
		  const struct units_scale *scale)
{
	char text[UNITS_SIZE];

	grid_cell(g, "%s", units_scaled(text, scale, e->ns));
	grid_cell(g, "%s", units_percent(text, e->ns, whole_ns));
	for (int c = 0; c < CLASS_NR; c++)
		grid_cell(g, "%s", units_scaled(text, scale, e->class_ns[c]));
}

static void thread_row(struct grid *g, const struct entry *e, uint64_t whole_ns,
		       const struct units_scale *scale)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)];

	grid_row(g, false);
	if (e->thread) {
		escape_terminal(name, sizeof(name), e->thread->comm, EV_COMM_LEN, false);
		grid_cell(g, "%s", name);
		grid_cell(g, "%" PRIu32, e->thread->tid);
	} else {
		grid_cell(g, "(not known)");
		grid_cell(g, "%s", "");
	}
	cells(g, e, whole_ns, scale);
}

static void sum_row(struct grid *g, const char *name, const struct entry *e, uint64_t whole_ns,
		    const struct units_scale *scale)
{
	grid_row(g, true);
	grid_cell(g, "%s", name);
	grid_cell(g, "%s", "");
	cells(g, e, whole_ns, scale);
}

static void rows(struct grid *g, const struct critical_path *path, const struct entry *list,
		 size_t nr, size_t max, const struct units_scale *scale)
{
	uint64_t whole_ns = path->end_ns - path->begin_ns;
	struct entry all = {}, rest = {};
	char name[40];

	for (size_t i = 0; i < nr; i++) {
		add(&all, &list[i]);
		if (i < max)
			thread_row(g, &list[i], whole_ns, scale);
		else
			add(&rest, &list[i]);
	}
	snprintf(name, sizeof(name), "(%zu more thread%s)", nr > max ? nr - max : 0,
		 nr == max + 1 ? "" : "s");
	if (nr > max)
		sum_row(g, name, &rest, whole_ns, scale);
	if (nr > 1)
		sum_row(g, "the whole run", &all, whole_ns, scale);
}

static int by_outside_time(const void *a, const void *b)
{
	const struct path_part *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return (x->outside > y->outside) - (x->outside < y->outside);
}

/* Waits that threads ended which are not recorded. Sorts the parts. */
static void print_outside(const struct loaded *l, struct critical_path *path, int width, FILE *out)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)], text[UNITS_SIZE], id[32];
	size_t shown = 0;

	qsort(path->part, path->nr, sizeof(*path->part), by_outside_time);
	for (size_t i = 0; i < path->nr && shown < OUTSIDE_SHOWN; i++) {
		const struct path_part *p = &path->part[i];
		const struct foreign *f = foreign_find(&l->passes->foreign, p->outside);

		if (!p->outside || !p->thread)
			continue;
		escape_terminal(name, sizeof(name), f ? f->comm : "?", EV_COMM_LEN, false);
		if (!shown++)
			fputc('\n', out);
		if (foreign_id(p->outside))
			snprintf(id, sizeof(id), "/%" PRIu32, foreign_id(p->outside));
		else
			snprintf(id, sizeof(id), " of another pid namespace");
		text_line(out, width,
			  "Thread %" PRIu32
			  ": %s of %s was waiting for %s%s, outside the recording.",
			  p->thread->tid, units_time(text, p->ns), class_name(p->class), name, id);
	}
}

static void legend(const struct grid *g, const struct report_options *o, FILE *out)
{
	fputc('\n', out);
	text_line(out, o->width,
		  "From its end back to its beginning, the run is one chain of threads: when a "
		  "thread waited, the chain goes on with the thread that woke it; when a timer, a "
		  "disk or the network did, the wait itself is in the chain. Only what is in it "
		  "made the run as long as it was: to shorten anything else does not make it end "
		  "sooner.");
	for (int c = 0; c < CLASS_NR; c++)
		if (grid_shows(g, class_name(c)))
			text_item(out, o->width, class_name(c), "%s", class_meaning(c));
}

static int print_path(const struct loaded *l, struct critical_path *path,
		      const struct report_options *o, FILE *out, struct err *err)
{
	struct units_scale scale = units_scale(path->end_ns - path->begin_ns);
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	_cleanup_(free_p) struct entry *list = NULL;
	char text[UNITS_SIZE];
	size_t nr;
	int r;

	list = entries(path, &nr);
	if (!list)
		return err_set(err, -ENOMEM, "out of memory while printing the critical path");
	grid_column(g, "thread", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "in the path", GRID_RIGHT);
	grid_column(g, "share", GRID_RIGHT);
	for (int c = 0; c < CLASS_NR; c++)
		grid_column(g, class_name(c), GRID_RIGHT | GRID_OPTIONAL);
	rows(g, path, list, nr, o->max_threads, &scale);
	text_line(
		out, o->width,
		"The critical path: what the run's %s are made of, in %s (it goes from one thread "
		"to another %" PRIu64 " %s):",
		units_time(text, path->end_ns - path->begin_ns), scale.name, path->jumps,
		path->jumps == 1 ? "time" : "times");
	r = grid_print(g, o->width, o->colour, out, err);
	if (r)
		return r;
	print_outside(l, path, o->width, out);
	if (!o->no_legend)
		legend(g, o, out);
	return 0;
}

static int print_critical_path(const struct loaded *l, const struct report_options *o, FILE *out,
			       struct err *err)
{
	struct critical_path path;
	int r;

	if (!l->passes || !l->passes->history || l->from_books || !l->nr_threads) {
		fprintf(out, "No critical path: no scheduler events were recorded.\n");
		return 0;
	}
	if (critical_path_make(l->passes->history, l->begin_ns, l->end_ns, &path))
		return err_set(err, -ENOMEM, "out of memory while finding the critical path");
	r = print_path(l, &path, o, out, err);
	critical_path_free(&path);
	return r;
}

const struct report_form form_critical_path = {
	.name = "critical-path",
	.help = "the chain of threads and waits that makes the run as long as it is",
	.passes = PASS_HISTORY,
	.print = print_critical_path,
};
