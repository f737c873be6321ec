// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale count: one counting strategy, alone and not recorded.
 *
 * With --result this process itself becomes the strategy, so that a recorder can start exactly it.
 * Without, a child does, and this process reads the result, checks it and shows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "strategy/strategy.h"
#include "strategy/strategy_args.h"
#include "strategy/strategy_result.h"

struct options {
	struct strategy_job job;
	const char *result; /* --result: a path, "-" for standard output */
	bool json;
};

enum option_key {
	KEY_WORKERS = 'w',
	KEY_COUNT = 'n',
	KEY_PYTHON = 0x100,
	KEY_RESULT,
	KEY_JSON,
	KEY_FULL,
};

static const struct argp_option option_table[] = {
	{ "count", KEY_COUNT, "N", 0, "what to count to, 1 to 2^62", 0 },
	{ "workers", KEY_WORKERS, "N", 0, "threads or processes; default: the CPUs available", 0 },
	{ "full", KEY_FULL, NULL, 0, "the article's counts: 2000000000 in C, 200000000 in Python",
	  0 },
	{ "python", KEY_PYTHON, "PATH", 0, "the interpreter; default: " STRATEGY_PYTHON_DEFAULT,
	  0 },
	{ "json", KEY_JSON, NULL, 0, "show the result as JSON", 0 },
	{ "result", KEY_RESULT, "FILE", 0, "write the result's JSON there (-: standard output)",
	  0 },
	{},
};

static error_t parse_strategy(struct options *options, struct argp_state *state, const char *arg)
{
	struct err err = {};

	if (options->job.strategy)
		return cli_refuse(state, "'%.64s' is one strategy too many; name one", arg);
	options->job.strategy = strategy_find(arg, &err);
	return options->job.strategy ? 0 : cli_refuse_err(state, &err);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	struct err err = {};

	switch (key) {
	case KEY_COUNT:
		if (strategy_parse_count(arg, &options->job.count, &err))
			return cli_refuse_err(state, &err);
		return 0;
	case KEY_WORKERS:
		if (strategy_parse_workers(arg, &options->job.workers, &err))
			return cli_refuse_err(state, &err);
		return 0;
	case KEY_FULL:
		options->job.full = true;
		return 0;
	case KEY_PYTHON:
		options->job.python = arg;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_RESULT:
		options->result = arg;
		return 0;
	case ARGP_KEY_ARG:
		return parse_strategy(options, state, arg);
	case ARGP_KEY_NO_ARGS:
		return cli_refuse(state, "name a strategy: %s", strategy_names());
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int fail(const struct err *err, int status)
{
	cli_note("%s", err->msg);
	return status;
}

/* A plain file (or a device, as /dev/null): a link is not followed, and nobody waits for a pipe's other end. Truncated when it is known what it is. */
static int open_result(const char *path)
{
	_cleanup_(close_p) int fd = open(
		path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (S_ISCHR(st.st_mode))
		return take_fd(fd);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		errno = EINVAL;
		return -1;
	}
	return ftruncate(fd, 0) ? -1 : take_fd(fd);
}

/* The whole of this process becomes the strategy; what it finds goes to a file. */
static int run_here(struct options *options)
{
	struct err err = {};
	_cleanup_(close_p) int fd = -1;

	if (!strcmp(options->result, "-"))
		fd = dup(STDOUT_FILENO);
	else
		fd = open_result(options->result);
	if (fd < 0) {
		err_sys(&err, -errno, "cannot write the result to '%.200s'", options->result);
		return fail(&err, CLI_BAD_INPUT);
	}
	options->job.result_fd = fd;
	if (strategy_run(&options->job, &err))
		return fail(&err, strategy_exit_status(err.code));
	return 0;
}

/*
 * Runs the strategy in a child. Returns the exit status: when it is not 0, the child has said why.
 */
static int run_child(struct options *options)
{
	struct err err = {};
	int status;
	pid_t pid = fork();

	if (pid < 0) {
		err_sys(&err, -errno, "cannot start a process");
		return fail(&err, CLI_SYSTEM_FAULT);
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (!strategy_run(&options->job, &err))
			_exit(0);
		_exit(fail(&err, strategy_exit_status(err.code)));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			err_sys(&err, -errno, "cannot wait for %s", options->job.strategy->name);
			return fail(&err, CLI_SYSTEM_FAULT);
		}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	err_set(&err, -ECHILD, "%s was ended by signal %d (%s)", options->job.strategy->name,
		WTERMSIG(status), strsignal(WTERMSIG(status)));
	return fail(&err, 128 + WTERMSIG(status));
}

/* 1234567 as "1,234,567"; the longest count has 19 digits and 6 commas. */
static const char *with_commas(uint64_t value, char text[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	char *out = text;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return text;
}

static int show(const struct options *options, const struct strategy_result *result,
		struct err *err)
{
	char count[32];

	if (options->json)
		return strategy_result_write(result, STDOUT_FILENO, err);
	printf("%s: counted %s with %zu worker%s in %.3f s\n", result->name,
	       with_commas(result->counted, count), result->nr, result->nr == 1 ? "" : "s",
	       (double)(result->t1_ns - result->t0_ns) / 1e9);
	if (fflush(stdout))
		return err_sys(err, -errno, "cannot write to standard output");
	return 0;
}

static int run_and_show(struct options *options)
{
	_cleanup_(strategy_result_free) struct strategy_result result = {};
	_cleanup_(close_p) int fd = memfd_create("result", MFD_CLOEXEC);
	struct err err = {};
	int status;

	if (fd < 0) {
		err_sys(&err, -errno, "cannot create a file in memory");
		return fail(&err, CLI_SYSTEM_FAULT);
	}
	options->job.result_fd = fd;
	status = run_child(options);
	if (status)
		return status;
	if (strategy_result_read(fd, &result, &err)) {
		err_context(&err, "%s", options->job.strategy->name);
		return fail(&err, CLI_SYSTEM_FAULT);
	}
	return show(options, &result, &err) ? fail(&err, CLI_SYSTEM_FAULT) : 0;
}

static const struct cli_options spec = {
	.command = "count",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "STRATEGY",
	.doc = "Runs one counting strategy, without recording it.\v"
	       "whyscale run runs all of them, recorded and explained.",
};

static int count_run(int argc, char **argv)
{
	struct options options = {};
	struct err err = {};
	int status;

	if (!cli_parse(&spec, argc, argv, &options, &status))
		return status;
	if (strategy_args_check(&options.job, &err))
		return fail(&err, strategy_exit_status(err.code));
	return options.result ? run_here(&options) : run_and_show(&options);
}

const struct cmd cmd_count = {
	.name = "count",
	.summary = "run one counting strategy, without recording it",
	.run = count_run,
};
