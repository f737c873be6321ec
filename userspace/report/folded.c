// SPDX-License-Identifier: GPL-2.0-only
/* Writes folded stacks: see folded.h. */
#include "report/folded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

struct folding {
	const struct flame_tree *tree;
	FILE *out;
	char *line;
	size_t room;
};

/* Without the " (file:line)" that a Python function's name ends with. */
static size_t bare_len(const char *name, size_t len, uint32_t kind)
{
	size_t i = len;

	if (kind != FLAME_PYTHON || !len || name[len - 1] != ')')
		return len;
	while (i > 1 && !(name[i - 1] == '(' && name[i - 2] == ' '))
		i--;
	return i > 2 ? i - 2 : len;
}

static size_t put_name(char *to, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		to[i] = c == ';' ? ':' : c < 0x20 || c == 0x7f ? ' ' : name[i];
	}
	return len;
}

/* A blank with nothing but digits behind it, up to the end. */
static void mend_end(char *name, size_t len)
{
	size_t i = len;

	while (i && name[i - 1] >= '0' && name[i - 1] <= '9')
		i--;
	if (i && i < len && name[i - 1] == ' ')
		name[i - 1] = '_';
}

static int write_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		       void *arg)
{
	struct folding *f = arg;
	size_t at = 0, begin = 0;

	if (!value->value)
		return 0;
	for (size_t i = 0; i < nr || !i; i++) {
		size_t len = 0;
		const char *name = nr ? flame_tree_string(f->tree, frames[i].name, &len) : "";

		len = nr ? bare_len(name, len, frames[i].kind) : 0;
		if (!len) {
			name = "[unknown]";
			len = strlen(name);
		}
		if (vec_room(&f->line, &f->room, at + len + 2))
			return -ENOMEM;
		if (i)
			f->line[at++] = ';';
		begin = at;
		at += put_name(f->line + at, name, len);
	}
	mend_end(f->line + begin, at - begin);
	fwrite(f->line, 1, at, f->out);
	fprintf(f->out, " %" PRIu64 "\n", value->value);
	return 0;
}

int folded_write(const struct flame_tree *t, FILE *out, struct err *err)
{
	struct folding f = { .tree = t, .out = out };
	int r = flame_tree_each(t, write_stack, &f);

	free(f.line);
	return r ? err_set(err, r, "out of memory") : 0;
}
