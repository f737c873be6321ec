// SPDX-License-Identifier: GPL-2.0-only
/* whyscale run: the counting strategies, recorded, compared and explained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/lab.h"
#include "cli/run_lab.h"
#include "cli/run_sweep.h"
#include "cli/verify.h"
#include "strategy/strategy_args.h"

struct options {
	struct lab_options lab;
	unsigned int n[SWEEP_POINTS_MAX]; /* --workers 1,2,4: the curves over these */
	size_t nr;                        /* 0: no list */
	const char *svg;                  /* and a picture of each; NULL: none */
	bool json, named, verify;
};

enum option_key {
	KEY_PYTHON = 0x100,
	KEY_FULL,
	KEY_REPEAT,
	KEY_KEEP,
	KEY_JSON,
	KEY_NO_BPF,
	KEY_VERIFY,
};

static const struct argp_option option_table[] = {
	{ "count", 'n', "N", 0, "what to count to, 1 to 2^62", 0 },
	{ "workers", 'w', "N[,N]", 0,
	  "threads or processes; default: the CPUs available; several, such as 1,2,4: the scaling curves",
	  0 },
	{ "python", KEY_PYTHON, "PATH", 0, "the interpreter; default: " STRATEGY_PYTHON_DEFAULT,
	  0 },
	{ "full", KEY_FULL, NULL, 0, "the article's counts: 2000000000 in C, 200000000 in Python",
	  0 },
	{ "repeat", KEY_REPEAT, "N", 0,
	  "run each N times, in turns; show the median and the spread", 0 },
	{ "keep", KEY_KEEP, "DIR", 0,
	  "keep the traces there, as STRATEGY.data; of scaling curves as STRATEGY/nN-ROUND.data",
	  0 },
	{ "output", 'o', "FILE.svg", 0,
	  "draw the scaling curve into this file; of several strategies as FILE-STRATEGY.svg", 0 },
	{ "json", KEY_JSON, NULL, 0, "show the result as JSON", 0 },
	{ "verify", KEY_VERIFY, NULL, 0,
	  "put predictions to the test: threads without the GIL against processes; another switch interval and fewer workers "
	  "by running again what lost to the GIL, or to having more workers than CPUs",
	  0 },
	{ "no-bpf", KEY_NO_BPF, NULL, 0, "only counters and /proc, as without privilege", 0 },
	{},
};

static error_t add_strategy(struct lab_options *o, struct argp_state *state, const char *arg)
{
	struct err err = {};
	const struct strategy *strategy = strategy_find(arg, &err);

	if (!strategy)
		return cli_refuse_err(state, &err);
	for (size_t i = 0; i < o->nr; i++)
		if (o->strategy[i] == strategy)
			return cli_refuse(state,
					  "'%.64s' is named twice: name it once, and use --repeat",
					  arg);
	if (o->nr == LAB_MAX / 2)
		return cli_refuse(state, "more than %d strategies at once", LAB_MAX / 2);
	o->strategy[o->nr++] = strategy;
	return 0;
}

static error_t parse_workers(struct options *o, struct argp_state *state, const char *arg)
{
	struct err err = {};
	int r;

	o->nr = 0;
	if (strchr(arg, ','))
		r = sweep_parse_numbers(arg, o->n, &o->nr, &err);
	else
		r = strategy_parse_workers(arg, &o->lab.workers, &err);
	return r ? cli_refuse_err(state, &err) : 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct err err = {};

	switch (key) {
	case 'w':
		return parse_workers(o, state, arg);
	case 'n':
		return strategy_parse_count(arg, &o->lab.count, &err) ?
			       cli_refuse_err(state, &err) :
			       0;
	case KEY_REPEAT:
		return lab_parse_repeats(state, arg, &o->lab.repeats);
	case 'o':
		return lab_parse_output(state, arg, &o->svg);
	case KEY_PYTHON:
		o->lab.python = arg;
		return 0;
	case KEY_FULL:
		o->lab.full = true;
		return 0;
	case KEY_KEEP:
		o->lab.keep = arg;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_VERIFY:
		o->verify = true;
		return 0;
	case KEY_NO_BPF:
		o->lab.no_bpf = true;
		return 0;
	case ARGP_KEY_ARG:
		o->named = true;
		return add_strategy(&o->lab, state, arg);
	case ARGP_KEY_END:
		if (o->verify && o->nr)
			return cli_refuse(state,
					  "--verify goes with one number of workers: leave out "
					  "the list, or --verify");
		if (o->svg && !o->nr)
			return cli_refuse(state, "-o draws scaling curves: give several numbers of "
						 "workers, such as --workers 1,2,4");
		for (size_t i = 0; !state->arg_num && strategy_at(i); i++)
			o->lab.strategy[o->lab.nr++] = strategy_at(i);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "run",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[STRATEGY...]",
	.doc = "Counts to the same number in several ways, records each, and explains why it does or does not scale.",
};

static void show_progress(const char *name, unsigned int round, unsigned int rounds)
{
	if (rounds > 1)
		fprintf(stderr, "\r\033[Kwhyscale: round %u of %u: %s", round, rounds, name);
	else
		fprintf(stderr, "\r\033[Kwhyscale: %s", name);
	fflush(stderr);
}

static int show(const struct options *o, const struct lab *lab, struct err *err)
{
	struct report_options options = { .width = cli_width(stdout),
					  .colour = cli_colour(stdout) };
	struct utsname uts;
	struct run_report report = {
		.entry = lab->entry,
		/* people see the baselines too that were measured for the ones they asked for */
		.nr = o->json ? lab->nr_asked : lab->nr,
		.repeats = o->lab.repeats,
		.cpus = strategy_default_workers(),
		.bpf = lab->bpf,
		.calibrated = lab->calibrated,
		.why_not = lab->why_not,
	};

	struct verified v = {};
	int r = o->verify ? verify_run(lab, &o->lab, &v, err) : 0;

	if (r)
		return r;
	report.verified = o->verify && o->json ? verified_json(&v) : NULL;
	uname(&uts);
	report.kernel = uts.release;
	report.arch = uts.machine;
	r = o->json ? run_report_json(&report, stdout, err) :
		      run_report_table(&report, &options, stdout, err);
	if (!r && o->verify && !o->json)
		verified_text(&v, options.width, stdout);
	return r;
}

static int run(struct options *o, struct lab *lab)
{
	bool terminal = isatty(STDERR_FILENO);
	struct err err = {};
	int r;

	o->lab.progress = terminal ? show_progress : NULL;
	r = lab_run(&o->lab, lab, &err);
	if (terminal)
		fprintf(stderr, "\r\033[K");
	if (!r)
		r = show(o, lab, &err);
	if (r)
		return cli_fail(&err);
	if (lab->interrupted)
		return 130;
	return lab->failed ? CLI_SYSTEM_FAULT : 0;
}

static int run_main(int argc, char **argv)
{
	struct options *o = calloc(1, sizeof(*o));
	struct lab *lab = calloc(1, sizeof(*lab));
	int status = CLI_SYSTEM_FAULT;

	if (o && lab) {
		struct run_sweep_options sweep;

		o->lab.repeats = 1;
		if (cli_parse(&usage, argc, argv, o, &status)) {
			sweep = (struct run_sweep_options){ o->n, o->nr, o->svg, o->named,
							    o->json };
			status = o->nr ? run_sweep(&o->lab, &sweep) : run(o, lab);
		}
		lab_free(lab);
	}
	free(lab);
	free(o);
	return status;
}

const struct cmd cmd_run = {
	.name = "run",
	.summary = "the counting strategies, compared and explained",
	.run = run_main,
};
