// SPDX-License-Identifier: GPL-2.0-only
/* whyscale explain: the findings of any trace, the largest loss first; with --verify, predictions put to the test. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/explained.h"
#include "cli/verify.h"
#include "report/explain_report.h"

struct options {
	const char *file;
	size_t top;
	bool json, no_legend, verify;
	struct verify_options trials;
};

enum option_key { KEY_JSON = 0x100, KEY_TOP, KEY_NO_LEGEND, KEY_VERIFY, KEY_FEWER, KEY_PROCESSES };

static const struct argp_option option_table[] = {
	{ "input", 'i', "FILE", 0, "the trace to read; default: " CLI_DEFAULT_FILE, 0 },
	{ "top", KEY_TOP, "N", 0, "at most so many findings; default: all", 0 },
	{ "verify", KEY_VERIFY, "NAME[,NAME]", OPTION_ARG_OPTIONAL,
	  "run the recorded command again, as it was and with one CPU less or more (fewer-cpus, more-cpus), each "
	  "thread pinned (pin), a higher priority (nice, chrt), another switch interval of Python (interval), "
	  "processes instead of threads (processes), fewer workers (workers), and compare with what was predicted; default: all that can tell something",
	  0 },
	{ "fewer", KEY_FEWER, "WORD", 0,
	  "for --verify: where the command is told its number of workers, as a word with {n} (-T{n}) or a "
	  "variable (OMP_NUM_THREADS={n})",
	  0 },
	{ "processes", KEY_PROCESSES, "COMMAND", 0,
	  "for --verify: what does the same work with processes instead of threads; a shell runs it",
	  0 },
	{ "json", KEY_JSON, NULL, 0, "show the result as JSON", 0 },
	{ "no-legend", KEY_NO_LEGEND, NULL, 0, "without the lines that explain the words", 0 },
	{},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct err err = {};
	uint64_t number;

	switch (key) {
	case 'i':
	case ARGP_KEY_ARG:
		return cli_one_file(state, &o->file, arg);
	case KEY_TOP:
		if (!cli_number(arg, 1, 1000, &number))
			return cli_refuse(state, "'%.40s' is no number of findings: give 1 to 1000",
					  arg);
		o->top = number;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_VERIFY:
		o->verify = true;
		o->trials.names = arg;
		return verify_check_names(arg, &err) ? cli_refuse_err(state, &err) : 0;
	case KEY_FEWER:
		if (!strstr(arg, "{n}"))
			return cli_refuse(state,
					  "--fewer: '%.60s' has no {n} for the number of workers: "
					  "give a word such as -T{n}, or OMP_NUM_THREADS={n}",
					  arg);
		o->trials.fewer = arg;
		return 0;
	case KEY_PROCESSES:
		if (!*arg)
			return cli_refuse(state, "--processes: the command is empty");
		o->trials.processes = arg;
		return 0;
	case KEY_NO_LEGEND:
		o->no_legend = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "explain",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[FILE]",
	.doc = "Says where the time of the threads that work was lost, the largest loss first, with the "
	       "evidence, what would help, and how much faster the run could be without it.",
};

static int show(const struct options *o, const struct explained *e, struct err *err)
{
	struct report_options form = { .width = cli_width(stdout),
				       .colour = cli_colour(stdout),
				       .no_legend = o->no_legend };
	struct explain_report report = {
		.path = e->path,
		.command = e->command,
		.facts = &e->facts,
		.work = &e->work,
		.findings = &e->findings,
		.top = o->top,
	};

	struct verified v = {};
	int r = 0;

	if (o->verify) {
		cli_bound_memory(true);
		r = verify_trace(e, &o->trials, &v, err);
	}

	if (r)
		return r;
	if (o->json)
		return explain_report_json(&report, o->verify ? verified_json(&v) : NULL, stdout,
					   err);
	r = explain_report_text(&report, &form, stdout, err);
	if (!r && o->verify) {
		fputc('\n', stdout);
		verified_text(&v, form.width, stdout);
	}
	return r;
}

static int explain_main(int argc, char **argv)
{
	_cleanup_(free_p) struct explained *e = calloc(1, sizeof(*e));
	struct options o = { .top = SIZE_MAX };
	struct err err = {};
	int status, r;

	if (!e)
		return CLI_SYSTEM_FAULT;
	if (!cli_parse(&usage, argc, argv, &o, &status))
		return status;
	cli_bound_memory(false);
	r = explained_make(o.file ?: CLI_DEFAULT_FILE, e, &err);
	if (!r)
		r = show(&o, e, &err);
	if (!r && e->damaged) {
		err = e->damage;
		r = err.code;
	}
	explained_free(e);
	return r ? cli_fail(&err) : 0;
}

const struct cmd cmd_explain = {
	.name = "explain",
	.summary = "what was lost to which cause, and what would help",
	.run = explain_main,
};
