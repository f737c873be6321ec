// SPDX-License-Identifier: GPL-2.0-only
/* whyscale record: options in, a trace file out. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bpf/events.h"
#include "cli/cgroup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "probes/counter_names.h"
#include "record/record.h"

#define BUFFER_MIN (64u << 10)
#define BUFFER_MAX (32u << 20)
#define SECONDS_MAX 1e8
#define PID_LIMIT (1u << 22) /* PID_MAX_LIMIT of the kernel */
#define HZ_MAX 10000
#define STACK_BYTES_MIN 256
#define KEEP_MIN_NS (100.0 * NSEC_PER_MSEC)
#define KEEP_MAX_NS (1440.0 * 60 * NSEC_PER_SEC)
#define KEEP_BYTES (256ull << 20)
#define KEEP_BYTES_MIN (1ull << 20)
#define KEEP_BYTES_MAX (64ull << 30)

struct options {
	struct record_options record;
	pid_t *ids;         /* owned */
	const char *target; /* the option that named the target, e.g. "-p" */
	const char *cgroup;
};

enum option_key {
	KEY_CGROUP = 0x100,
	KEY_USER,
	KEY_NO_BPF,
	KEY_COUNTERS,
	KEY_STACKS,
	KEY_STACK_SIZE,
	KEY_PYTHON,
	KEY_KEEP,
};

static const struct argp_option option_table[] = {
	{ "pid", 'p', "PID[,PID]", 0, "record these processes, with all of their threads", 0 },
	{ "tid", 't', "TID[,TID]", 0, "record these threads", 0 },
	{ "all", 'a', NULL, 0, "record the whole machine", 0 },
	{ "cgroup", KEY_CGROUP, "PATH", 0, "record the processes of this cgroup", 0 },
	{ "duration", 'd', "SECONDS", 0, "stop after this long, e.g. 10 or 0.5", 0 },
	{ "output", 'o', "FILE", 0, "the trace to write; default: " CLI_DEFAULT_FILE, 0 },
	{ "keep", KEY_KEEP, "TIME[,SIZE]", 0,
	  "keep the last TIME (e.g. 60s, 500ms, 5m) in memory, at most SIZE of it (default: 256M); write it "
	  "at the end, and at each SIGUSR2",
	  0 },
	{ "buffer", 'm', "SIZE", 0, "buffer of each CPU, a power of two: 64K to 32M", 0 },
	{ NULL, 'g', NULL, 0, "record call stacks too, for flame graphs: --stacks on,off,wake", 0 },
	{ "stacks", KEY_STACKS, "KIND[,KIND]", 0,
	  "call stacks of these kinds: on (samples of what runs), off (of what leaves the CPU), lock (of that, "
	  "only waits for locks), wake (who wakes)",
	  0 },
	{ "freq", 'F', "HZ", 0, "samples a second on each CPU, 1 to 10000; default: 99", 0 },
	{ "stack-size", KEY_STACK_SIZE, "SIZE", 0,
	  "copy at most this much of a user stack: 256 to 32K; default: 8K", 0 },
	{ "user", KEY_USER, "NAME", 0, "run the command as this user", 0 },
	{ "event", 'e', "NAME[,NAME]", 0,
	  "count these for each thread: cycles, instructions, cache-misses, page-faults, ...", 0 },
	{ "counters", KEY_COUNTERS, NULL, 0, "count what this machine can (-e chooses)", 0 },
	{ "python", KEY_PYTHON, NULL, 0, "Python functions in stacks (CPython 3.8 to 3.13)", 0 },
	{ "no-bpf", KEY_NO_BPF, NULL, 0, "only counters and /proc, as without privilege", 0 },
	{},
};

static error_t set_target(struct options *o, struct argp_state *state, const char *option,
			  enum record_what what)
{
	if (o->target)
		return cli_refuse(state, "%s and %s together: name one target", o->target, option);
	o->target = option;
	o->record.what = what;
	return 0;
}

/* "12,34" into o->ids. */
static error_t parse_ids(struct options *o, struct argp_state *state, const char *list)
{
	const char *kind = o->record.what == RECORD_TIDS ? "thread" : "process";
	size_t room = 1;

	for (const char *c = list; *c; c++)
		room += *c == ',';
	free(o->ids);
	o->ids = calloc(room, sizeof(*o->ids));
	if (!o->ids)
		return cli_refuse(state, "out of memory");
	o->record.nr_ids = 0;
	while (true) {
		size_t len = strcspn(list, ",");
		char word[16];
		uint64_t id;

		snprintf(word, sizeof(word), "%.*s", (int)(len < 15 ? len : 15), list);
		if (!cli_number(word, 1, PID_LIMIT, &id))
			return cli_refuse(state,
					  "'%.*s' is no %s id: give numbers such as 1234,1235",
					  (int)(len < 40 ? len : 40), list, kind);
		o->ids[o->record.nr_ids++] = (pid_t)id;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

static error_t parse_duration(struct options *o, struct argp_state *state, const char *arg)
{
	char *end;
	double seconds = strtod(arg, &end);

	if (end == arg || *end || strspn(arg, "0123456789.") != strlen(arg) || !isfinite(seconds) ||
	    seconds < 1e-6 || seconds > SECONDS_MAX)
		return cli_refuse(
			state, "'%.40s' is no duration: give seconds above 0, e.g. 10 or 0.5", arg);
	o->record.duration_ns = (uint64_t)(seconds * (double)NSEC_PER_SEC + 0.5);
	return 0;
}

/* "60s", "500ms", "5m" into ns; false: it is no time. */
static bool parse_time(const char *arg, size_t len, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "ms", NSEC_PER_MSEC }, { "s", NSEC_PER_SEC }, { "m", 60 * NSEC_PER_SEC } };
	char number[24] = "", *end;
	size_t digits = strspn(arg, "0123456789.");
	double value;

	if (!digits || digits >= sizeof(number) || digits >= len)
		return false;
	memcpy(number, arg, digits);
	value = strtod(number, &end);
	for (size_t i = 0; !*end && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) != len - digits ||
		    strncmp(units[i].name, arg + digits, len - digits) != 0)
			continue;
		value *= (double)units[i].ns;
		if (value < KEEP_MIN_NS || value > KEEP_MAX_NS)
			return false;
		*ret_ns = (uint64_t)(value + 0.5);
		return true;
	}
	return false;
}

/* "4096" or "8K" into bytes; false: it is no size. */
static bool parse_size(const char *arg, uint64_t max, uint64_t *ret_bytes)
{
	static const char units[] = "KM";
	size_t len = strlen(arg);
	const char *unit = len ? strchr(units, arg[len - 1]) : NULL;
	char digits[24];

	if (unit)
		len--;
	snprintf(digits, sizeof(digits), "%.*s", (int)(len < 20 ? len : 20), arg);
	if (!cli_number(digits, 1, max, ret_bytes))
		return false;
	if (unit)
		*ret_bytes <<= 10 * (unit - units + 1);
	return *ret_bytes <= max;
}

static error_t parse_keep(struct options *o, struct argp_state *state, const char *arg)
{
	size_t len = strcspn(arg, ",");

	o->record.keep_bytes = KEEP_BYTES;
	if (!parse_time(arg, len, &o->record.keep_ns))
		return cli_refuse(
			state,
			"'%.*s' is no time to keep: give 100ms to 1440m, with its unit, e.g. 60s, 500ms, 5m",
			(int)(len < 40 ? len : 40), arg);
	if (arg[len] && (!parse_size(arg + len + 1, KEEP_BYTES_MAX, &o->record.keep_bytes) ||
			 o->record.keep_bytes < KEEP_BYTES_MIN))
		return cli_refuse(state,
				  "'%.40s' is no size to keep: give 1M to 65536M, as in 60s,512M",
				  arg + len + 1);
	return 0;
}

/* ---- call stacks ---- */

static error_t parse_stacks(struct options *o, struct argp_state *state, const char *list)
{
	static const char *const kinds[] = { "on", "off", "wake", "lock" };

	o->record.stacks = 0;
	while (true) {
		size_t len = strcspn(list, ","), i = 0;

		while (i < 4 && (strlen(kinds[i]) != len || strncmp(kinds[i], list, len) != 0))
			i++;
		if (i == 4)
			return cli_refuse(
				state,
				"'%.*s' is no kind of call stack: choose from on,off,wake,lock",
				(int)(len < 40 ? len : 40), list);
		o->record.stacks |= 1u << i;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

static error_t parse_freq(struct options *o, struct argp_state *state, const char *arg)
{
	uint64_t hz;

	if (!cli_number(arg, 1, HZ_MAX, &hz))
		return cli_refuse(state,
				  "'%.40s' is no sampling rate: give samples a second, 1 to %d",
				  arg, HZ_MAX);
	o->record.sample_hz = hz;
	return 0;
}

static error_t parse_stack_size(struct options *o, struct argp_state *state, const char *arg)
{
	uint64_t bytes;

	if (!parse_size(arg, STACK_LIMIT, &bytes) || bytes < STACK_BYTES_MIN || bytes % 8)
		return cli_refuse(
			state,
			"'%.40s' is no size of a stack: give a multiple of 8 bytes, from %d to 32K",
			arg, STACK_BYTES_MIN);
	o->record.stack_bytes = bytes;
	return 0;
}

/* -F alone asks for samples, --python alone for all stacks. */
static error_t check_stacks(struct options *o, struct argp_state *state)
{
	struct record_options *r = &o->record;

	if (r->sample_hz && !r->stacks)
		r->stacks = STACKS_ON;
	if (r->python && !r->stacks)
		r->stacks = STACKS_ON | STACKS_OFF | STACKS_WAKE;
	if (r->sample_hz && !(r->stacks & STACKS_ON))
		return cli_refuse(state, "-F is for samples: add 'on' to --stacks");
	if (r->stack_bytes && !r->stacks)
		return cli_refuse(state, "--stack-size is for call stacks: add -g or --stacks");
	if (r->stacks && r->no_bpf)
		return cli_refuse(state,
				  "call stacks are taken by BPF programs: leave --no-bpf out");
	return 0;
}

static error_t parse_stack_option(int key, char *arg, struct options *o, struct argp_state *state)
{
	switch (key) {
	case 'g':
		o->record.stacks |= STACKS_ON | STACKS_OFF | STACKS_WAKE;
		return 0;
	case 'F':
		return parse_freq(o, state, arg);
	case KEY_STACKS:
		return parse_stacks(o, state, arg);
	default:
		return parse_stack_size(o, state, arg);
	}
}

/* The names are looked up now, so that a wrong one is refused before anything is done. */
static error_t parse_events(struct options *o, struct argp_state *state, const char *names)
{
	struct counter_list list;
	struct err err = {};

	if (!*names)
		return cli_refuse(state, "-e names no counter: give some as in cycles,page-faults");
	if (counter_list_parse(&list, names, &err))
		return cli_refuse_err(state, &err);
	o->record.counters = true;
	o->record.events = names;
	return 0;
}

static error_t parse_buffer(struct options *o, struct argp_state *state, const char *arg)
{
	uint64_t bytes;

	if (!parse_size(arg, BUFFER_MAX, &bytes) || bytes < BUFFER_MIN || (bytes & (bytes - 1)))
		return cli_refuse(state,
				  "'%.40s' is no buffer size: give a power of two from 64K to 32M",
				  arg);
	o->record.buffer_bytes = bytes;
	return 0;
}

/* The whole, once all options are known. */
static error_t check(struct options *o, struct argp_state *state)
{
	if (!o->target && !o->record.argv)
		return cli_refuse(state,
				  "nothing to record: give a command, -p PID, -t TID, --cgroup "
				  "PATH or -a");
	if (o->target && o->record.what != RECORD_ALL && o->record.argv)
		return cli_refuse(state, "%s and the command '%.64s' together: name one target",
				  o->target, o->record.argv[0]);
	if (o->record.user && !o->record.argv)
		return cli_refuse(state, "--user needs a command to run");
	if (o->record.argv && !*o->record.argv[0])
		return cli_refuse(state, "the command's name is empty");
	if (o->record.keep_ns && o->record.no_bpf)
		return cli_refuse(state,
				  "--keep is for what BPF programs record: leave --no-bpf out");
	if (o->record.keep_ns && o->record.counters)
		return cli_refuse(state,
				  "--keep does not keep counters: leave -e and --counters out");
	return check_stacks(o, state);
}

static error_t parse_target(int key, char *arg, struct options *o, struct argp_state *state)
{
	error_t r;

	switch (key) {
	case 'p':
		r = set_target(o, state, "-p", RECORD_PIDS);
		return r ? r : parse_ids(o, state, arg);
	case 't':
		r = set_target(o, state, "-t", RECORD_TIDS);
		return r ? r : parse_ids(o, state, arg);
	case 'a':
		return o->record.what == RECORD_ALL ? 0 : set_target(o, state, "-a", RECORD_ALL);
	default:
		o->cgroup = arg;
		return set_target(o, state, "--cgroup", RECORD_PIDS);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'p':
	case 't':
	case 'a':
	case KEY_CGROUP:
		return parse_target(key, arg, o, state);
	case 'd':
		return parse_duration(o, state, arg);
	case 'm':
		return parse_buffer(o, state, arg);
	case 'g':
	case 'F':
	case KEY_STACKS:
	case KEY_STACK_SIZE:
		return parse_stack_option(key, arg, o, state);
	case 'o':
		if (!*arg)
			return cli_refuse(state, "the name of the file to write is empty");
		o->record.output = arg;
		return 0;
	case KEY_KEEP:
		return parse_keep(o, state, arg);
	case KEY_USER:
		o->record.user = arg;
		return 0;
	case KEY_COUNTERS:
		o->record.counters = true;
		return 0;
	case 'e':
		return parse_events(o, state, arg);
	case KEY_PYTHON:
		o->record.python = true;
		return 0;
	case KEY_NO_BPF:
		o->record.no_bpf = true;
		return 0;
	case ARGP_KEY_ARG:
		o->record.argv = state->argv + cli_end_options(state);
		return 0;
	case ARGP_KEY_END:
		return check(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "record",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[--] COMMAND [ARG...]\n-p PID|-t TID|--cgroup PATH|-a",
	.doc = "Records what every thread of a program does, from scheduler events, into a trace.",
	.in_order = true,
};

/* One line when someone looks, or when the trace is less than was asked for. */
static void show_result(const struct options *o, const struct record_result *result)
{
	const char *file = o->record.output;

	if (!result->bpf)
		cli_note("recorded without BPF, so without scheduler events: %s; '%s' holds what "
			 "counters and /proc tell",
			 result->why_not, file);
	if (*result->no_maps)
		cli_note("recorded without the names of functions and locks: %s", result->no_maps);
	if (*result->python)
		cli_note("recorded without some Python functions: %s", result->python);
	if (*result->no_counters)
		cli_note("recorded without %s", result->no_counters);
	if (o->record.stacks && !result->bpf)
		cli_note("no call stacks were recorded: BPF programs take them");
	if (*result->no_stacks)
		cli_note("recorded without %s", result->no_stacks);
	if (*result->no_samples)
		cli_note("recorded without samples of what runs: %s", result->no_samples);
	if (result->lost_on_new)
		cli_note("%" PRIu64 " event%s lost on CPUs that came online after the beginning",
			 result->lost_on_new, result->lost_on_new == 1 ? " was" : "s were");
	if (result->lost > result->lost_on_new)
		cli_note("%" PRIu64 " event%s lost: the report shows when; larger buffers: -m",
			 result->lost - result->lost_on_new,
			 result->lost - result->lost_on_new == 1 ? " was" : "s were");
	if (result->kept_short)
		cli_note(
			"%.1f s were kept instead of %.1f s: they take %.1f MB; for more: --keep %gs,SIZE",
			(double)result->kept_ns / 1e9, (double)o->record.keep_ns / 1e9,
			(double)result->bytes / 1e6, (double)o->record.keep_ns / 1e9);
	if (result->bpf && isatty(STDERR_FILENO) && result->kept_ns)
		cli_note("recorded %.3f s, kept the last %.3f s, %.1f kB, in '%s'",
			 (double)result->wall_ns / 1e9, (double)result->kept_ns / 1e9,
			 (double)result->bytes / 1e3, file);
	else if (result->bpf && isatty(STDERR_FILENO))
		cli_note("recorded %.3f s, %" PRIu64
			 " event%s, %.1f kB, in '%s'; now: whyscale report%s%s",
			 (double)result->wall_ns / 1e9, result->events,
			 result->events == 1 ? "" : "s", (double)result->bytes / 1e3, file,
			 strcmp(file, CLI_DEFAULT_FILE) ? " -i " : "",
			 strcmp(file, CLI_DEFAULT_FILE) ? file : "");
}

static void show_snapshot(const char *path, const struct err *why)
{
	if (why)
		cli_note("no snapshot: %s", why->msg);
	else
		cli_note("snapshot written: '%s'", path);
}

static int record(struct options *o)
{
	struct record_result result = {};
	struct err err = {};
	int r = 0;

	if (o->cgroup)
		r = cgroup_pids(o->cgroup, &o->ids, &o->record.nr_ids, &err);
	o->record.ids = o->ids;
	o->record.on_snapshot = show_snapshot;
	if (!r)
		r = record_run(&o->record, &result, &err);
	if (r) {
		int status = cli_fail(&err);

		return result.exit_status == 126 || result.exit_status == 127 ? result.exit_status :
										status;
	}
	show_result(o, &result);
	return result.exit_status;
}

static int record_main(int argc, char **argv)
{
	struct options o = { .record = { .output = CLI_DEFAULT_FILE, .stdout_fd = -1 } };
	int status;

	if (cli_parse(&usage, argc, argv, &o, &status))
		status = record(&o);
	free(o.ids);
	return status;
}

const struct cmd cmd_record = {
	.name = "record",
	.summary = "record what every thread of a program does",
	.run = record_main,
};
