// SPDX-License-Identifier: GPL-2.0-only
/* A table that fits a width: see grid.h. */
#include "report/grid.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define COLUMNS_MAX 32
#define KEY_WIDTH_MAX 32
#define CUT_WIDTH_MIN 12

struct row {
	bool bold;
	char *cell[COLUMNS_MAX];
};

struct column {
	const char *name;
	unsigned int flags;
	size_t width;
	bool filled; /* a cell says something */
};

struct grid {
	struct column column[COLUMNS_MAX];
	size_t nr_columns;
	struct row *rows;
	size_t nr_rows, room;
	size_t at; /* the next cell of the last row */
	bool failed;
};

struct grid *grid_new(void)
{
	return calloc(1, sizeof(struct grid));
}

void grid_free(struct grid *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->nr_rows; i++)
		for (size_t c = 0; c < g->nr_columns; c++)
			free(g->rows[i].cell[c]);
	free(g->rows);
	free(g);
}

void grid_free_p(struct grid **g)
{
	grid_free(*g);
}

void grid_column(struct grid *g, const char *name, unsigned int flags)
{
	if (!g)
		return;
	if (g->nr_columns == COLUMNS_MAX) {
		g->failed = true;
		return;
	}
	g->column[g->nr_columns++] =
		(struct column){ .name = name, .flags = flags, .width = strlen(name) };
}

void grid_row(struct grid *g, bool bold)
{
	if (!g || g->failed)
		return;
	if (g->nr_rows == g->room) {
		size_t room = g->room ? 2 * g->room : 64;
		struct row *more = realloc(g->rows, room * sizeof(*more));

		g->failed = !more;
		if (!more)
			return;
		g->rows = more;
		g->room = room;
	}
	g->rows[g->nr_rows++] = (struct row){ .bold = bold };
	g->at = 0;
}

void grid_cell(struct grid *g, const char *fmt, ...)
{
	struct column *column;
	char *text;
	va_list ap;
	int len;

	if (!g || g->failed || !g->nr_rows || g->at == g->nr_columns)
		return;
	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		g->failed = true;
		return;
	}
	column = &g->column[g->at];
	g->rows[g->nr_rows - 1].cell[g->at++] = text;
	if ((size_t)len > column->width)
		column->width = (size_t)len;
	if (len && strcmp(text, "-") != 0)
		column->filled = true;
}

static bool is_shown(const struct column *column)
{
	return column->filled || !(column->flags & GRID_OPTIONAL);
}

bool grid_shows(const struct grid *g, const char *name)
{
	for (size_t c = 0; g && c < g->nr_columns; c++)
		if (!strcmp(g->column[c].name, name))
			return is_shown(&g->column[c]);
	return false;
}

/* What a column takes at the least. */
static size_t width_of(const struct column *column)
{
	size_t least = column->flags & GRID_KEY ? KEY_WIDTH_MAX : CUT_WIDTH_MIN;

	return (column->flags & GRID_CUT) && column->width > least ? least : column->width;
}

/*
 * Chooses the columns of one block: the keys, and from `from` on as many as fit, at least one. Returns where the next
 * block begins.
 */
static size_t choose(const struct grid *g, size_t from, size_t width, bool *ret_chosen)
{
	size_t used = 0, others = 0, c;

	memset(ret_chosen, 0, COLUMNS_MAX * sizeof(*ret_chosen));
	for (c = 0; c < g->nr_columns && (g->column[c].flags & GRID_KEY); c++) {
		ret_chosen[c] = is_shown(&g->column[c]);
		if (ret_chosen[c])
			used += width_of(&g->column[c]) + 1;
	}
	for (c = c > from ? c : from; c < g->nr_columns; c++) {
		if (!is_shown(&g->column[c]))
			continue;
		if (others && used + width_of(&g->column[c]) > width)
			break;
		ret_chosen[c] = true;
		used += width_of(&g->column[c]) + 1;
		others++;
	}
	return c;
}

static int fill(const struct grid *g, const bool *chosen, bool colour, struct libscols_table *table)
{
	for (size_t c = 0; c < g->nr_columns; c++) {
		unsigned int flags = g->column[c].flags;

		if (chosen[c] &&
		    !scols_table_new_column(table, g->column[c].name, 0,
					    (flags & GRID_RIGHT ? SCOLS_FL_RIGHT : 0) |
						    (flags & GRID_CUT ? SCOLS_FL_TRUNC : 0)))
			return -ENOMEM;
	}
	for (size_t i = 0; i < g->nr_rows; i++) {
		const struct row *row = &g->rows[i];
		struct libscols_line *line = scols_table_new_line(table, NULL);
		size_t n = 0;

		if (!line || (row->bold && colour && scols_line_set_color(line, "bold")))
			return -ENOMEM;
		for (size_t c = 0; c < g->nr_columns; c++)
			if (chosen[c] && scols_line_set_data(line, n++, row->cell[c] ?: ""))
				return -ENOMEM;
	}
	return 0;
}

/* Without the blanks that fill up the last column. */
static void write_trimmed(const char *text, FILE *out)
{
	while (*text) {
		size_t line = strcspn(text, "\n"), len = line;

		while (len && text[len - 1] == ' ')
			len--;
		fprintf(out, "%.*s\n", (int)len, text);
		text += line + (text[line] == '\n');
	}
}

static int print_block(const struct grid *g, const bool *chosen, int width, bool colour, FILE *out)
{
	struct libscols_table *table = scols_new_table();
	_cleanup_(free_p) char *text = NULL;
	int r = -ENOMEM;

	if (!table)
		return r;
	scols_table_enable_noencoding(table, 1); /* what needs it is escaped already */
	scols_table_enable_colors(table, colour);
	scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
	scols_table_set_termwidth(table, (size_t)width);
	if (!fill(g, chosen, colour, table) && !scols_print_table_to_string(table, &text) && text) {
		write_trimmed(text, out);
		r = 0;
	}
	scols_unref_table(table);
	return r;
}

int grid_print(const struct grid *g, int width, bool colour, FILE *out, struct err *err)
{
	bool chosen[COLUMNS_MAX];
	size_t from = 0;
	int r = g && !g->failed ? 0 : -ENOMEM;

	while (!r && from < g->nr_columns) {
		bool first = !from;

		from = choose(g, from, (size_t)width, chosen);
		if (!first)
			fputc('\n', out);
		r = print_block(g, chosen, width, colour, out);
	}
	return r ? err_set(err, r, "out of memory while printing a table") : 0;
}
