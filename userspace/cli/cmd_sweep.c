// SPDX-License-Identifier: GPL-2.0-only
/* whyscale sweep: the scaling curve of any program, fitted and explained. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/lab.h"
#include "cli/sweep_show.h"
#include "strategy/strategy_args.h"

struct options {
	struct sweep_options lab;
	const char *svg; /* NULL: no picture */
	bool json;
};

enum option_key { KEY_ENV = 0x100, KEY_CPUS, KEY_REPEAT, KEY_KEEP, KEY_JSON, KEY_NO_BPF, KEY_USER };

static const struct argp_option option_table[] = {
	{ NULL, 'n', "N[,N]", 0,
	  "the numbers of workers to measure, e.g. 1,2,4,8; default: 1, 2, 4 ... up to the CPUs",
	  0 },
	{ "repeat", KEY_REPEAT, "N", 0,
	  "run each N times, in turns; show the median and the spread", 0 },
	{ "env", KEY_ENV, "NAME", 0, "set this environment variable to n, e.g. OMP_NUM_THREADS",
	  0 },
	{ "cpus", KEY_CPUS, NULL, 0, "let the command use n CPUs", 0 },
	{ "output", 'o', "FILE.svg", 0, "draw the curve into this file", 0 },
	{ "keep", KEY_KEEP, "DIR", 0, "keep the traces there, as nN-ROUND.data", 0 },
	{ "json", KEY_JSON, NULL, 0, "show the result as JSON", 0 },
	{ "user", KEY_USER, "NAME", 0, "run the command as this user", 0 },
	{ "no-bpf", KEY_NO_BPF, NULL, 0, "only counters and /proc, as without privilege", 0 },
	{},
};

static error_t parse_env(struct sweep_options *o, struct argp_state *state, const char *name)
{
	bool good = isalpha((unsigned char)*name) || *name == '_';

	for (const char *c = name; *c; c++)
		good &= isalnum((unsigned char)*c) || *c == '_';
	if (!good)
		return cli_refuse(state,
				  "'%.64s' is no name of an environment variable: give one such as "
				  "OMP_NUM_THREADS",
				  name);
	o->env = name;
	return 0;
}

/* The whole, once all options are known. */
static error_t check(struct options *o, struct argp_state *state)
{
	struct sweep_options *lab = &o->lab;
	unsigned int cpus = strategy_default_workers();

	if (!lab->argv)
		return cli_refuse(
			state,
			"nothing to run: give a command, with {n} for the number of workers");
	if (!*lab->argv[0])
		return cli_refuse(state, "the command's name is empty");
	if (!sweep_has_placeholder(lab->argv) && !lab->env && !lab->cpus)
		return cli_refuse(
			state,
			"every point would be the same: put {n} into the command, or give --env NAME, or "
			"--cpus");
	for (unsigned int n = 1; !lab->nr || (n <= cpus && n && lab->n[lab->nr - 1] < n); n *= 2)
		lab->n[lab->nr++] = n;
	if (lab->cpus && lab->n[lab->nr - 1] > cpus)
		return cli_refuse(state,
				  "--cpus: %u CPUs were asked for, and there are %u to be used",
				  lab->n[lab->nr - 1], cpus);
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct err err = {};

	switch (key) {
	case 'n':
		return sweep_parse_numbers(arg, o->lab.n, &o->lab.nr, &err) ?
			       cli_refuse_err(state, &err) :
			       0;
	case KEY_REPEAT:
		return lab_parse_repeats(state, arg, &o->lab.repeats);
	case KEY_ENV:
		return parse_env(&o->lab, state, arg);
	case KEY_CPUS:
		o->lab.cpus = true;
		return 0;
	case 'o':
		return lab_parse_output(state, arg, &o->svg);
	case KEY_KEEP:
		o->lab.keep = arg;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_USER:
		o->lab.user = arg;
		return 0;
	case KEY_NO_BPF:
		o->lab.no_bpf = true;
		return 0;
	case ARGP_KEY_ARG:
		o->lab.argv = state->argv + cli_end_options(state);
		return 0;
	case ARGP_KEY_END:
		return check(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "sweep",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[--] COMMAND [ARG...]",
	.doc = "Runs a command with 1, 2, 4 ... workers, {n} in its words becoming the number, and explains how it scales.",
	.in_order = true,
};

static void show_progress(unsigned int n, unsigned int round, unsigned int rounds)
{
	if (rounds > 1)
		fprintf(stderr, "\r\033[Kwhyscale: round %u of %u: n=%u", round, rounds, n);
	else
		fprintf(stderr, "\r\033[Kwhyscale: n=%u", n);
	fflush(stderr);
}

/* ---- the result ---- */

static const char *how(const struct options *o, char *buf, size_t size)
{
	bool words = sweep_has_placeholder(o->lab.argv);

	snprintf(buf, size, "%s%s%s%s%s%s", words ? "{n} in the command" : "",
		 words && o->lab.env ? ", " : "", o->lab.env ? "the variable " : "",
		 o->lab.env ? o->lab.env : "", (words || o->lab.env) && o->lab.cpus ? ", " : "",
		 o->lab.cpus ? "the CPUs that the command may use" : "");
	return buf;
}

static int show(const struct options *o, const struct sweep_result *result,
		struct sweep_picture *picture, struct err *err)
{
	char words[160];
	json_t *json = NULL;
	int r = sweep_show(&o->lab, result, how(o, words, sizeof(words)), picture,
			   o->json ? &json : NULL, err);

	if (!r && json && !cli_print_json(json))
		r = err_set(err, -EIO, "cannot write the result");
	json_decref(json);
	return r;
}

static int measure(struct options *o, struct sweep_result *result, struct err *err)
{
	bool terminal = isatty(STDERR_FILENO);
	int r;

	o->lab.progress = terminal ? show_progress : NULL;
	r = sweep_lab_run(&o->lab, result, err);
	if (terminal)
		fprintf(stderr, "\r\033[K");
	return r;
}

static int run(struct options *o, struct sweep_result *result)
{
	struct sweep_picture picture;
	struct err err = {};
	int r = sweep_picture_begin(&picture, o->svg, &err);

	r = r ?: measure(o, result, &err);
	r = r ?: show(o, result, &picture, &err);
	sweep_picture_end(&picture);
	if (r) {
		int status = cli_fail(&err);

		return result->exit_status == 126 || result->exit_status == 127 ?
			       result->exit_status :
			       status;
	}
	return result->interrupted ? 130 : result->exit_status;
}

static int sweep_main(int argc, char **argv)
{
	struct options o = { .lab = { .repeats = 1 } };
	struct sweep_result result = {};
	int status;

	if (cli_parse(&usage, argc, argv, &o, &status))
		status = run(&o, &result);
	sweep_free(&result.sweep);
	return status;
}

const struct cmd cmd_sweep = {
	.name = "sweep",
	.summary = "the scaling curve of any program, fitted and explained",
	.run = sweep_main,
};
