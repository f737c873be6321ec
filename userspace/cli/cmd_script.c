// SPDX-License-Identifier: GPL-2.0-only
/* whyscale script: every event of a trace, one a line. */
#include <errno.h>
#include <string.h>

#include "analysis/load.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "report/script.h"
#include "trace/reader.h"

struct options {
	const char *file;
	bool monotonic, kernel_addresses;
};

enum option_key { KEY_MONOTONIC = 0x100, KEY_KERNEL_ADDRESSES };

static const struct argp_option option_table[] = {
	{ "input", 'i', "FILE", 0, "the trace to read; default: " CLI_DEFAULT_FILE, 0 },
	{ "monotonic", KEY_MONOTONIC, NULL, 0,
	  "times of CLOCK_MONOTONIC; default: since the recording began", 0 },
	{ "kernel-addresses", KEY_KERNEL_ADDRESSES, NULL, 0,
	  "addresses of kernel locks and code; default: numbers and names, as addresses help attackers",
	  0 },
	{},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'i':
	case ARGP_KEY_ARG:
		return cli_one_file(state, &o->file, arg);
	case KEY_MONOTONIC:
		o->monotonic = true;
		return 0;
	case KEY_KERNEL_ADDRESSES:
		o->kernel_addresses = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "script",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[FILE]",
	.doc = "Prints every event, one a line: SECONDS cpuN COMM/TID EVENT key=value ...",
};

static int print_events(const struct options *o, struct trace_reader *reader, struct err *err)
{
	const json_t *meta = trace_meta(reader);
	const char *arch = json_string_value(json_object_get(meta, "arch"));
	const json_t *clock = json_object_get(meta, "clock");
	json_int_t epoch_ns = json_integer_value(json_object_get(clock, "epoch_ns"));
	struct script *script = script_new(stdout, syscall_arch_by_name(arch ?: ""), meta,
					   o->monotonic && epoch_ns > 0 ? (uint64_t)epoch_ns : 0);
	int r;

	if (!script)
		return err_set(err, -ENOMEM, "out of memory");
	if (o->kernel_addresses)
		script_show_kernel_addresses(script);
	r = trace_each(reader, script_event, script, err);
	script_free(script);
	if (r == -EIO && ferror(stdout))
		return 0; /* main() says so */
	if (r && !err->code)
		return err_sys(err, r, "printing the events of %.200s failed", o->file);
	return r ? r : load_check(o->file, meta, trace_state(reader), err);
}

static int script_main(int argc, char **argv)
{
	struct trace_reader *reader = NULL;
	struct options o = {};
	struct err err = {};
	int status, r;

	if (!cli_parse(&usage, argc, argv, &o, &status))
		return status;
	cli_bound_memory(false);
	if (!o.file)
		o.file = CLI_DEFAULT_FILE;
	r = trace_open(o.file, &reader, &err);
	if (!r)
		r = print_events(&o, reader, &err);
	trace_close(reader);
	return r ? cli_fail(&err) : 0;
}

const struct cmd cmd_script = {
	.name = "script",
	.summary = "every event of a trace, one a line, for grep and awk",
	.run = script_main,
};
