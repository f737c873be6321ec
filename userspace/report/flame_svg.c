// SPDX-License-Identifier: GPL-2.0-only
/* A flame graph as one file: see flame_svg.h. */
#include "report/flame_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/flame_view.h"
#include "base/cleanup.h"
#include "base/version.h"
#include "report/flame_layout.h"
#include "report/flame_static.h"
#include "report/flame_text.h"

/* The style and the scripts are embedded by the assembler, with a NUL behind each. */
#define EMBED(id, file)                                         \
	extern const char id[];                                 \
	__asm__(".pushsection .rodata\n"                        \
		".globl " #id "\n" #id ":\n"                    \
		".incbin \"userspace/report/flame/" file "\"\n" \
		".byte 0\n"                                     \
		".popsection\n")
EMBED(flame_css, "flame.css");
EMBED(flame_js, "flame.js");
EMBED(flame_ui_js, "flame_ui.js");

#define LETTER 7 /* pixels, about, of the heading's */
#define LINE 19  /* pixels, of the heading */
#define VIEWS_MAX 4

static const char *const kind_names[FLAME_KIND_NR] = {
	"user", "kernel", "Python", "inlined", "waiting", "thread", "no frame",
};

struct writing {
	struct flame_tree *tree;
	const struct flame_svg *o;
	FILE *out;
	bool has_threads;
	struct flame_view views[VIEWS_MAX];
	size_t nr_views;
	uint32_t *used;    /* of each name: its number in the file + 1; 0: not in it */
	uint32_t *in_file; /* the names in the file */
	uint32_t nr_used;
	bool kinds[FLAME_KIND_NR]; /* that are in the first view */
};

static unsigned int width_of(const struct writing *w)
{
	return w->o->width ? w->o->width : FLAME_WIDTH_DEFAULT;
}

/* The views that are in the file, the first one first. */
static void choose_views(struct writing *w)
{
	bool merged = !w->has_threads || !w->o->per_thread;

	for (size_t i = 0; i < VIEWS_MAX; i++) {
		struct flame_view v = { merged ^ (i >= 2), w->o->reversed ^ (i & 1) };

		if (i < 2 || w->has_threads)
			w->views[w->nr_views++] = v;
	}
}

/* The tree of a view: the one that was given where it is the same. */
static int view_tree(const struct writing *w, const struct flame_view *v,
		     struct flame_tree **ret_tree)
{
	*ret_tree = w->tree;
	if (!v->reversed && (!v->merged || !w->has_threads))
		return 0;
	return flame_view_make(w->tree, v, w->o->by_value, ret_tree);
}

static uint32_t name_in_file(struct writing *w, uint32_t name)
{
	if (!w->used[name]) {
		w->in_file[w->nr_used++] = name;
		w->used[name] = w->nr_used;
	}
	return w->used[name] - 1;
}

/* ---- the heading ---- */

static void put_line(const struct writing *w, const char *class, const char *text, unsigned int *y)
{
	if (!text || !*text)
		return;
	*y += LINE;
	fprintf(w->out, "<text class=\"%s\" x=\"%d\" y=\"%u\" data-text=\"", class, FLAME_PAD, *y);
	flame_put_xml(w->out, text, strlen(text));
	fputs("\">", w->out);
	flame_put_fitting(w->out, text, strlen(text), (width_of(w) - 2 * FLAME_PAD) / LETTER);
	fputs("</text>\n", w->out);
}

static unsigned int put_swatch(const struct writing *w, const char *class, const char *word,
			       unsigned int x, unsigned int y)
{
	fprintf(w->out,
		"<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"13\" height=\"13\"/>"
		"<text class=\"sub\" x=\"%u\" y=\"%u\">%s</text>\n",
		class, x, y - 11, x + 18, y, word);
	return x + 34 + 7 * (unsigned int)strlen(word);
}

/* What the colours mean: one line; in a comparison what the widths mean, too. */
static void put_legend(const struct writing *w, unsigned int *y)
{
	unsigned int x = FLAME_PAD;

	*y += LINE + 3;
	for (int i = 0; !w->o->diff && i < FLAME_KIND_NR; i++) {
		char class[4] = { 'k', (char)('0' + i) };

		if (w->kinds[i])
			x = put_swatch(w, class, kind_names[i], x, *y);
	}
	if (!w->o->diff)
		return;
	x = put_swatch(w, "grew4", "grew", x, *y);
	x = put_swatch(w, "grew2", "grew a little", x, *y);
	x = put_swatch(w, "same", "the same", x, *y);
	x = put_swatch(w, "shrank2", "shrank a little", x, *y);
	x = put_swatch(w, "shrank4", "shrank", x, *y);
	put_swatch(w, "gone", "vanished", x, *y);
	put_line(w, "note",
		 "Solid widths are those of now, 100 % together. Hatched beside them, to the same "
		 "scale, is what was before and is gone.",
		 y);
}

static void put_totals(const struct writing *w, const struct flame_layout *l, unsigned int *y)
{
	char now[48], before[48], line[160];

	flame_amount(now, sizeof(now), w->o->unit, l->boxes[0].value.value);
	flame_amount(before, sizeof(before), w->o->unit, l->boxes[0].value.before);
	if (w->o->diff)
		snprintf(line, sizeof(line), "now %s, before %s", now, before);
	else if (l->boxes[0].width)
		snprintf(line, sizeof(line), "all: %s", now);
	else
		snprintf(line, sizeof(line), "There are no stacks: there is nothing to draw.");
	put_line(w, "note", line, y);
	if (l->tenths == 1)
		return;
	snprintf(line, sizeof(line),
		 "There are too many frames to draw: those below %.1f pixels are merged.",
		 l->tenths / 10.0);
	put_line(w, "note", line, y);
}

/* Returns where the graph begins. */
static unsigned int put_heading(struct writing *w, const struct flame_layout *l)
{
	unsigned int y = 6;

	put_line(w, "title", w->o->title ? w->o->title : "Flame graph", &y);
	put_line(w, "sub", w->o->subtitle, &y);
	put_totals(w, l, &y);
	for (size_t i = 0; i < w->o->nr_notes; i++)
		put_line(w, "note", w->o->notes[i], &y);
	put_legend(w, &y);
	return y + 12;
}

/* ---- the data ---- */

static int64_t frame_number(struct writing *w, const struct flame_box *b)
{
	if (b->smaller)
		return -(int64_t)b->smaller;
	return b->depth ? (int64_t)name_in_file(w, b->frame.name) * 8 + b->frame.kind : 0;
}

static uint64_t field(const struct flame_box *b, int which)
{
	const uint64_t fields[] = { b->depth, b->value.value, b->width, b->value.count,
				    b->value.before };

	return fields[which];
}

static void put_view(struct writing *w, const struct flame_layout *l, size_t number)
{
	static const char *const names[] = { "depth", "value", "width", "count", "before" };

	fprintf(w->out, "<script type=\"application/json\" id=\"flame-view-%zu\">{\"frame\":[",
		number);
	for (size_t i = 0; i < l->nr; i++)
		fprintf(w->out, "%s%" PRId64, i ? "," : "", frame_number(w, &l->boxes[i]));
	for (int which = 0; which < 5; which++) {
		if (which == 3 ? !l->boxes[0].value.count : which >= 2 && !w->o->diff)
			continue;
		fprintf(w->out, "],\n\"%s\":[", names[which]);
		for (size_t i = 0; i < l->nr; i++)
			fprintf(w->out, "%s%" PRIu64, i ? "," : "", field(&l->boxes[i], which));
	}
	fputs("]}</script>\n", w->out);
}

static void put_pair(const struct writing *w, const char *key, const char *text)
{
	fprintf(w->out, "\"%s\":", key);
	flame_put_json(w->out, text, strlen(text));
	fputs(",\n", w->out);
}

static void put_data(const struct writing *w, unsigned int top)
{
	const struct flame_svg *o = w->o;

	fputs("<script type=\"application/json\" id=\"flame-data\">{", w->out);
	put_pair(w, "title", o->title ? o->title : "Flame graph");
	put_pair(w, "unit", o->unit == FLAME_NS ? "ns" : "samples");
	put_pair(w, "counted", o->counted ? o->counted : "sample");
	put_pair(w, "sort", o->by_value ? "value" : "name");
	fprintf(w->out,
		"\"inverted\":%d,\"reversed\":%d,\"threads\":%d,\"hasThreads\":%d,\"fixed\":%d,"
		"\"width\":%u,\"top\":%u,\n\"views\":[",
		o->inverted, o->reversed, w->has_threads && o->per_thread, w->has_threads,
		o->width != 0, width_of(w), top);
	for (size_t i = 0; i < w->nr_views; i++)
		fprintf(w->out, "%s{\"reversed\":%d,\"threads\":%d}", i ? "," : "",
			w->views[i].reversed, w->has_threads && !w->views[i].merged);
	fputs("],\n\"names\":[", w->out);
	for (uint32_t i = 0; i < w->nr_used; i++) {
		size_t len;
		const char *name = flame_tree_string(w->tree, w->in_file[i], &len);

		fputs(i ? ",\n" : "", w->out);
		flame_put_json(w->out, name, len);
	}
	fputs("]}</script>\n", w->out);
}

/* ---- the file ---- */

static void put_style(const struct writing *w)
{
	fprintf(w->out,
		"<style><![CDATA[\n%s]]></style>\n<defs><pattern id=\"flame-hatch\" width=\"7\" height=\"7\" "
		"patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect "
		"class=\"hatch-back\" width=\"7\" height=\"7\"/><line class=\"hatch-line\" x1=\"1.5\" "
		"y1=\"0\" x2=\"1.5\" y2=\"7\"/></pattern></defs>\n",
		flame_css);
}

static void put_begin(const struct writing *w)
{
	const char *title = w->o->title ? w->o->title : "Flame graph";

	if (w->o->html) {
		fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>",
		      w->out);
		flame_put_xml(w->out, title, strlen(title));
		fputs("</title>\n<style>body { margin: 0; } svg { display: block; }</style>\n"
		      "</head>\n<body>\n",
		      w->out);
	} else {
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", w->out);
	}
	fputs("<!-- drawn by whyscale " WHYSCALE_VERSION " -->\n", w->out);
}

static void use_names(struct writing *w, const struct flame_layout *l)
{
	w->kinds[FLAME_THREAD] = w->has_threads; /* in one of the views */
	for (size_t i = 1; i < l->nr; i++) {
		const struct flame_box *b = &l->boxes[i];

		if (b->smaller)
			continue;
		name_in_file(w, b->frame.name);
		w->kinds[b->frame.kind] = true;
	}
}

/* Everything up to the views; the heights are known only when the heading is written, so that goes to memory first. */
static int put_first_view(struct writing *w, const struct flame_layout *l, unsigned int *ret_top)
{
	const char *title = w->o->title ? w->o->title : "Flame graph";
	_cleanup_(free_p) char *heading = NULL;
	FILE *out = w->out;
	unsigned int height;
	size_t len;

	w->out = open_memstream(&heading, &len);
	if (!w->out) {
		w->out = out;
		return -ENOMEM;
	}
	use_names(w, l);
	*ret_top = put_heading(w, l);
	if (fclose(w->out)) {
		w->out = out;
		return -ENOMEM;
	}
	w->out = out;
	height = *ret_top + FLAME_ROW * (l->depth_max + 1) + FLAME_PAD;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flame\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\" role=\"img\" aria-label=\"",
		width_of(w), height, width_of(w), height);
	flame_put_xml(out, title, strlen(title));
	fputs("\">\n", out);
	if (!w->o->html) {
		fputs("<title>", out);
		flame_put_xml(out, title, strlen(title));
		fputs("</title>\n", out);
	}
	put_style(w);
	fputs("<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n<g id=\"flame-body\">\n", out);
	fputs(heading, out);
	fprintf(out, "<g id=\"flame-graph\" transform=\"translate(0,%u)\">\n", *ret_top);
	flame_static_write(w->tree, l, w->o, w->used, out);
	fputs("</g></g>\n", out);
	return 0;
}

static int put_views(struct writing *w, unsigned int *ret_top)
{
	int r = 0;

	for (size_t i = 0; i < w->nr_views && !r; i++) {
		struct flame_tree *t = NULL;
		struct flame_layout l = {};

		r = view_tree(w, &w->views[i], &t);
		if (!r)
			r = flame_layout_make(t, width_of(w), &l);
		if (!r && !i)
			r = put_first_view(w, &l, ret_top);
		if (!r)
			put_view(w, &l, i);
		flame_layout_free(&l);
		if (t != w->tree)
			flame_tree_free(t);
	}
	return r;
}

int flame_svg_write(struct flame_tree *t, const struct flame_svg *o, FILE *out, struct err *err)
{
	size_t nr = (size_t)flame_tree_nr_names(t) + 1;
	_cleanup_(free_p) uint32_t *used = calloc(nr, sizeof(*used));
	_cleanup_(free_p) uint32_t *in_file = calloc(nr, sizeof(*in_file));
	struct writing w = { .tree = t, .o = o, .out = out, .used = used, .in_file = in_file };
	unsigned int top = 0;
	int r = used && in_file ? 0 : -ENOMEM;

	if (!r) {
		w.has_threads = flame_view_has_threads(t);
		choose_views(&w);
		put_begin(&w);
		r = put_views(&w, &top);
	}
	if (r)
		return err_sys(err, r, "cannot draw the flame graph");
	put_data(&w, top);
	fprintf(out,
		"<script><![CDATA[\n%s]]></script>\n<script><![CDATA[\n%s]]></script>\n</svg>\n",
		flame_js, flame_ui_js);
	if (o->html)
		fputs("</body>\n</html>\n", out);
	return 0;
}
