// SPDX-License-Identifier: GPL-2.0-only
/* whyscale flame: stacks in, a flame graph or folded stacks out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/flame_diff.h"
#include "analysis/flame_view.h"
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/flame_source.h"
#include "record/output.h"
#include "report/flame_svg.h"
#include "report/folded.h"

#define DEFAULT_OUTPUT "flame.svg"

struct options {
	const char *file, *out, *title;
	const char *diff;      /* the file before; `file` is the one after */
	const char *folded_in; /* --from-folded's file, which is `file` then */
	bool folded, unit_given, normalize;
	struct flame_source_options source;
	struct flame_svg svg;
};

enum option_key {
	KEY_ON = 0x100,
	KEY_OFF,
	KEY_WAKE,
	KEY_LOCK,
	KEY_FOLDED,
	KEY_FROM_FOLDED,
	KEY_DIFF,
	KEY_NORMALIZE,
	KEY_INVERTED,
	KEY_REVERSE,
	KEY_THREADS,
	KEY_SORT,
	KEY_TITLE,
	KEY_WIDTH,
	KEY_UNIT,
	KEY_INLINE,
	KEY_PYTHON,
	KEY_LINES,
};

static const struct argp_option option_table[] = {
	{ "input", 'i', "FILE", 0, "the trace to read; default: " CLI_DEFAULT_FILE, 1 },
	{ "on", KEY_ON, NULL, 0, "time on a CPU, by samples; the default if there are any", 1 },
	{ "off", KEY_OFF, NULL, 0, "time off the CPUs: where threads waited, and for what", 1 },
	{ "wake", KEY_WAKE, NULL, 0, "the same, with who woke them", 1 },
	{ "lock", KEY_LOCK, NULL, 0, "waiting for locks, by lock and holder", 1 },
	{ "inline", KEY_INLINE, NULL, 0, "inlined functions as frames of their own", 1 },
	{ "python", KEY_PYTHON, NULL, 0, "Python functions instead of the interpreter's", 1 },
	{ "lines", KEY_LINES, NULL, 0, "with the line that was executed", 1 },
	{ "from-folded", KEY_FROM_FOLDED, "FILE", 0,
	  "draw folded stacks instead of a trace; '-' is standard input", 2 },
	{ "unit", KEY_UNIT, "UNIT", 0,
	  "of a folded file's numbers: samples (default), ns, us, ms, s", 2 },
	{ "diff", KEY_DIFF, "A B", 0,
	  "draw B, coloured by what changed since A; each a trace or folded stacks", 2 },
	{ "normalize", KEY_NORMALIZE, NULL, 0,
	  "with --diff: scale A to the total of B, as of runs of different lengths", 2 },
	{ "output", 'o', "FILE", 0,
	  "where to: NAME.svg or NAME.html, '-' is standard output; default: " DEFAULT_OUTPUT, 3 },
	{ "folded", KEY_FOLDED, NULL, 0,
	  "write folded stacks instead, to standard output or to -o FILE", 3 },
	{ "inverted", KEY_INVERTED, NULL, 0, "the root on top (an icicle graph)", 3 },
	{ "reverse", KEY_REVERSE, NULL, 0, "from the innermost frame to its callers", 3 },
	{ "threads", KEY_THREADS, NULL, 0, "each thread apart", 3 },
	{ "sort", KEY_SORT, "BY", 0, "frames beside each other by name (default) or by value", 3 },
	{ "title", KEY_TITLE, "TEXT", 0, "above the graph", 3 },
	{ "width", KEY_WIDTH, "PIXELS", 0, "default: as wide as the window", 3 },
	{},
};

static error_t set_mode(struct options *o, enum calls_mode mode, struct argp_state *state)
{
	if (!o->source.any_mode && o->source.calls.mode != mode)
		return cli_refuse(state, "one graph shows one kind of stacks: give only one of "
					 "--on, --off, --wake and --lock");
	o->source.any_mode = false;
	o->source.calls.mode = mode;
	return 0;
}

/* The file to read; with --diff A B, argp takes A for the option's value and B for the bare FILE. */
static error_t set_file(struct options *o, const char *arg, struct argp_state *state)
{
	if (o->folded_in)
		return cli_refuse(state, "'%.200s': there is a file already, by --from-folded",
				  arg);
	return cli_one_file(state, &o->file, arg);
}

static error_t set_folded(struct options *o, const char *arg, struct argp_state *state)
{
	if (o->file)
		return cli_refuse(state,
				  "--from-folded reads a file of its own: leave out '%.200s'",
				  o->file);
	o->folded_in = o->file = arg;
	return 0;
}

static error_t set_unit(struct options *o, const char *arg, struct argp_state *state)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "samples", 0 },
		      { "ns", 1 },
		      { "us", 1000 },
		      { "ms", 1000000 },
		      { "s", 1000000000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(arg, units[i].name)) {
			o->source.unit = units[i].ns;
			o->unit_given = true;
			return 0;
		}
	return cli_refuse(state, "there is no unit '%.40s': give samples, ns, us, ms or s", arg);
}

static error_t set_sort(struct options *o, const char *arg, struct argp_state *state)
{
	o->svg.by_value = !strcmp(arg, "value");
	if (o->svg.by_value || !strcmp(arg, "name"))
		return 0;
	return cli_refuse(state, "frames cannot be sorted by '%.40s': give name or value", arg);
}

static error_t set_width(struct options *o, const char *arg, struct argp_state *state)
{
	uint64_t width;

	if (!cli_number(arg, FLAME_WIDTH_MIN, FLAME_WIDTH_MAX, &width))
		return cli_refuse(state, "'%.40s' is no width: give %d to %d pixels", arg,
				  FLAME_WIDTH_MIN, FLAME_WIDTH_MAX);
	o->svg.width = (unsigned int)width;
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* What can be said only when all options are known. */
static error_t check_options(struct options *o, struct argp_state *state)
{
	if (o->diff && !o->file)
		return cli_refuse(state, "--diff compares two files: give --diff A B");
	if (o->normalize && !o->diff)
		return cli_refuse(state, "--normalize is for a comparison: add --diff A B");
	if (o->diff && o->folded)
		return cli_refuse(state, "--diff is drawn: leave out --folded");
	if (o->folded_in && (!o->source.any_mode || o->source.calls.inlined ||
			     o->source.calls.python || o->source.calls.lines))
		return cli_refuse(state,
				  "folded stacks are drawn as they are: --on, --off, --wake, "
				  "--lock, --inline, --python and --lines need a trace");
	if (o->unit_given && !o->folded_in && !o->diff)
		return cli_refuse(state, "--unit is for folded stacks: a trace has times");
	if (!o->out)
		o->out = o->folded ? "-" : DEFAULT_OUTPUT;
	o->svg.html = ends_with(o->out, ".html") || ends_with(o->out, ".htm");
	if (!o->folded && !o->svg.html && !ends_with(o->out, ".svg") && strcmp(o->out, "-") != 0)
		return cli_refuse(state, "'%.200s': a graph's file is called NAME.svg or NAME.html",
				  o->out);
	return 0;
}

/* What an option without a value sets, NULL for others. */
static bool *flag_of(struct options *o, int key)
{
	switch (key) {
	case KEY_INLINE:
		return &o->source.calls.inlined;
	case KEY_PYTHON:
		return &o->source.calls.python;
	case KEY_LINES:
		return &o->source.calls.lines;
	case KEY_FOLDED:
		return &o->folded;
	case KEY_INVERTED:
		return &o->svg.inverted;
	case KEY_REVERSE:
		return &o->svg.reversed;
	case KEY_THREADS:
		return &o->svg.per_thread;
	default:
		return NULL;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	bool *flag = flag_of(o, key);

	if (flag) {
		*flag = true;
		return 0;
	}
	switch (key) {
	case 'i':
	case ARGP_KEY_ARG:
		return set_file(o, arg, state);
	case KEY_FROM_FOLDED:
		return set_folded(o, arg, state);
	case KEY_ON:
	case KEY_OFF:
	case KEY_WAKE:
	case KEY_LOCK:
		return set_mode(o, CALLS_ON + (unsigned int)(key - KEY_ON), state);
	case KEY_DIFF:
		o->diff = arg;
		return 0;
	case KEY_NORMALIZE:
		o->normalize = true;
		return 0;
	case 'o':
		o->out = arg;
		return 0;
	case KEY_SORT:
		return set_sort(o, arg, state);
	case KEY_TITLE:
		o->title = arg;
		return 0;
	case KEY_WIDTH:
		return set_width(o, arg, state);
	case KEY_UNIT:
		return set_unit(o, arg, state);
	case ARGP_KEY_END:
		return check_options(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "flame",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[FILE]",
	.doc = "Draws the stacks of a trace (record -g) as a flame graph, one file that a browser "
	       "opens.",
};

static int read_source(const char *path, struct options *o, struct flame_source *ret,
		       struct err *err)
{
	if (o->folded_in || (o->diff && !flame_source_is_trace(path)))
		return flame_source_folded(path, &o->source, ret, err);
	return flame_source_trace(path, &o->source, ret, err);
}

/* Opens what the graph is compared with and joins it to the tree. */
static int compare(struct options *o, struct flame_source *after, struct err *err)
{
	struct flame_source before = {};
	int r;

	o->source.any_mode = false; /* the same as of the other one */
	r = read_source(o->diff, o, &before, err);
	if (!r && before.is_trace != after->is_trace && !o->source.unit)
		r = err_set(err, -EINVAL,
			    "one of '%.150s' and '%.150s' is in time and the other in samples: say "
			    "what with --unit",
			    o->diff, o->file);
	if (!r && flame_diff(before.tree, after->tree, o->normalize))
		r = err_set(err, -ENOMEM, "out of memory");
	if (!r) {
		free(after->subtitle);
		if (asprintf(&after->subtitle, "now: %s; before: %s%s", o->file, o->diff,
			     o->normalize ? ", scaled to the same total" : "") < 0)
			after->subtitle = NULL;
		for (size_t i = 0; i < before.nr_notes; i++)
			flame_source_note(after, "before: %s", before.notes[i]);
	}
	flame_source_free(&before);
	return r;
}

static int write_folded(const struct options *o, struct flame_source *s, FILE *out, struct err *err)
{
	const struct flame_view view = { !o->svg.per_thread, o->svg.reversed };
	struct flame_tree *t = NULL;
	int r = flame_view_make(s->tree, &view, false, &t);

	r = r ? err_set(err, r, "out of memory") : folded_write(t, out, err);
	flame_tree_free(t);
	return r;
}

static int write_graph(struct options *o, struct flame_source *s, FILE *out, struct err *err)
{
	struct flame_svg *svg = &o->svg;

	if (o->folded)
		return write_folded(o, s, out, err);
	svg->title = o->title ? o->title : s->title;
	svg->subtitle = s->subtitle;
	svg->notes = (const char *const *)s->notes;
	svg->nr_notes = s->nr_notes;
	svg->counted = s->counted;
	svg->unit = s->is_trace || o->source.unit ? FLAME_NS : FLAME_SAMPLES;
	svg->diff = o->diff;
	if (svg->by_value)
		flame_tree_finish(s->tree, true);
	return flame_svg_write(s->tree, svg, out, err);
}

/* Under a temporary name first, as a trace; an earlier graph of that name is replaced. */
static int write_file(struct options *o, struct flame_source *s, struct err *err)
{
	struct output output;
	FILE *out;
	int fd, r = output_create(&output, o->out, &fd, err);

	if (r)
		return r;
	out = fdopen(fd, "w");
	if (!out) {
		close(fd);
		r = err_sys(err, -errno, "cannot write '%.200s'", o->out);
	} else {
		r = write_graph(o, s, out, err);
		if (((fflush(out) || ferror(out)) | !!fclose(out)) && !r)
			r = err_sys(err, errno ? -errno : -EIO, "cannot write '%.200s'", o->out);
	}
	if (!r)
		r = output_replace(&output, err);
	output_end(&output);
	return r;
}

static int flame(struct options *o)
{
	struct flame_source s = {};
	struct err err = {};
	int r;

	if (!o->file)
		o->file = CLI_DEFAULT_FILE;
	r = read_source(o->file, o, &s, &err);
	if (!r && o->diff)
		r = compare(o, &s, &err);
	if (!r)
		r = strcmp(o->out, "-") ? write_file(o, &s, &err) :
					  write_graph(o, &s, stdout, &err);
	for (size_t i = 0; i < s.nr_notes && !r; i++)
		cli_note("%s", s.notes[i]);
	flame_source_free(&s);
	return r ? cli_fail(&err) : 0;
}

static int flame_main(int argc, char **argv)
{
	struct options o = { .source = { .any_mode = true, .calls = { .per_thread = true } } };
	int status;

	if (!cli_parse(&usage, argc, argv, &o, &status))
		return status;
	cli_bound_memory(false);
	return flame(&o);
}

const struct cmd cmd_flame = {
	.name = "flame",
	.summary = "stacks as a flame graph, or folded",
	.run = flame_main,
};
