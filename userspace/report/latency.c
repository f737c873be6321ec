// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run-queue latency: how long threads that were ready to run waited for a CPU, as runqlat shows it.
 *
 * The ledger counts by powers of two of nanoseconds. Shown are powers of two of 1.024 us (2^10 ns), which people may
 * read as microseconds; the percentiles come from a finer count, in exact microseconds.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/grid.h"
#include "report/report.h"
#include "report/text.h"
#include "report/units.h"

#define STARS 40
#define USEC_SHIFT 10
#define FIRST_BUCKET (USEC_SHIFT + 1) /* what lies below is the row "0 -> 1" */

static const double shares[] = { 0.5, 0.9, 0.99, 0.999 };

static void percentile_row(struct grid *g, const char *name, const struct latency *lat)
{
	char text[UNITS_SIZE];

	grid_row(g, false);
	grid_cell(g, "%s", name);
	grid_cell(g, "%" PRIu64, lat->count);
	grid_cell(g, "%s", units_time(text, lat->total_ns));
	grid_cell(g, "%s", lat->count ? units_time(text, lat->total_ns / lat->count) : "-");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		grid_cell(g, "%s",
			  lat->count ? units_time(text, latency_percentile(lat, shares[i])) : "-");
	grid_cell(g, "%s", lat->count ? units_time(text, lat->max_ns) : "-");
}

static int print_percentiles(const struct latency *wakeup, const struct latency *preempted,
			     const struct report_options *o, FILE *out, struct err *err)
{
	static const char *const names[] = { "waits", "total", "mean",   "50 %",
					     "90 %",  "99 %",  "99.9 %", "longest" };
	_cleanup_(grid_free_p) struct grid *g = grid_new();

	grid_column(g, "ready to run", GRID_KEY);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		grid_column(g, names[i], GRID_RIGHT);
	percentile_row(g, "after a wake-up", wakeup);
	percentile_row(g, "after a preemption", preempted);
	text_line(out, o->width,
		  "How long threads that were ready to run waited for a CPU (90 %%: nine in ten "
		  "waited no longer):");
	return grid_print(g, o->width, o->colour, out, err);
}

/* The count of row r: 0 is [0, 2) of 1.024 us, r is [2^r, 2^(r+1)). */
static uint64_t row_count(const struct latency *lat, unsigned int r)
{
	uint64_t count = 0;

	if (r)
		return lat->bucket[USEC_SHIFT + r];
	for (unsigned int i = 0; i < FIRST_BUCKET; i++)
		count += lat->bucket[i];
	return count;
}

static void print_histogram(const char *title, const struct latency *lat, FILE *out)
{
	const unsigned int rows = LATENCY_BUCKETS - USEC_SHIFT;
	unsigned int last = 0;
	uint64_t largest = 0;

	if (!lat->count)
		return;
	for (unsigned int r = 0; r < rows; r++) {
		uint64_t count = row_count(lat, r);

		if (count)
			last = r;
		if (count > largest)
			largest = count;
	}
	fprintf(out, "\n%s:\n%10s %-13s : %-9s distribution\n", title, "", "usecs", "count");
	for (unsigned int r = 0; r <= last; r++) {
		uint64_t count = row_count(lat, r);
		unsigned int stars =
			largest ? (unsigned int)((double)count * STARS / (double)largest) : 0;

		fprintf(out, "%10" PRIu64 " -> %-10" PRIu64 " : %-9" PRIu64 "|%.*s%*s|\n",
			r ? (uint64_t)1 << r : 0, ((uint64_t)2 << r) - 1, count, (int)stars,
			"****************************************", (int)(STARS - stars), "");
	}
}

static int print_latency(const struct loaded *l, const struct report_options *o, FILE *out,
			 struct err *err)
{
	const struct latency *wakeup = ledger_latency(l->ledger, true);
	const struct latency *preempted = ledger_latency(l->ledger, false);
	int r;

	if (!wakeup->count && !preempted->count) {
		fprintf(out, "No wait for a CPU was recorded.\n");
		return 0;
	}
	r = print_percentiles(wakeup, preempted, o, out, err);
	if (r)
		return r;
	print_histogram("after a wake-up", wakeup, out);
	print_histogram("after a preemption", preempted, out);
	if (!o->no_legend)
		fprintf(out, "\n  usecs are of 1.024 us (1024 ns)\n");
	return 0;
}

const struct report_form form_latency = {
	.name = "latency",
	.help = "how long ready threads waited for a CPU: percentiles and histogram",
	.print = print_latency,
};
