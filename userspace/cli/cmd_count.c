// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale count: one counting strategy, alone and not recorded.
 *
 * With --result this process itself becomes the strategy, so that a recorder can start exactly it. Without, a child
 * does, and this process reads the result, checks it and shows it.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "strategy/strategy.h"
#include "strategy/strategy_args.h"
#include "strategy/strategy_result.h"

#define EXIT_BAD_INPUT 2

struct options {
	struct strategy_job job;
	const char *result; /* --result: a path, "-" for standard output */
	bool json;
	struct err err; /* why the arguments are refused */
};

enum option_key {
	KEY_WORKERS = 'w',
	KEY_COUNT = 'n',
	KEY_PYTHON = 0x100,
	KEY_RESULT,
	KEY_JSON,
	KEY_FULL,
	KEY_HELP,
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
	{ "help", KEY_HELP, NULL, 0, "show this help", 0 },
	{},
};

/* Keeps the first refusal: getopt's own, without a sentence, comes as ARGP_KEY_ERROR. */
static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	struct err *err = &options->err;

	switch (key) {
	case KEY_COUNT:
		return strategy_parse_count(arg, &options->job.count, err) ? EINVAL : 0;
	case KEY_WORKERS:
		return strategy_parse_workers(arg, &options->job.workers, err) ? EINVAL : 0;
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
	case KEY_HELP:
		argp_help(state->root_argp, stdout, ARGP_HELP_STD_HELP, state->name);
		exit(0);
	case ARGP_KEY_ARG:
		if (options->job.strategy)
			return err_set(err, -EINVAL, "'%.64s' is one strategy too many; name one",
				       arg),
			       EINVAL;
		options->job.strategy = strategy_find(arg, err);
		return options->job.strategy ? 0 : EINVAL;
	case ARGP_KEY_NO_ARGS:
		return err_set(err, -EINVAL, "name a strategy: %s", strategy_names()), EINVAL;
	case ARGP_KEY_ERROR:
		if (!err->code)
			err_set(err, -EINVAL,
				"the option '%.64s' is unknown, or lacks its value; see --help",
				state->argv[state->next > 1 ? state->next - 1 : 0]);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int fail(const struct err *err, int status)
{
	fprintf(stderr, "whyscale count: %s\n", err->msg);
	return status;
}

/* The whole of this process becomes the strategy; what it finds goes to a file. */
static int run_here(struct options *options)
{
	struct err *err = &options->err;
	_cleanup_(close_p) int fd = -1;

	if (!strcmp(options->result, "-"))
		fd = dup(STDOUT_FILENO);
	else
		fd = open(options->result, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(err, -errno, "cannot write the result to '%.200s'", options->result);
		return fail(err, EXIT_BAD_INPUT);
	}
	options->job.result_fd = fd;
	if (strategy_run(&options->job, err))
		return fail(err, strategy_exit_status(err->code));
	return 0;
}

/* Runs the strategy in a child. Returns the exit status: when it is not 0, the child has said why. */
static int run_child(struct options *options)
{
	struct err *err = &options->err;
	int status;
	pid_t pid = fork();

	if (pid < 0) {
		err_sys(err, -errno, "cannot start a process");
		return fail(err, 1);
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (!strategy_run(&options->job, err))
			_exit(0);
		_exit(fail(err, strategy_exit_status(err->code)));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			err_sys(err, -errno, "cannot wait for %s", options->job.strategy->name);
			return fail(err, 1);
		}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	err_set(err, -ECHILD, "%s was ended by signal %d (%s)", options->job.strategy->name,
		WTERMSIG(status), strsignal(WTERMSIG(status)));
	return fail(err, 128 + WTERMSIG(status));
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
	struct err *err = &options->err;
	int status;

	if (fd < 0) {
		err_sys(err, -errno, "cannot create a file in memory");
		return fail(err, 1);
	}
	options->job.result_fd = fd;
	status = run_child(options);
	if (status)
		return status;
	if (strategy_result_read(fd, &result, err)) {
		err_context(err, "%s", options->job.strategy->name);
		return fail(err, 1);
	}
	return show(options, &result, err) ? fail(err, 1) : 0;
}

static int count_run(int argc, char **argv)
{
	static char name[] = "whyscale count";
	struct options options = {};
	char doc[512];
	struct argp argp = { option_table, parse_option, "STRATEGY", doc, NULL, NULL, NULL };

	snprintf(doc, sizeof(doc), "Runs one counting strategy, without recording it.\v%s.",
		 strategy_names());
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &options))
		return fail(&options.err, EXIT_BAD_INPUT);
	if (strategy_args_check(&options.job, &options.err))
		return fail(&options.err, strategy_exit_status(options.err.code));
	return options.result ? run_here(&options) : run_and_show(&options);
}

const struct cmd cmd_count = {
	.name = "count",
	.summary = "run one counting strategy, without recording it",
	.run = count_run,
};
