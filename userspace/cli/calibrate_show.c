// SPDX-License-Identifier: GPL-2.0-only
/* The outputs of `whyscale calibrate`: see calibrate_show.h. */
#include "cli/calibrate_show.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/text.h"
#include "report/units.h"

/* ---- people ---- */

/* A time that may be below 0. */
static const char *signed_time(char *buf, double ns)
{
	char text[UNITS_SIZE];

	snprintf(buf, UNITS_SIZE, "%s%s", ns <= -0.5 ? "-" : "",
		 units_time(text, (uint64_t)(fabs(ns) + 0.5)));
	return buf;
}

static void estimate_cells(struct grid *g, const struct estimate *e)
{
	char a[UNITS_SIZE], b[UNITS_SIZE];

	if (!e->nr) {
		grid_cell(g, "unknown");
		grid_cell(g, "-");
		return;
	}
	grid_cell(g, "%s", signed_time(a, e->value));
	grid_cell(g, "%s to %s", signed_time(a, e->low), signed_time(b, e->high));
}

static const char *set_name(const struct capacity_row *row)
{
	static const char *const names[DISTANCE_NR] = { "of one core", "sharing a cache",
							"of one node", "of two nodes" };

	for (int d = 0; d < DISTANCE_NR; d++)
		if (!strcmp(row->what, distance_name(d)))
			return names[d];
	return "";
}

static int show_worth(const struct calibrate_result *c, int width, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "CPUS", GRID_KEY | GRID_RIGHT);
	grid_column(g, "WHICH", GRID_KEY);
	grid_column(g, "", GRID_OPTIONAL);
	grid_column(g, "WORTH", GRID_RIGHT);
	grid_column(g, "SPREAD", GRID_RIGHT);
	grid_column(g, "CPU TIME OF A TURN", GRID_RIGHT);
	for (unsigned int i = 0; i < c->nr; i++) {
		const struct capacity *worth = &c->row[i].worth;

		grid_row(g, false);
		grid_cell(g, "%u", worth->cpus);
		grid_cell(g, "%s", c->row[i].cpus);
		grid_cell(g, "%s", set_name(&c->row[i]));
		grid_cell(g, "%.2f", worth->worth);
		grid_cell(g, "%.2f to %.2f", worth->worth_min, worth->worth_max);
		grid_cell(g, "x %.2f", worth->inflation);
	}
	text_line(
		stdout, width,
		"What CPUs are worth together: a counting loop on each at once, against one alone (%.2f billion turns a second); medians of %u rounds:",
		c->nr ? c->row[0].worth.rate_alone / 1e9 : 0, c->rounds);
	return grid_print(g, width, cli_colour(stdout), stdout, err);
}

/* So much of their time without their CPUs makes a worth a matter of luck. */
#define DISTURBED 0.03

static void show_steal(const struct calibrate_result *c, int width)
{
	char text[UNITS_SIZE];
	double had = 1;
	int64_t steal_ns = c->nr ? c->row[0].worth.steal_ns : -1;

	if (steal_ns < 0)
		text_line(stdout, width,
			  "How much the host took meanwhile (steal time) is unknown.");
	else
		text_line(stdout, width,
			  "Meanwhile the host took %s of CPU time (steal time) from this machine.",
			  units_time(text, (uint64_t)steal_ns));
	for (unsigned int i = 0; i < c->nr; i++)
		had = fmin(had, c->row[i].worth.had_cpu);
	if (had < 1 - DISTURBED)
		text_line(
			stdout, width,
			"Other programs had the CPUs for %.0f %% of the time that was measured, so that little can be "
			"said: try it again while they are quiet.",
			100 * (1 - had));
}

struct cost_words {
	const char *name, *words;
};

static const struct cost_words words[] = {
	{ "yield", "a switch: two threads of one CPU yield to each other" },
	{ "handover", "a futex handed to a waiting thread of the same CPU" },
	{ "pipe", "a byte through a pipe to a waiting thread of the same CPU" },
	{ "wakeup_sibling", "a wake-up, on the core's other CPU" },
	{ "wakeup_cache", "a wake-up, on a CPU that shares a cache" },
	{ "wakeup_node", "a wake-up, on a CPU of the same node" },
	{ "wakeup_remote", "a wake-up, on a CPU of another node" },
	{ "handover_sibling", "a futex handed to the core's other CPU" },
	{ "handover_cache", "a futex handed to a CPU that shares a cache" },
	{ "handover_node", "a futex handed to a CPU of the same node" },
	{ "handover_remote", "a futex handed to a CPU of another node" },
	{ "thread", "a thread made, ended at once, joined" },
	{ "fork", "a process forked, ended at once, collected" },
	{ "exec", "a process running /bin/true, made and collected" },
};

/* There may be no CPUs at that distance. */
static bool applies(const struct named_estimate *e)
{
	return e->estimate->nr || !strchr(e->name, '_');
}

static int show_direct(const struct calibration *c, int width, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	struct named_estimate direct[CALIBRATION_DIRECT];
	struct direct_costs costs = c->direct;

	grid_column(g, "COST OF", GRID_KEY);
	grid_column(g, "MEDIAN", GRID_RIGHT);
	grid_column(g, "95 % INTERVAL", GRID_RIGHT);
	calibration_direct(&costs, direct);
	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		for (size_t i = 0; i < CALIBRATION_DIRECT; i++) {
			if (strcmp(direct[i].name, words[w].name) || !applies(&direct[i]))
				continue;
			grid_row(g, false);
			grid_cell(g, "%s", words[w].words);
			estimate_cells(g, direct[i].estimate);
		}
	}
	fputc('\n', stdout);
	return grid_print(g, width, cli_colour(stdout), stdout, err);
}

static const char *size_text(char *buf, size_t bytes)
{
	if (bytes >= 1 << 20)
		snprintf(buf, UNITS_SIZE, "%zu MiB", bytes >> 20);
	else
		snprintf(buf, UNITS_SIZE, "%zu KiB", bytes >> 10);
	return bytes ? buf : "none";
}

static int show_migrations(const struct calibration *c, int width, struct err *err)
{
	_cleanup_(grid_free_p) struct grid *g = grid_new();
	char text[UNITS_SIZE];

	if (!c->migration.nr)
		return 0;
	grid_column(g, "MOVED TO A CPU", GRID_KEY);
	grid_column(g, "WORKING SET", GRID_KEY | GRID_RIGHT);
	grid_column(g, "SLICE", GRID_RIGHT);
	grid_column(g, "AFTER A MOVE", GRID_RIGHT);
	grid_column(g, "95 % INTERVAL", GRID_RIGHT);
	for (size_t i = 0; i < c->migration.nr; i++) {
		static const char *const names[DISTANCE_NR] = {
			"of the same core", "sharing a cache", "of the same node", "of another node"
		};
		const struct migration_cost *m = &c->migration.cost[i];

		grid_row(g, false);
		grid_cell(g, "%s", names[m->distance]);
		grid_cell(g, "%s", size_text(text, m->bytes));
		grid_cell(g, "%s", signed_time(text, m->stay_ns.value));
		grid_cell(g, "%s%s", m->extra_ns.value > 0 ? "+" : "",
			  signed_time(text, m->extra_ns.value));
		grid_cell(g, "%s to %s", signed_time(text, m->extra_ns.low),
			  signed_time((char[UNITS_SIZE]){ 0 }, m->extra_ns.high));
	}
	printf("\nWhat a migration costs: the first slice after it, against one without:\n");
	return grid_print(g, width, cli_colour(stdout), stdout, err);
}

static void show_legend(int width)
{
	fputc('\n', stdout);
	text_item(
		stdout, width, "worth",
		"the turns that all loops made together over those of one alone: 2.00 is two whole CPUs; the spread is "
		"of the rounds");
	text_item(
		stdout, width, "CPU time",
		"of a turn, together over alone: above 1, CPUs that work at once slow each other down (they share a core, a cache or "
		"a host); at 1 and worth less, other programs had them meanwhile");
	text_item(
		stdout, width, "slice",
		"some arithmetic and one walk through the working set, in CPU time; after a move it takes so much longer, "
		"as the new CPU's caches must be filled");
	text_item(
		stdout, width, "95 % interval",
		"holds the true median in 95 of 100 cases, by the ranks of the measurements, whatever their distribution");
}

static void show_kept(const struct calibrate_result *c, int width)
{
	char at[64] = "?", path[4096];
	time_t seconds = (time_t)c->costs->measured_at;
	struct tm tm;

	fputc('\n', stdout);
	if (localtime_r(&seconds, &tm))
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M", &tm);
	if (c->path)
		escape_terminal(path, sizeof(path), c->path, SIZE_MAX, false);
	if (c->kept)
		text_line(
			stdout, width,
			"The costs were measured%s at %s and kept in %s; --again measures them anew. What CPUs are "
			"worth changes with the hour: that was measured now.",
			c->costs->quick ? " quickly" : "", at, path);
	else if (c->path)
		text_line(
			stdout, width,
			"The costs are kept in %s, for `whyscale run`; what CPUs are worth is not: it changes with "
			"the hour.",
			path);
}

int calibrate_show_table(const struct calibrate_result *c, struct err *err)
{
	const struct machine_identity *m = &c->costs->machine;
	char name[ESCAPE_SIZE(sizeof(m->cpu))];
	int width = cli_width(stdout), r;

	text_field(stdout, width, "machine", "%s, CPUs %s, Linux %s, %s",
		   escape_terminal(name, sizeof(name), m->cpu, sizeof(m->cpu), false), m->cpus,
		   m->kernel, m->arch);
	fputc('\n', stdout);
	r = show_worth(c, width, err);
	if (r)
		return r;
	show_steal(c, width);
	r = show_direct(c->costs, width, err);
	if (!r)
		r = show_migrations(c->costs, width, err);
	if (!r) {
		show_legend(width);
		show_kept(c, width);
	}
	return r;
}

/* ---- programs ---- */

static json_t *worth_json(const struct calibrate_result *c)
{
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < c->nr; i++) {
		const struct capacity *w = &c->row[i].worth;
		json_t *o = json_pack(
			"{s:i, s:s, s:s?, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
			"cpus", (int)w->cpus, "which", c->row[i].cpus, "distance",
			*c->row[i].what ? c->row[i].what : NULL, "worth", w->worth, "worth_min",
			w->worth_min, "worth_max", w->worth_max, "cpu_time", w->inflation,
			"cpu_time_min", w->inflation_min, "cpu_time_max", w->inflation_max,
			"rate_alone", w->rate_alone, "rate_together", w->rate_together, "had_cpu",
			w->had_cpu, "steal_ns",
			w->steal_ns < 0 ? json_null() : json_integer((json_int_t)w->steal_ns));

		if (json_array_append_new(list, o)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int calibrate_show_json(const struct calibrate_result *c, struct err *err)
{
	json_t *whole = calibration_encode(c->costs);
	int r = !whole;

	if (!r)
		r = json_object_set_new(whole, "schema", json_string("whyscale.calibrate/1")) ||
		    json_object_set_new(whole, "kept", json_boolean(c->kept)) ||
		    json_object_set_new(whole, "file",
					c->path ? escape_json(c->path, SIZE_MAX) : json_null()) ||
		    json_object_set_new(whole, "rounds", json_integer(c->rounds)) ||
		    json_object_set_new(whole, "capacity", worth_json(c));
	if (!r)
		r = json_dumpf(whole, stdout, JSON_INDENT(2)) || fputc('\n', stdout) == EOF;
	json_decref(whole);
	return r ? err_set(err, -EIO, "cannot write the result") : 0;
}
