// SPDX-License-Identifier: GPL-2.0-only
/* From a trace with call stacks to a flame tree: see calls.h. */
#include "analysis/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/calls_impl.h"
#include "base/vec.h"

/* The locks by their index. */
static int index_locks(struct calls *c)
{
	size_t nr = 0;
	const struct lock *const *list = NULL;

	if (c->o->mode == CALLS_LOCK && !c->loaded->from_books)
		list = locks_list(c->loaded->locks, &nr);
	for (size_t i = 0; i < nr; i++)
		if (list[i]->index >= c->nr_locks)
			c->nr_locks = list[i]->index + 1;
	c->lock = calloc(c->nr_locks + 1, sizeof(const struct lock *));
	if (!c->lock)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		c->lock[list[i]->index] = list[i];
	return 0;
}

/* ---- what else is to be said ---- */

struct problems {
	struct calls_summary *summary;
	size_t cap;
	int failed;
};

static void add_problem(void *arg, const char *path, const char *reason)
{
	struct problems *p = arg;
	struct calls_summary *s = p->summary;
	struct calls_problem problem = { strdup(path), strdup(reason) };

	if (!problem.path || !problem.reason ||
	    vec_room(&s->problem, &p->cap, s->nr_problems + 1)) {
		free(problem.path);
		free(problem.reason);
		p->failed = -ENOMEM;
		return;
	}
	s->problem[s->nr_problems++] = problem;
}

static int add_problems(const struct calls *c, struct calls_summary *s)
{
	const struct loaded *l = c->loaded;
	struct problems p = { .summary = s };
	struct err err = {};

	if (load_check(l->path, l->raw_meta, &l->state, &err))
		add_problem(&p, l->path, err.msg);
	stack_store_problems(c->store, add_problem, &p);
	return p.failed;
}

/* A count of "stacks" in the trace's metadata; 0: it is not there. */
static uint64_t meta_count(const json_t *meta, const char *what)
{
	json_int_t n = json_integer_value(json_object_get(json_object_get(meta, "stacks"), what));

	return n > 0 ? (uint64_t)n : 0;
}

static int summarize(const struct calls *c, struct calls_summary *s)
{
	const struct loaded *l = c->loaded;
	const struct stack_store_counts *counts = stack_store_counts(c->store);

	s->mode = c->o->mode;
	s->wall_ns = l->end_ns - l->begin_ns;
	s->has_stacks = c->has_stacks;
	s->untracked_ns = l->ledger_ns[CLASS_UNTRACKED];
	s->stacks = counts->stacks;
	s->absent = counts->absent + counts->partial;
	s->refused = counts->refused;
	s->lost_events = l->lost_events;
	s->kernel_checks = meta_count(l->raw_meta, "kernel_checks");
	s->kernel_changed = meta_count(l->raw_meta, "kernel_changed");
	s->command = strdup(l->meta.command);
	return s->command ? add_problems(c, s) : -ENOMEM;
}

void calls_summary_free(struct calls_summary *s)
{
	for (size_t i = 0; i < s->nr_problems; i++) {
		free(s->problem[i].path);
		free(s->problem[i].reason);
	}
	free(s->problem);
	free(s->command);
	*s = (struct calls_summary){};
}

/* ---- the whole ---- */

static void calls_free(struct calls *c)
{
	uint32_t serial = 0;
	struct called *d;

	while ((d = serial_map_next(&c->called, &serial))) {
		free(d->sample);
		free(d->wait);
	}
	serial_map_free(&c->called);
	foreign_free(&c->foreign);
	free(c->cpu);
	free(c->lock);
	keymap_free(&c->stack_of);
	free(c->stack);
	keymap_free(&c->row_of);
	free(c->row);
	stack_store_free(c->store);
	load_free(c->loaded);
}

static int take_mapping(void *arg, const struct mapping *m)
{
	return stack_store_mapping(arg, m);
}

static int open_store(struct calls *c, struct flame_tree *tree, struct err *err)
{
	const struct loaded *l = c->loaded;
	const struct stack_store_options o = {
		.arch = syscall_arch_by_name(l->meta.arch),
		.kernel_symbols = json_object_get(l->raw_meta, "kernel_symbols"),
		.realtime_ns = l->meta.realtime_ns,
		.kernel = l->meta.kernel,
		.inlined = c->o->inlined,
		.python = c->o->python,
		.lines = c->o->lines,
		.no_kernel = c->o->no_kernel,
		.no_jit = c->o->no_jit,
		.root = c->o->root,
		.debug = c->o->debug,
	};
	int r = stack_store_new(&o, tree, &c->store);

	return r ?: trace_each_mapping(l->reader, take_mapping, c->store, err);
}

static int read_trace(struct calls *c, const char *path, struct flame_tree *tree, struct err *err)
{
	int r = load_open(path, &c->loaded, err);

	if (!r && c->o->mode == CALLS_LOCK)
		r = load_passes(c->loaded, PASS_LOCKS, err);
	if (!r)
		r = open_store(c, tree, err);
	if (!r)
		r = calls_listen(c);
	return r ?: load_run(c->loaded, NULL, NULL, err);
}

int calls_tree(const char *trace_path, const struct calls_options *o, struct flame_tree **ret_tree,
	       struct calls_summary *ret_summary, struct err *err)
{
	struct calls c = { .o = o };
	struct calls_summary summary = {};
	struct flame_tree *tree = NULL;
	int r = flame_tree_new(&tree);

	if (!r)
		r = read_trace(&c, trace_path, tree, err);
	if (!r)
		r = calls_settle(&c);
	if (!r)
		r = index_locks(&c);
	if (!r)
		r = calls_make_tree(&c, tree, &summary);
	if (!r)
		r = summarize(&c, &summary);
	calls_free(&c);
	if (r) {
		flame_tree_free(tree);
		calls_summary_free(&summary);
		if (!err->code)
			err_sys(err, r, "cannot make a graph of '%.200s'", trace_path);
		return r;
	}
	*ret_tree = tree;
	*ret_summary = summary;
	return 0;
}
