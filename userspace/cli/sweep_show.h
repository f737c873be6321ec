/* SPDX-License-Identifier: GPL-2.0-only */
/* A sweep's result, for `sweep` and for `run --workers 1,2,4`: its findings, the form that was asked for, and the picture. */
#ifndef WHYSCALE_CLI_SWEEP_SHOW_H
#define WHYSCALE_CLI_SWEEP_SHOW_H

#include "cli/sweep_lab.h"
#include "record/output.h"

/* A picture that is not drawn yet. Its file is made before anything runs: that it cannot be written is found then. */
struct sweep_picture {
	struct output output;
	int fd; /* -1: none was asked for, or it is drawn */
};

/* path NULL: no picture. It must live on. sweep_picture_end() in any case. */
int sweep_picture_begin(struct sweep_picture *p, const char *path, struct err *err);
void sweep_picture_end(struct sweep_picture *p);

/*
 * Prints a table, or where `ret_json` is not NULL gives the object of schema whyscale.sweep/1 instead, the caller's; draws the picture.
 * `how` says what n was.
 */
int sweep_show(const struct sweep_options *o, const struct sweep_result *result, const char *how,
	       struct sweep_picture *picture, json_t **ret_json, struct err *err);

#endif
