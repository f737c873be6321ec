/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An error travels up as a negative errno with one sentence beside it.
 *
 * Nothing below cli/ prints or exits: a function that fails fills the struct err that its caller gave and
 * returns the code; main() prints the sentence once. The sentence says what was wrong and what to do.
 */
#ifndef WHYSCALE_BASE_ERR_H
#define WHYSCALE_BASE_ERR_H

#include <stdarg.h>

struct err {
	int code;      /* negative errno; 0 while nothing failed */
	char msg[640]; /* one sentence, no newline; context is added in front */
};

/* Sets the sentence and returns `code` (a negative errno), so that a caller can write `return err_set(...)`. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the text of the errno appended. */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the sentence that is there; returns the code that is there. */
int err_context(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
