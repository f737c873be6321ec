// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale diff: what changed between two traces, or between two groups of them.
 *
 *   whyscale diff A B              one each: no noise is known
 *   whyscale diff A1,A2,A3 B1,B2   several each: a comma separates the files of a side (a file whose name has one may be named
 *                                  alone)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/explained.h"
#include "report/diff.h"

#define FILES_MAX 64 /* on a side */

struct side {
	const char *given;
	char *words; /* `given` in pieces; NULL: it is one name */
	const char *path[FILES_MAX];
	struct account account[FILES_MAX];
	size_t nr;
};

struct options {
	struct side side[2];
	size_t nr;
	bool json;
};

enum option_key { KEY_JSON = 0x100 };

static const struct argp_option option_table[] = {
	{ "json", KEY_JSON, NULL, 0, "show the result as JSON", 0 },
	{},
};

static error_t add_file(struct side *s, struct argp_state *state, const char *path)
{
	if (!*path)
		return cli_refuse(state, "the name of a file in '%.100s' is empty", s->given);
	if (s->nr == FILES_MAX)
		return cli_refuse(state, "more than %d files on one side", FILES_MAX);
	s->path[s->nr++] = path;
	return 0;
}

static error_t add_side(struct options *o, struct argp_state *state, const char *arg)
{
	struct side *s = &o->side[o->nr];
	char *rest, *path;
	error_t r = 0;

	if (o->nr == 2)
		return cli_refuse(
			state,
			"three things to compare, the third is '%.100s': give two; commas "
			"separate the files of one side",
			arg);
	o->nr++;
	s->given = arg;
	if (!strchr(arg, ',') || !access(arg, F_OK))
		return add_file(s, state, arg);
	rest = s->words = strdup(arg);
	if (!rest)
		return ENOMEM;
	while (!r && (path = strsep(&rest, ",")))
		r = add_file(s, state, path);
	return r;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case KEY_JSON:
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return add_side(o, state, arg);
	case ARGP_KEY_END:
		if (o->nr < 2)
			return cli_refuse(
				state,
				"two traces are needed to compare, %zu %s given: whyscale "
				"diff A.data B.data",
				o->nr, o->nr == 1 ? "was" : "were");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "diff",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "A[,A2...] B[,B2...]",
	.doc = "Shows what changed from A to B: class by class, lock by lock, finding by finding. With "
	       "several recordings of each side, separated by commas, it says what is more than their "
	       "noise.",
};

static int read_side(struct side *s, struct err *err)
{
	_cleanup_(free_p) struct explained *e = calloc(1, sizeof(*e));
	int r = e ? 0 : err_sys(err, -ENOMEM, "cannot read the traces");

	for (size_t i = 0; i < s->nr && !r; i++) {
		r = explained_make(s->path[i], e, err);
		if (r)
			break;
		s->account[i] = e->account;
		e->account = (struct account){};
		if (e->damaged)
			cli_note("%s", e->damage.msg);
		explained_free(e);
	}
	return r;
}

static int compare(struct options *o, struct err *err)
{
	struct report_options form = { .width = cli_width(stdout), .colour = cli_colour(stdout) };
	struct diff_side side[2];
	struct diff diff;
	int r = read_side(&o->side[0], err) ?: read_side(&o->side[1], err);

	if (r)
		return r;
	for (int i = 0; i < 2; i++)
		side[i] = (struct diff_side){ .account = o->side[i].account,
					      .path = o->side[i].path,
					      .nr = o->side[i].nr };
	if (diff_make(side[0], side[1], &diff))
		return err_sys(err, -ENOMEM, "cannot compare the traces");
	r = o->json ? diff_json(&diff, stdout, err) : diff_text(&diff, &form, stdout, err);
	diff_free(&diff);
	return r;
}

static int diff_main(int argc, char **argv)
{
	struct options *o = calloc(1, sizeof(*o));
	int status = CLI_SYSTEM_FAULT;
	struct err err = {};

	if (!o)
		return status;
	if (cli_parse(&usage, argc, argv, o, &status)) {
		cli_bound_memory(false);
		status = compare(o, &err) ? cli_fail(&err) : 0;
	}
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < o->side[i].nr; k++)
			account_free(&o->side[i].account[k]);
		free(o->side[i].words);
	}
	free(o);
	return status;
}

const struct cmd cmd_diff = {
	.name = "diff",
	.summary = "what changed between two traces",
	.run = diff_main,
};
