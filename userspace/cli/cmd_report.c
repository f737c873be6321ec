// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale report: a trace in, tables or JSON out. The output forms are report/'s; each is an option here by its own name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/load.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "report/report.h"

#define FORMS_MAX 16
#define KEY_FORM 0x200 /* and above: the form of that index */

struct options {
	const char *file;
	const struct report_form *forms[FORMS_MAX + 1];
	bool wanted[FORMS_MAX], kernel_addresses;
	struct report_options report;
};

enum option_key {
	KEY_THREADS = 0x100,
	KEY_ALL,
	KEY_NO_LEGEND,
	KEY_KERNEL_ADDRESSES,
};

static const struct argp_option common[] = {
	{ "input", 'i', "FILE", 0, "the trace to read; default: " CLI_DEFAULT_FILE, 2 },
	{ "threads", KEY_THREADS, "N", 0, "at most so many rows of threads; default: 40", 2 },
	{ "all", KEY_ALL, NULL, 0, "a row for every thread", 2 },
	{ "no-legend", KEY_NO_LEGEND, NULL, 0, "without the lines that explain the words", 2 },
	{ "kernel-addresses", KEY_KERNEL_ADDRESSES, NULL, 0,
	  "kernel locks by their address; default: by a number, as addresses help attackers", 2 },
};

#define NR_COMMON (sizeof(common) / sizeof(common[0]))

/* The options: one for each form, then the common ones. */
static void make_options(struct argp_option *table)
{
	size_t n = 0;

	for (size_t i = 0; i < FORMS_MAX && report_forms[i]; i++)
		table[n++] = (struct argp_option){
			report_forms[i]->name, KEY_FORM + (int)i, NULL, 0, report_forms[i]->help, 1
		};
	memcpy(table + n, common, sizeof(common));
	table[n + NR_COMMON] = (struct argp_option){};
}

/* The forms that were asked for, in the order of the table. */
static error_t choose_forms(struct options *o, struct argp_state *state)
{
	const struct report_form *alone = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < FORMS_MAX && report_forms[i]; i++) {
		if (!o->wanted[i])
			continue;
		if (report_forms[i]->alone)
			alone = report_forms[i];
		o->forms[nr++] = report_forms[i];
	}
	if (!nr)
		o->forms[nr++] = report_form_by_name("table");
	if (alone && nr > 1)
		return cli_refuse(state, "--%s holds everything already: leave out the other form",
				  alone->name);
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	uint64_t number;

	if (key >= KEY_FORM && key < KEY_FORM + FORMS_MAX) {
		o->wanted[key - KEY_FORM] = true;
		return 0;
	}
	switch (key) {
	case 'i':
	case ARGP_KEY_ARG:
		return cli_one_file(state, &o->file, arg);
	case KEY_THREADS:
		if (!cli_number(arg, 1, 1u << 30, &number))
			return cli_refuse(state, "'%.40s' is no number of threads: give 1 or more",
					  arg);
		o->report.max_threads = number;
		return 0;
	case KEY_ALL:
		o->report.max_threads = SIZE_MAX;
		return 0;
	case KEY_NO_LEGEND:
		o->report.no_legend = true;
		return 0;
	case KEY_KERNEL_ADDRESSES:
		o->kernel_addresses = true;
		return 0;
	case ARGP_KEY_END:
		return choose_forms(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int load(const struct options *o, struct loaded **ret_loaded, struct err *err)
{
	unsigned int passes = 0;
	int r = load_open(o->file ?: CLI_DEFAULT_FILE, ret_loaded, err);

	for (size_t i = 0; o->forms[i]; i++)
		passes |= o->forms[i]->passes;
	if (!r)
		r = load_passes(*ret_loaded, passes, err);
	if (r)
		return r;
	(*ret_loaded)->kernel_addresses = o->kernel_addresses;
	return load_run(*ret_loaded, NULL, NULL, err);
}

static int report(const struct options *o)
{
	struct loaded *loaded = NULL;
	struct err err = {};
	int r = load(o, &loaded, &err);

	if (!r)
		r = report_print(loaded, o->forms, &o->report, stdout, &err);
	if (!r)
		r = load_check(loaded->path, loaded->raw_meta, &loaded->state, &err);
	load_free(loaded);
	return r ? cli_fail(&err) : 0;
}

static int report_main(int argc, char **argv)
{
	struct argp_option table[FORMS_MAX + NR_COMMON + 1];
	struct options o = { .report = { .max_threads = REPORT_THREADS_DEFAULT } };
	const struct cli_options usage = {
		.command = "report",
		.options = table,
		.parser = parse_option,
		.args_doc = "[FILE]",
		.doc = "Shows where the time of every thread went, and checks it against the "
		       "kernel's own counts.",
	};
	int status;

	make_options(table);
	if (!cli_parse(&usage, argc, argv, &o, &status))
		return status;
	cli_bound_memory(false);
	o.report.width = cli_width(stdout);
	o.report.colour = cli_colour(stdout);
	return report(&o);
}

const struct cmd cmd_report = {
	.name = "report",
	.summary = "where the time of every thread went",
	.run = report_main,
};
