// SPDX-License-Identifier: GPL-2.0-only
/* The first view without scripts: see flame_static.h. What flame.js draws, and so alike that nothing jumps. */
#include "report/flame_static.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/flame_text.h"
#include "report/units.h"

#define GAP 0.6         /* pixels between siblings, where there is room */
#define CELL 7.25       /* the width of a character */
#define BOX_LEAST 1.0   /* pixels: narrower boxes become part of a path */
#define THIN 4.0        /* pixels: what vanished has an outline if it is wider */
#define TITLE_LEAST 8.0 /* pixels: narrower boxes have no tooltip */
#define CLASS_SIZE 16

struct drawing {
	const struct flame_tree *tree;
	const struct flame_layout *l;
	const struct flame_svg *o;
	FILE *out;
	double scale;         /* pixels for one of the unit */
	const uint32_t *used; /* of each name: its number in the file + 1 */
};

void flame_amount(char *buf, size_t size, enum flame_unit unit, uint64_t value)
{
	char number[UNITS_SIZE];

	if (unit == FLAME_NS)
		snprintf(buf, size, "%s", units_time(number, value));
	else
		snprintf(buf, size, "%s sample%s", units_grouped(number, value),
			 value == 1 ? "" : "s");
}

static bool is_gone(const struct flame_box *b)
{
	return !b->value.value && b->value.before;
}

/* How a box changed: as change() in flame.js. */
static void change_class(const struct drawing *d, const struct flame_box *b, char *class)
{
	const struct flame_value *v = &b->value, *all = &d->l->boxes[0].value;
	double whole = (double)(all->value > all->before ? all->value : all->before);
	double delta = fabs((double)v->value - (double)v->before);
	/* two graphs of nothing have no whole */
	unsigned int level = whole > 0 ? (unsigned int)ceil(sqrt(delta / whole) * 8) : 0;

	if (is_gone(b))
		snprintf(class, CLASS_SIZE, "gone");
	else if (!level || delta * 1000 < whole)
		snprintf(class, CLASS_SIZE, "same");
	else
		snprintf(class, CLASS_SIZE, "%s%u", v->value > v->before ? "grew" : "shrank",
			 level < 4 ? level : 4);
}

static const char *class_of(const struct drawing *d, const struct flame_box *b, char *class)
{
	if (d->o->diff)
		change_class(d, b, class);
	else if (b->smaller || !b->depth)
		snprintf(class, CLASS_SIZE, "k%d", FLAME_NOTE);
	else
		snprintf(class, CLASS_SIZE, "k%u", b->frame.kind);
	return class;
}

static double x_of(const struct drawing *d, uint64_t at)
{
	return FLAME_PAD + (double)at * d->scale;
}

static unsigned int y_of(const struct drawing *d, const struct flame_box *b)
{
	return FLAME_ROW * (d->o->inverted ? b->depth : d->l->depth_max - b->depth);
}

/* The box's name; one that is made here is in buf. */
static const char *name_of(const struct drawing *d, const struct flame_box *b, char buf[40],
			   size_t *ret_len)
{
	if (!b->smaller && b->depth)
		return flame_tree_string(d->tree, b->frame.name, ret_len);
	if (b->smaller)
		snprintf(buf, 40, "(%u smaller)", b->smaller);
	else
		snprintf(buf, 40, "all");
	*ret_len = strlen(buf);
	return buf;
}

static void put_title(const struct drawing *d, const struct flame_box *b)
{
	char amount[UNITS_SIZE + 16], percent[UNITS_SIZE], before[UNITS_SIZE + 16], buf[40];
	size_t len;
	const char *name = name_of(d, b, buf, &len);

	fputs("<title>", d->out);
	flame_put_xml(d->out, name, len);
	flame_amount(amount, sizeof(amount), d->o->unit, b->value.value);
	units_percent(percent, b->value.value, d->l->boxes[0].value.value);
	fprintf(d->out, ": %s, ", amount);
	flame_put_xml(d->out, percent, strlen(percent)); /* it may be "<0.01 %" */
	if (d->o->diff) {
		flame_amount(before, sizeof(before), d->o->unit, b->value.before);
		fprintf(d->out, "; before %s", before);
	}
	fputs("</title>", d->out);
}

static void put_box(const struct drawing *d, const struct flame_box *b)
{
	double x = x_of(d, b->at), width = (double)b->width * d->scale;
	double solid = is_gone(b) || !d->o->diff ? width : (double)b->value.value * d->scale;
	double text_width = solid < 40 ? width : solid;
	char class[CLASS_SIZE], shade[8] = "", buf[40];
	unsigned int y = y_of(d, b);
	size_t len;
	const char *name = name_of(d, b, buf, &len);

	if (is_gone(b) && width < THIN)
		snprintf(shade, sizeof(shade), " thin");
	if (!d->o->diff && b->depth && !b->smaller)
		snprintf(shade, sizeof(shade), " v%u", (d->used[b->frame.name] - 1) % 3);
	fprintf(d->out,
		"<g class=\"f\"><rect class=\"box %s%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" "
		"rx=\"1.5\">",
		class_of(d, b, class), shade, x, y, solid > 3 ? solid - GAP : solid, FLAME_ROW - 1);
	if (width >= TITLE_LEAST)
		put_title(d, b);
	fputs("</rect>", d->out);
	if (width - solid > 0.05)
		fprintf(d->out,
			"<rect class=\"gone%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\"/>",
			width - solid < THIN ? " thin" : "", x + solid, y, width - solid,
			FLAME_ROW - 1);
	if (text_width >= 3 * CELL + 6) {
		fprintf(d->out, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 13);
		flame_put_fitting(d->out, name, len, (size_t)((text_width - 6) / CELL));
		fputs("</text>", d->out);
	}
	fputs("</g>\n", d->out);
}

/* What is narrower than a pixel, of one class: one path, and in it not more than two marks for each pixel of a row. */
static void put_strips(const struct drawing *d, const char *class)
{
	double last[FLAME_DEPTH_MAX + 2];
	bool begun = false;

	for (size_t i = 0; i <= d->l->depth_max && i < FLAME_DEPTH_MAX + 2; i++)
		last[i] = -1;
	for (size_t i = 0; i < d->l->nr; i++) {
		const struct flame_box *b = &d->l->boxes[i];
		double x = x_of(d, b->at), width = (double)b->width * d->scale;
		char its[CLASS_SIZE];

		if (width >= BOX_LEAST || !b->depth || x < last[b->depth] ||
		    strcmp(class_of(d, b, its), class) != 0)
			continue;
		width = width < 0.4 ? 0.4 : width;
		last[b->depth] = floor(2 * x + 1) / 2;
		fprintf(d->out, "%sM%.1f %uh%.1fv%dh%.1fz", begun ? "" : "<path d=\"", x,
			y_of(d, b), width, FLAME_ROW - 1, -width);
		begun = true;
	}
	if (begun)
		fprintf(d->out, "\" class=\"%s\"/>\n", class);
}

void flame_static_write(const struct flame_tree *t, const struct flame_layout *l,
			const struct flame_svg *o, const uint32_t *used, FILE *out)
{
	static const char *const kinds[] = { "k0", "k1", "k2", "k3", "k4", "k5", "k6" };
	static const char *const changes[] = { "same",  "gone",    "grew1",   "grew2",   "grew3",
					       "grew4", "shrank1", "shrank2", "shrank3", "shrank4" };
	unsigned int pixels = (o->width ? o->width : FLAME_WIDTH_DEFAULT) - 2 * FLAME_PAD;
	uint64_t whole = l->boxes[0].width;
	struct drawing d = { t, l, o, out, whole ? (double)pixels / (double)whole : 0, used };

	for (size_t i = 0; !o->diff && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		put_strips(&d, kinds[i]);
	for (size_t i = 0; o->diff && i < sizeof(changes) / sizeof(changes[0]); i++)
		put_strips(&d, changes[i]);
	for (size_t i = 0; i < l->nr; i++)
		if (!i || (double)l->boxes[i].width * d.scale >= BOX_LEAST)
			put_box(&d, &l->boxes[i]);
}
