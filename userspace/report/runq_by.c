// SPDX-License-Identifier: GPL-2.0-only
/* Who had the CPU while threads waited for it: a block below the table of threads. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/runq_who.h"
#include "base/cleanup.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/passes.h"
#include "report/text.h"
#include "report/units.h"

#define OTHERS_SHOWN 10

struct block {
	struct grid *grid;
	struct units_scale scale;
	uint64_t all_ns;
};

static void row(const struct block *b, const char *name, const char *id, const char *what,
		uint64_t ns)
{
	char text[UNITS_SIZE];

	if (!ns)
		return;
	grid_row(b->grid, false);
	grid_cell(b->grid, "%s", name);
	grid_cell(b->grid, "%s", id);
	grid_cell(b->grid, "%s", units_scaled(text, &b->scale, ns));
	grid_cell(b->grid, "%s", units_percent(text, ns, b->all_ns));
	grid_cell(b->grid, "%s", what);
}

static int by_name(const void *a, const void *b)
{
	const struct runq_occupant *x = a, *y = b;
	int r = strncmp(x->comm, y->comm, EV_COMM_LEN);

	return r ? r : (int)x->tracked - (int)y->tracked;
}

/* Several processes of one name. */
struct group {
	struct runq_occupant sum; /* pid: of the only one */
	size_t nr;
};

static int by_time(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->sum.ns != y->sum.ns)
		return x->sum.ns > y->sum.ns ? -1 : 1;
	return by_name(&x->sum, &y->sum);
}

/* More than fit are put together by their names. Returns how many groups; NULL when out of memory. */
static struct group *group_others(struct runq_occupant *list, size_t nr, size_t *ret_nr)
{
	struct group *group = calloc(nr + 1, sizeof(*group));
	size_t n = 0;

	if (!group)
		return NULL;
	if (nr > OTHERS_SHOWN)
		qsort(list, nr, sizeof(*list), by_name);
	for (size_t i = 0; i < nr; i++) {
		if (nr <= OTHERS_SHOWN || !n || by_name(&group[n - 1].sum, &list[i])) {
			group[n++] = (struct group){ list[i], 1 };
			continue;
		}
		group[n - 1].sum.ns += list[i].ns;
		group[n - 1].nr++;
	}
	qsort(group, n, sizeof(*group), by_time);
	*ret_nr = n;
	return group;
}

static void group_row(const struct block *b, const struct group *group)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)], label[sizeof(name) + 40], id[16] = "";
	const struct runq_occupant *o = &group->sum;

	escape_terminal(name, sizeof(name), o->comm, EV_COMM_LEN, false);
	if (group->nr > 1)
		snprintf(label, sizeof(label), "%s (%zu processes)", *name ? name : "?", group->nr);
	else if (o->pid)
		snprintf(label, sizeof(label), "%s", *name ? name : "?");
	else
		snprintf(label, sizeof(label), "(names not kept)");
	if (group->nr == 1 && foreign_id(o->pid))
		snprintf(id, sizeof(id), "%" PRIu32, foreign_id(o->pid));
	row(b, label, id,
	    o->tracked           ? "another recorded process" :
	    o->pid & WHO_OUTSIDE ? "not recorded, outside this pid namespace" :
				   "not recorded",
	    o->ns);
}

static int other_rows(const struct block *b, struct runq_occupant *list, size_t nr)
{
	_cleanup_(free_p) struct group *group = group_others(list, nr, &nr);
	uint64_t rest_ns = 0;
	char name[40];

	if (!group)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		if (i < OTHERS_SHOWN)
			group_row(b, &group[i]);
		else
			rest_ns += group[i].sum.ns;
	}
	snprintf(name, sizeof(name), "(%zu more)", nr > OTHERS_SHOWN ? nr - OTHERS_SHOWN : 0);
	row(b, name, "", "", rest_ns);
	return 0;
}

static void legend(const struct runq_split *s, bool irqs, const struct report_options *o, FILE *out)
{
	fputc('\n', out);
	if (s->part_ns[RUNQ_OWN])
		text_item(out, o->width, "own",
			  "threads of the same process as the one that waited");
	if (s->part_ns[RUNQ_IDLE])
		text_item(out, o->width, "idle",
			  "no thread had it: it was being given to the one that waited, which "
			  "takes longest when a sleeping CPU must wake up first");
	if (s->part_ns[RUNQ_IRQ])
		text_item(
			out, o->width, "interrupts",
			"served by that CPU, for devices, timers, the network or other CPUs; not in "
			"the time of whom they interrupted");
	if (s->part_ns[RUNQ_UNKNOWN])
		text_item(out, o->width, "unknown",
			  "events were lost, or never reached a probe, on the CPU or about the "
			  "wait");
	if (!irqs)
		text_line(out, o->width,
			  "Interrupts were not recorded apart: their time is in the part of whom "
			  "they interrupted.");
}

static int print_block(const struct runq_split *s, bool irqs, struct runq_occupant *list, size_t nr,
		       const struct report_options *o, FILE *out, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	struct block b = { g, units_scale(s->wait_ns), s->wait_ns };
	char text[UNITS_SIZE], share[UNITS_SIZE];
	int r;

	grid_column(g, "who had the CPU", GRID_KEY | GRID_CUT);
	grid_column(g, "id", GRID_KEY | GRID_RIGHT);
	grid_column(g, "time", GRID_RIGHT);
	grid_column(g, "share", GRID_RIGHT);
	grid_column(g, "which is", GRID_OPTIONAL);
	row(&b, "own", "", "the same process", s->part_ns[RUNQ_OWN]);
	if (other_rows(&b, list, nr))
		return err_set(err, -ENOMEM, "out of memory while printing who had the CPUs");
	row(&b, "idle", "", "nobody", s->part_ns[RUNQ_IDLE]);
	row(&b, "interrupts", "", "hard and soft", s->part_ns[RUNQ_IRQ]);
	row(&b, "unknown", "", "", s->part_ns[RUNQ_UNKNOWN]);
	fputc('\n', out);
	text_line(out, o->width, "While threads waited for a CPU (%s in all), who had it, in %s:",
		  units_time(text, s->wait_ns), b.scale.name);
	r = grid_print(g, o->width, o->colour, out, err);
	if (r)
		return r;
	text_line(out, o->width,
		  "For %s of it (%s), another CPU that the waiting thread may use stood idle.",
		  units_time(text, s->nobody_ns), units_percent(share, s->nobody_ns, s->wait_ns));
	if (!o->no_legend)
		legend(s, irqs, o, out);
	return 0;
}

int runq_by_print(const struct loaded *l, const struct report_options *o, FILE *out,
		  struct err *err)
{
	const struct runq_who *w = l->passes ? l->passes->runq_who : NULL;
	_cleanup_(free_p) struct runq_occupant *list = NULL;
	bool irqs;
	size_t nr;

	if (!w || !runq_who_all(w)->wait_ns)
		return 0;
	irqs = l->meta.irqs || runq_who_all(w)->part_ns[RUNQ_IRQ];
	if (runq_who_others(w, &list, &nr))
		return err_set(err, -ENOMEM, "out of memory while printing who had the CPUs");
	return print_block(runq_who_all(w), irqs, list, nr, o, out, err);
}
