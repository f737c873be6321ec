// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scaling curve as one SVG file, without scripts and without any reference to a network: light or dark as the reader's system has it,
 * described in words for who does not see it.
 *
 *   speedup ^          ideal /      measured points (hollow: left out of the fits), a bar from the slowest to the fastest run,
 *           |           /  ___ USL  the fitted curves with their parameters at their ends
 *           |       / o---
 *           +---------------> n
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/flame_text.h"
#include "report/sweep_report.h"
#include "report/units.h"

#define WIDTH 900
#define HEIGHT 590
#define LEFT 64.0 /* of the plot, in pixels */
#define RIGHT 680.0
#define TOP 118.0
#define BOTTOM 490.0
#define STEPS 120 /* of a curve */
#define LABEL_APART 34.0
#define TICK_APART 26.0

static const char style[] =
	"svg.curve{font:13px system-ui,\"DejaVu Sans\",sans-serif;color-scheme:light;background:#ffffff;"
	"max-width:100%;min-width:600px;height:auto}\n"
	".curve text{fill:#1a1a1a}.curve .bg{fill:#ffffff}.curve .title{font-weight:bold;font-size:16px}\n"
	".curve .sub{fill:#4a4a4a}.curve .axis{stroke:#4a4a4a;fill:none}.curve .grid{stroke:#e2e2e2}\n"
	".curve .line{fill:none;stroke-width:2}.curve .ideal{stroke:#767676;stroke-dasharray:5 4}\n"
	".curve .amdahl{stroke:#b45309}.curve .usl{stroke:#7c3aed;stroke-dasharray:9 3}\n"
	".curve text.amdahl,.curve text.usl,.curve text.ideal{stroke:none}\n"
	".curve text.amdahl{fill:#9a4507}.curve text.usl{fill:#6d28d9}.curve text.ideal{fill:#5a5a5a}\n"
	".curve .point{fill:#0b4fb3;stroke:#0b4fb3;stroke-width:2}.curve .out{fill:#ffffff}\n"
	".curve .bar{stroke:#0b4fb3;stroke-width:1.5;fill:none}\n"
	"@media (prefers-color-scheme:dark){svg.curve{color-scheme:dark;background:#17191c}\n"
	".curve text{fill:#f2f2f2}.curve .bg{fill:#17191c}.curve .sub{fill:#b9bcc0}\n"
	".curve .axis{stroke:#b9bcc0}.curve .grid{stroke:#33373c}.curve .ideal{stroke:#9a9ea3}\n"
	".curve .amdahl{stroke:#f0a35a}.curve .usl{stroke:#b79bff}\n"
	".curve text.amdahl{fill:#f0a35a}.curve text.usl{fill:#c3adff}.curve text.ideal{fill:#b9bcc0}\n"
	".curve .point{fill:#7fb3ff;stroke:#7fb3ff}.curve .out{fill:#17191c}.curve .bar{stroke:#7fb3ff}}\n";

/* The plot's range, and where to write. */
struct plot {
	const struct sweep *s;
	FILE *out;
	double n_min, n_max, top; /* speedup from 0 to top */
};

static double x_of(const struct plot *p, double n)
{
	double span = p->n_max > p->n_min ? p->n_max - p->n_min : 1;

	return LEFT + 24 + (n - p->n_min) / span * (RIGHT - LEFT - 48);
}

static double y_of(const struct plot *p, double speedup)
{
	return BOTTOM - speedup / p->top * (BOTTOM - TOP);
}

static double ideal(const struct plot *p, double n)
{
	return n / p->s->base->n;
}

/* Speedup of a run that took so long. */
static double speedup_of(const struct plot *p, uint64_t wall_ns)
{
	return wall_ns ? (double)p->s->base->median.wall_ns / (double)wall_ns : 0;
}

/* The points decide; of the ideal line as much as is not far above them. */
static void set_range(struct plot *p)
{
	double most = 0;

	for (size_t i = 0; i < p->s->nr; i++) {
		const struct sweep_point *point = &p->s->point[i];

		if (point->failed)
			continue;
		p->n_min = p->n_min > 0 ? p->n_min : point->n;
		p->n_max = point->n;
		most = fmax(most, speedup_of(p, point->min_ns));
	}
	p->top = fmax(1.2 * most, fmin(1.05 * ideal(p, p->n_max), 2.2 * most));
}

/* ---- the frame ---- */

static void put_text(FILE *out, const char *text)
{
	flame_put_xml(out, text, strlen(text));
}

static void put_heading(const struct plot *p, const struct sweep_report *r)
{
	char command[512];

	sweep_report_command(r, command, sizeof(command));
	fprintf(p->out,
		"<text class=\"title\" x=\"20\" y=\"30\">How it scales: speedup over n = %u</text>\n"
		"<text class=\"sub\" x=\"20\" y=\"52\">",
		p->s->base->n);
	flame_put_fitting(p->out, command, strlen(command), 110);
	fprintf(p->out, "</text>\n<text class=\"sub\" x=\"20\" y=\"72\">n: ");
	put_text(p->out, r->how);
	fprintf(p->out, "; %u CPU%s; %u run%s of each n</text>\n", p->s->cpus,
		p->s->cpus == 1 ? "" : "s", r->repeats, r->repeats == 1 ? "" : "s");
}

/* Round numbers, two to six of them. */
static double tick_step(double top)
{
	static const double times[] = { 1, 2, 5 };
	double step = pow(10, floor(log10(top / 6)));

	for (int i = 0; i < 3; i++)
		if (top / (step * times[i]) <= 6)
			return step * times[i];
	return step * 10;
}

static void put_axes(const struct plot *p)
{
	double step = tick_step(p->top), last = -INFINITY;

	for (int i = 0; i * step <= p->top; i++) {
		double y = y_of(p, i * step);

		fprintf(p->out,
			"<line class=\"grid\" x1=\"%.0f\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\"/>"
			"<text class=\"sub\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
			LEFT, y, RIGHT, y, LEFT - 8, y + 4, i * step);
	}
	for (size_t i = 0; i < p->s->nr; i++) {
		double x = x_of(p, p->s->point[i].n);

		if (p->s->point[i].failed || x - last < TICK_APART)
			continue;
		last = x;
		fprintf(p->out,
			"<text class=\"sub\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%u</text>\n",
			x, BOTTOM + 20, p->s->point[i].n);
	}
	fprintf(p->out,
		"<path class=\"axis\" d=\"M%.0f %.0fV%.0fH%.0f\"/>\n"
		"<text class=\"sub\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">n</text>\n"
		"<text class=\"sub\" x=\"%.0f\" y=\"%.0f\">speedup</text>\n",
		LEFT, TOP, BOTTOM, RIGHT, (LEFT + RIGHT) / 2, BOTTOM + 42, LEFT - 44, TOP - 18);
}

/* ---- the curves ---- */

struct curve {
	const char *class;
	char label[2][80];     /* two lines */
	const struct fit *fit; /* NULL: the ideal line */
	double at;             /* where its label is, in pixels */
};

static double curve_at(const struct plot *p, const struct curve *c, double n)
{
	return c->fit ? sweep_curve(p->s, c->fit, n) : ideal(p, n);
}

/* From the smallest n to the largest; what is above the plot is cut off by its clip path. */
static void put_curve(const struct plot *p, const struct curve *c)
{
	fprintf(p->out, "<path class=\"line %s\" clip-path=\"url(#plot)\" d=\"", c->class);
	for (int i = 0; i <= STEPS; i++) {
		double n = p->n_min + (p->n_max - p->n_min) * i / STEPS;

		fprintf(p->out, "%s%.1f %.1f", i ? "L" : "M", x_of(p, n),
			fmax(y_of(p, curve_at(p, c, n)), -10000));
	}
	fprintf(p->out, "\"/>\n");
}

static void value_words(char *buf, size_t size, const char *name, double value, double se)
{
	int digits = value > 0 && value < 0.01 ? 5 : 3;

	if (isnan(se))
		snprintf(buf, size, "%s %.*f", name, digits, value);
	else
		snprintf(buf, size, "%s %.*f \xc2\xb1%.*f", name, digits, value, digits, se);
}

static size_t choose_curves(const struct plot *p, struct curve *c)
{
	const struct fit *amdahl = &p->s->fit[LAW_AMDAHL], *usl = &p->s->fit[LAW_USL];
	size_t nr = 0;
	char sigma[40], kappa[40];

	c[nr++] = (struct curve){ .class = "ideal", .label = { "ideal", "" } };
	if (amdahl->ok) {
		c[nr] = (struct curve){ .class = "amdahl", .fit = amdahl };
		value_words(sigma, sizeof(sigma), "serial", amdahl->value[FIT_SIGMA],
			    amdahl->se[FIT_SIGMA]);
		snprintf(c[nr].label[0], sizeof(c[nr].label[0]), "Amdahl's law");
		snprintf(c[nr++].label[1], sizeof(c[nr].label[1]), "%s", sigma);
	}
	if (usl->ok) {
		c[nr] = (struct curve){ .class = "usl", .fit = usl };
		value_words(sigma, sizeof(sigma), "USL: \xcf\x83", usl->value[FIT_SIGMA],
			    usl->se[FIT_SIGMA]);
		value_words(kappa, sizeof(kappa), "\xce\xba", usl->value[FIT_KAPPA],
			    usl->se[FIT_KAPPA]);
		snprintf(c[nr].label[0], sizeof(c[nr].label[0]), "%s", sigma);
		snprintf(c[nr++].label[1], sizeof(c[nr].label[1]), "%s", kappa);
	}
	return nr;
}

static int upper_first(const void *a, const void *b)
{
	const struct curve *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* The ideal line mostly leaves the plot at its top: its label stands there. */
static bool put_ideal(const struct plot *p)
{
	double n = p->top * p->s->base->n, x = x_of(p, n);

	if (n >= p->n_max)
		return false;
	fprintf(p->out, "<text class=\"ideal\" x=\"%.1f\" y=\"%.1f\">ideal</text>\n", x + 8,
		TOP + 8);
	return true;
}

/* At the curves' ends, apart from one another; of one that leaves the plot, at its top. The first is the ideal line. */
static void put_labels(const struct plot *p, struct curve *c, size_t nr)
{
	if (put_ideal(p)) {
		c++;
		nr--;
	}
	for (size_t i = 0; i < nr; i++)
		c[i].at = fmax(y_of(p, curve_at(p, &c[i], p->n_max)), TOP) + 4;
	qsort(c, nr, sizeof(*c), upper_first);
	for (size_t i = 1; i < nr; i++)
		c[i].at = fmax(c[i].at, c[i - 1].at + LABEL_APART);
	for (size_t i = nr; i-- > 0;) {
		double most = i + 1 < nr ? c[i + 1].at - LABEL_APART : BOTTOM - 12;

		c[i].at = fmin(c[i].at, most);
	}
	for (size_t i = 0; i < nr; i++)
		for (int line = 0; line < 2 && *c[i].label[line]; line++) {
			fprintf(p->out, "<text class=\"%s\" x=\"%.0f\" y=\"%.1f\">", c[i].class,
				RIGHT + 10, c[i].at + 16 * line);
			put_text(p->out, c[i].label[line]);
			fprintf(p->out, "</text>\n");
		}
}

/* ---- the points ---- */

static void put_point(const struct plot *p, const struct sweep_point *point)
{
	double x = x_of(p, point->n), y = y_of(p, point->speedup);
	double low = y_of(p, speedup_of(p, point->max_ns)),
	       high = y_of(p, speedup_of(p, point->min_ns));
	char wall[UNITS_SIZE];

	fprintf(p->out,
		"<g class=\"measured\" data-n=\"%u\" data-speedup=\"%.6f\"><title>n = %u: %s, %.2f times as fast%s</title>",
		point->n, point->speedup, point->n, units_time(wall, point->median.wall_ns),
		point->speedup, point->crowded ? "; left out of the fits" : "");
	if (point->max_ns > point->min_ns)
		fprintf(p->out,
			"<path class=\"bar\" d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1fM%.1f %.1fH%.1f\"/>",
			x - 6, high, x + 6, x, high, low, x - 6, low, x + 6);
	fprintf(p->out, "<circle class=\"point%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/></g>\n",
		point->crowded ? " out" : "", x, y);
}

static void put_key(const struct plot *p, const struct sweep_report *r)
{
	double y = HEIGHT - 34;
	bool out = false;

	for (size_t i = 0; i < p->s->nr; i++)
		out |= !p->s->point[i].failed && p->s->point[i].crowded;
	fprintf(p->out,
		"<circle class=\"point\" cx=\"25\" cy=\"%.0f\" r=\"5\"/>"
		"<text class=\"sub\" x=\"38\" y=\"%.0f\">measured%s</text>\n",
		y - 4, y,
		r->repeats > 1 ?
			" (the median run; the bar reaches from the slowest to the fastest)" :
			"");
	y += 20;
	if (out)
		fprintf(p->out,
			"<circle class=\"point out\" cx=\"25\" cy=\"%.0f\" r=\"5\"/><text class=\"sub\" x=\"38\" "
			"y=\"%.0f\">left out of the fits: more workers than CPUs, which took turns</text>\n",
			y - 4, y);
}

/* The whole in words, for who does not see it. */
static void put_description(const struct plot *p, const struct sweep_report *r,
			    const struct curve *c, size_t nr)
{
	fprintf(p->out, "<title id=\"curve-title\">The speedup of a program over n</title>\n"
			"<desc id=\"curve-desc\">");
	for (size_t i = 0; i < p->s->nr; i++)
		if (!p->s->point[i].failed)
			fprintf(p->out, "n = %u: %.2f times as fast%s. ", p->s->point[i].n,
				p->s->point[i].speedup,
				p->s->point[i].crowded ? " (left out of the fits)" : "");
	for (size_t i = 0; i < nr; i++)
		if (c[i].fit) {
			put_text(p->out, c[i].label[0]);
			fputs(", ", p->out);
			put_text(p->out, c[i].label[1]);
			fputs(". ", p->out);
		}
	for (size_t i = 0; i < r->findings->curve.nr; i++) {
		put_text(p->out, r->findings->curve.finding[i].sentence);
		fputc(' ', p->out);
	}
	fprintf(p->out, "</desc>\n");
}

int sweep_report_svg(const struct sweep_report *r, FILE *out, struct err *err)
{
	struct plot p = { .s = r->sweep, .out = out };
	struct curve curves[3];
	size_t nr;

	set_range(&p);
	nr = choose_curves(&p, curves);
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"curve\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\" aria-labelledby=\"curve-title curve-desc\">\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	put_description(&p, r, curves, nr);
	fprintf(out,
		"<style>\n%s</style>\n<clipPath id=\"plot\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/>"
		"</clipPath>\n<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n",
		style, LEFT, TOP - 4, RIGHT - LEFT, BOTTOM - TOP + 4, WIDTH, HEIGHT);
	put_heading(&p, r);
	put_axes(&p);
	for (size_t i = 0; p.n_max > p.n_min && i < nr; i++)
		put_curve(&p, &curves[i]);
	for (size_t i = 0; i < p.s->nr; i++)
		if (!p.s->point[i].failed)
			put_point(&p, &p.s->point[i]);
	if (p.n_max > p.n_min)
		put_labels(&p, curves, nr);
	put_key(&p, r);
	fprintf(out, "</svg>\n");
	return ferror(out) ? err_set(err, -EIO, "cannot write the picture") : 0;
}
