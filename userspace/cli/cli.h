/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sub-commands share: the exit status of an error, the one sentence that is printed for it, options by argp, the
 * terminal.
 *
 * argp's own complaint about bad usage takes two lines and does not always name the option. So cli_parse() keeps argp silent,
 * finds out what was wrong, and prints one sentence with a hint.
 */
#ifndef WHYSCALE_CLI_CLI_H
#define WHYSCALE_CLI_CLI_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define CLI_BAD_INPUT 2
#define CLI_SYSTEM_FAULT 1
#define CLI_DEFAULT_FILE "whyscale.data"

/* The exit status of an error: 2 when what the user gave was wrong, 1 when the system failed. 0 when there is none. */
int cli_status(const struct err *err);

/* Prints "whyscale: SENTENCE" on standard error and returns the exit status. */
int cli_fail(const struct err *err);

/* Prints a line on standard error, "whyscale: " in front of it. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct cli_options {
	const char *command;               /* the sub-command's name */
	const struct argp_option *options; /* without --help, which every sub-command has */
	argp_parser_t
		parser; /* its state->input is the `input` of cli_parse(); refuses by cli_refuse() */
	const char *args_doc, *doc; /* as in struct argp */
	bool in_order; /* options end at the first argument (its parser calls cli_end_options) */
};

/*
 * Parses a sub-command's arguments into `input`. False when there is nothing more to do: help was shown, or one sentence about
 * what was wrong; *ret_status is then the exit status.
 */
bool cli_parse(const struct cli_options *spec, int argc, char **argv, void *input, int *ret_status);

/* From a parser: refuses an argument, in one sentence; returns what the parser returns. */
error_t cli_refuse(struct argp_state *state, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As cli_refuse(), with the sentence that `err` holds. */
error_t cli_refuse_err(struct argp_state *state, const struct err *err);

/* From a parser at the first argument: what follows is not parsed. Returns the index of that argument in argv. */
int cli_end_options(struct argp_state *state);

/* A result for programs, on standard output. False where nothing could be written; NULL: out of memory, too. */
bool cli_print_json(const json_t *json);

/* A decimal number within [min, max], nothing behind it. False when it is not one. */
bool cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* The file to read: -i FILE or the bare FILE; refuses a second one. */
error_t cli_one_file(struct argp_state *state, const char **file, const char *arg);

/*
 * From here on at most half of the memory is taken that the machine has, or that this process's cgroup may have: a file that is read may
 * be made to unpack without end, and out of memory is an error with a sentence, not the end of this program or of others. With `off` as
 * before, for what is started next.
 */
void cli_bound_memory(bool off);

/* The width for what goes to `out`: the terminal's, or 100 when it is none. */
int cli_width(FILE *out);

/* Whether `out` may be coloured: a terminal, and NO_COLOR (no-color.org) is not set. */
bool cli_colour(FILE *out);

#endif
