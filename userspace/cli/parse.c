// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options by argp, complaints by us: see cli.h.
 *
 * With ARGP_NO_ERRS, argp says nothing and calls the parser with ARGP_KEY_ERROR; what it did not like is the
 * argument before state->next, or at it when a cluster of short options (-abc) was left in its middle.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#define KEY_HELP 0x7001

struct parse {
	const struct cli_options *spec;
	const struct argp *argp;
	void *input;
	bool helped;
	char msg[sizeof(((struct err *)NULL)->msg)]; /* the first complaint */
};

error_t cli_refuse(struct argp_state *state, const char *fmt, ...)
{
	struct parse *parse = state->hook;
	va_list ap;

	if (!*parse->msg) {
		va_start(ap, fmt);
		vsnprintf(parse->msg, sizeof(parse->msg), fmt, ap);
		va_end(ap);
	}
	return EINVAL;
}

error_t cli_refuse_err(struct argp_state *state, const struct err *err)
{
	return cli_refuse(state, "%s", err->msg);
}

int cli_end_options(struct argp_state *state)
{
	int first = state->next - 1;

	state->next = state->argc;
	return first;
}

error_t cli_one_file(struct argp_state *state, const char **file, const char *arg)
{
	if (*file)
		return cli_refuse(state, "two files to read, '%.100s' and '%.100s': name one",
				  *file, arg);
	if (!*arg)
		return cli_refuse(state, "the name of the file to read is empty");
	*file = arg;
	return 0;
}

/* How many long options begin with the name; *ret_option is the exact one, or the last that matched. */
static int find_long(const struct argp_option *options, const char *name, size_t len,
		     const struct argp_option **ret_option)
{
	int found = 0;

	for (const struct argp_option *o = options; o->name || o->key || o->doc; o++) {
		if (!o->name || strncmp(o->name, name, len) != 0)
			continue;
		*ret_option = o;
		if (!o->name[len])
			return 1;
		found++;
	}
	return found;
}

static bool explain_long(const struct parse *parse, const char *arg, char *msg, size_t size)
{
	const struct argp_option *option = NULL;
	size_t len = strcspn(arg, "=");
	int found = find_long(parse->argp->options, arg + 2, len - 2, &option);
	int n = (int)(len < 64 ? len : 64);

	if (!found)
		snprintf(msg, size, "unknown option '%.*s'", n, arg);
	else if (found > 1)
		snprintf(msg, size, "the option '%.*s' is ambiguous", n, arg);
	else if (arg[len] && !option->arg)
		snprintf(msg, size, "the option '%.*s' takes no value", n, arg);
	else if (!arg[len] && option->arg)
		snprintf(msg, size, "the option '%.*s' needs a value (%s)", n, arg, option->arg);
	else
		return false;
	return true;
}

static bool explain_short(const struct parse *parse, const char *arg, char *msg, size_t size)
{
	for (const char *c = arg + 1; *c; c++) {
		const struct argp_option *o = parse->argp->options;

		while ((o->name || o->key || o->doc) && o->key != *c)
			o++;
		if (o->key != *c) {
			snprintf(msg, size, "unknown option '-%c'", *c);
			return true;
		}
		if (!o->arg)
			continue;
		if (!c[1])
			snprintf(msg, size, "the option '-%c' needs a value (%s)", *c, o->arg);
		return !c[1];
	}
	return false;
}

/* Says what is wrong with one argument, if it is an option and something is. */
static bool explain(const struct parse *parse, const char *arg, char *msg, size_t size)
{
	if (!arg || arg[0] != '-' || !arg[1])
		return false;
	if (arg[1] == '-')
		return arg[2] && explain_long(parse, arg, msg, size);
	return explain_short(parse, arg, msg, size);
}

static error_t complain(struct parse *parse, const struct argp_state *state)
{
	int at = state->next;

	if (*parse->msg)
		return 0;
	if ((at > 1 && explain(parse, state->argv[at - 1], parse->msg, sizeof(parse->msg))) ||
	    (at < state->argc && explain(parse, state->argv[at], parse->msg, sizeof(parse->msg))))
		return 0;
	snprintf(parse->msg, sizeof(parse->msg), "bad usage");
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	error_t result;

	switch (key) {
	case KEY_HELP:
		argp_help(parse->argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK,
			  state->name);
		parse->helped = true;
		return ECANCELED;
	case ARGP_KEY_ERROR:
		return complain(parse, state);
	default:
		state->hook = parse;
		state->input = parse->input;
		result = parse->spec->parser(key, arg, state);
		state->input = parse;
		return result;
	}
}

/* The options of the sub-command, --help and the end; the caller's to free. */
static struct argp_option *with_help(const struct argp_option *options)
{
	struct argp_option *all;
	size_t nr = 0;

	while (options[nr].name || options[nr].key || options[nr].doc)
		nr++;
	all = calloc(nr + 2, sizeof(*all));
	if (!all)
		return NULL;
	memcpy(all, options, nr * sizeof(*all));
	all[nr] = (struct argp_option){ "help", KEY_HELP, NULL, 0, "show this help", -1 };
	return all;
}

bool cli_parse(const struct cli_options *spec, int argc, char **argv, void *input, int *ret_status)
{
	_cleanup_(free_p) struct argp_option *options = with_help(spec->options);
	struct argp argp = { options, parse_option, spec->args_doc, spec->doc, NULL, NULL, NULL };
	struct parse parse = { .spec = spec, .argp = &argp, .input = input };
	unsigned int flags = ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP;
	char name[64];

	snprintf(name, sizeof(name), "whyscale %s", spec->command);
	argv[0] = name;
	*ret_status = CLI_SYSTEM_FAULT;
	if (!options) {
		cli_note("out of memory");
		return false;
	}
	if (!argp_parse(&argp, argc, argv, flags | (spec->in_order ? ARGP_IN_ORDER : 0), NULL,
			&parse))
		return true;
	*ret_status = parse.helped ? 0 : CLI_BAD_INPUT;
	if (!parse.helped)
		cli_note("%s; see 'whyscale %s --help'", *parse.msg ? parse.msg : "bad usage",
			 spec->command);
	return false;
}
