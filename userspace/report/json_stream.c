// SPDX-License-Identifier: GPL-2.0-only
/* JSON without holding all of it: see json_stream.h. */
#include "report/json_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INDENT 2

struct writer {
	FILE *out;
	int depth; /* of the value that is written, in the whole */
};

static bool put_newline(FILE *out, int depth)
{
	return fprintf(out, "\n%*s", depth * INDENT, "") >= 0;
}

/* In a JSON text a newline is never a part of a string. */
static int put(const char *text, size_t len, void *arg)
{
	struct writer *w = arg;
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', end - text);
		size_t part = (newline ?: end) - text;

		if (part && fwrite(text, part, 1, w->out) != 1)
			return -1;
		if (newline && !put_newline(w->out, w->depth))
			return -1;
		text += part + !!newline;
	}
	return 0;
}

static bool put_value(FILE *out, int depth, const json_t *value)
{
	struct writer w = { .out = out, .depth = depth };

	return !json_dump_callback(value, put, &w, JSON_INDENT(INDENT) | JSON_ENCODE_ANY);
}

static int put_list(FILE *out, int depth, const struct json_list *list)
{
	if (putc('[', out) == EOF)
		return -EIO;
	for (size_t i = 0; i < list->nr; i++) {
		json_t *one = list->make(list->arg, i);
		bool done;

		if (!one)
			return -ENOMEM;
		done = (!i || putc(',', out) != EOF) && put_newline(out, depth + 1) &&
		       put_value(out, depth + 1, one);
		json_decref(one);
		if (!done)
			return -EIO;
	}
	return (!list->nr || put_newline(out, depth)) && putc(']', out) != EOF ? 0 : -EIO;
}

static int put_key(FILE *out, const char *key, bool is_first)
{
	json_t *name = json_string(key);
	bool done;

	if (!name)
		return -ENOMEM;
	done = (is_first || putc(',', out) != EOF) && put_newline(out, 1) &&
	       put_value(out, 1, name) && fputs(": ", out) != EOF;
	json_decref(name);
	return done ? 0 : -EIO;
}

static int put_object(const json_t *object, const struct json_list *list, FILE *out)
{
	bool is_first = true;
	const char *key;
	json_t *value;
	int r = putc('{', out) == EOF ? -EIO : 0;

	json_object_foreach((json_t *)object, key, value) {
		if (!r)
			r = put_key(out, key, is_first);
		if (!r && !strcmp(key, list->key))
			r = put_list(out, 1, list);
		else if (!r)
			r = put_value(out, 1, value) ? 0 : -EIO;
		is_first = false;
	}
	if (!r && (fputs("\n}\n", out) == EOF || ferror(out)))
		r = -EIO;
	return r;
}

int json_stream(const json_t *object, const struct json_list *list, FILE *out, struct err *err)
{
	int r = put_object(object, list, out);

	if (r == -ENOMEM)
		return err_set(err, r, "out of memory while making the JSON report");
	return r ? err_set(err, r, "cannot write the JSON report") : 0;
}
