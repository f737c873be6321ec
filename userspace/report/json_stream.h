/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes an object whose largest list is not held in memory: its elements are made, written and let go of, one after the other. A thread
 * takes some 20 kB as a json_t, and there may be 100,000. The text is that of json_dumpf(..., JSON_INDENT(2)).
 */
#ifndef WHYSCALE_REPORT_JSON_STREAM_H
#define WHYSCALE_REPORT_JSON_STREAM_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct json_list {
	const char *key; /* of the object, where it stands; its value there is not looked at */
	size_t nr;
	json_t *(*make)(const void *arg, size_t i); /* a new value; NULL: out of memory */
	const void *arg;
};

/* And a newline behind it. 0, -ENOMEM or -EIO: what was written until then is no JSON. */
int json_stream(const json_t *object, const struct json_list *list, FILE *out, struct err *err);

#endif
