// SPDX-License-Identifier: GPL-2.0-only
/* A trace of any program, explained: see explained.h. */
#include "cli/explained.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "cli/costs.h"

/* The program's name: the last part of the command's first word. */
static char *name_of(const struct loaded *l)
{
	const char *word =
		json_string_value(json_array_get(json_object_get(l->raw_meta, "command"), 0));
	const char *slash = word ? strrchr(word, '/') : NULL;
	char *name = strndup(slash && slash[1] ? slash + 1 :
			     word && *word     ? word :
						 "the program",
			     64);

	for (char *c = name; c && *c; c++)
		if (*c < ' ' || *c > '~' || *c == '%')
			*c = '?';
	return name;
}

/* What this machine charges, if it is the one that worked there. */
static bool costs_of(const struct loaded *l, struct machine_costs *ret)
{
	struct utsname here;

	return !uname(&here) && !strcmp(here.nodename, l->meta.hostname) &&
	       !strcmp(here.release, l->meta.kernel) && costs_here(ret);
}

/* What is known once the whole trace was read. */
static int take(struct loaded *l, struct replay_source *source, struct explained *e)
{
	struct machine_costs costs;
	int r = work_find(l, &e->work);

	r = r ?: work_experiment(&e->work, l, &e->run);
	r = r ?: account_take(l, &e->account);
	if (!r && !l->from_books)
		r = replay_make(source, l->passes->history, l->locks, &e->work, l->meta.nr_online,
				costs_of(l, &costs) ? &costs : NULL, &e->replay);
	e->account.workers = e->work.lanes;
	e->facts.cpus = e->replay.good ? e->replay.cpus : l->meta.nr_online;
	e->words = json_incref(json_object_get(l->raw_meta, "command"));
	e->name = name_of(l);
	e->command = strdup(l->meta.command);
	e->damaged = load_check(l->path, l->raw_meta, &l->state, &e->damage) != 0;
	return r || (e->name && e->command) ? r : -ENOMEM;
}

static int read_once(struct explained *e, struct err *err)
{
	_cleanup_(load_free_p) struct loaded *l = NULL;
	struct replay_source *source = NULL;
	int r = load_open(e->path, &l, err);

	if (r)
		return r;
	r = load_passes(l, PASS_LOCKS, err);
	if (!r && replay_listen(l->ledger, &source))
		r = err_sys(err, -ENOMEM, "cannot analyse the trace");
	if (!r)
		r = load_run(l, NULL, NULL, err);
	if (!r && take(l, source, e))
		r = err_sys(err, -ENOMEM, "cannot analyse the trace");
	replay_source_free(source);
	return r;
}

static int explain(struct explained *e)
{
	struct facts *f = &e->facts;

	work_stack(&e->work, &e->run, &e->stack);
	f->name = e->name;
	f->run = &e->run;
	f->stack = &e->stack;
	f->single = e->work.lanes == 1;
	f->replay = &e->replay;
	f->coordinator_alone_ns = e->work.alone_ns;
	f->coordinator_alone_wall_ns = e->work.alone_wall_ns;
	return findings_make(f, &e->findings) ?: account_findings(&e->account, &e->findings);
}

int explained_make(const char *path, struct explained *ret, struct err *err)
{
	int r;

	*ret = (struct explained){ .path = path };
	r = read_once(ret, err);
	if (!r && !ret->work.nr)
		r = err_set(
			err, -ENODATA,
			"'%.200s' has no thread that lived in the recording: record a command, or "
			"for longer",
			path);
	r = r ?: experiment_load(&ret->run, path, err);
	if (!r && explain(ret))
		r = err_sys(err, -ENOMEM, "cannot explain the trace");
	if (r)
		explained_free(ret);
	return r;
}

void explained_free(struct explained *e)
{
	findings_free(&e->findings);
	experiment_free(&e->run);
	replay_free(&e->replay);
	work_free(&e->work);
	account_free(&e->account);
	json_decref(e->words);
	free(e->name);
	free(e->command);
	*e = (struct explained){};
}
