// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale calibrate: what this machine charges. What switches, wake-ups, processes and migrations cost is measured once and kept
 * (calibration.h) until the machine, its kernel or the CPUs that may be used change; what the CPUs are worth together is measured each
 * time, and never kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/calibrate_show.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/state_file.h"
#include "report/units.h"
#include "strategy/pinned.h"

struct options {
	bool json, quick, again;
};

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "print JSON, schema whyscale.calibrate/1", 0 },
	{ "quick", 'q', NULL, 0, "fewer repetitions: wider intervals", 0 },
	{ "again", 'a', NULL, 0, "measure also what is kept from an earlier time", 0 },
	{},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = true;
		return 0;
	case 'q':
		o->quick = true;
		return 0;
	case 'a':
		o->again = true;
		return 0;
	case ARGP_KEY_ARG:
		return cli_refuse(state,
				  "'%.64s' is more than calibrate takes: it has no arguments", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "calibrate",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "",
	.doc = "Measures what this machine charges: what its CPUs are worth together, and what switches, "
	       "wake-ups, new threads and processes and migrations cost. Best while nothing else runs.",
};

/* ---- what CPUs are worth together ---- */

/* Sets of CPUs to measure: the lists they are made of, and their rows. */
struct sets {
	int *cpus; /* storage, [CALIBRATE_SETS][nr of the topology] */
	struct capacity_set set[CALIBRATE_SETS];
	unsigned int nr;
};

static void add_set(struct sets *s, const struct topology *t, const unsigned int *index,
		    unsigned int nr, const char *what, struct calibrate_result *c)
{
	int *cpus = s->cpus + (size_t)s->nr * t->nr;
	uint64_t bits[PINNED_MAX_CPUS / 64] = { 0 };

	if (s->nr == CALIBRATE_SETS)
		return;
	for (unsigned int i = 0; i < nr; i++) {
		cpus[i] = t->cpu[index[i]].cpu;
		bits[cpus[i] / 64] |= 1ull << cpus[i] % 64;
	}
	units_cpus(c->row[s->nr].cpus, sizeof(c->row[s->nr].cpus), bits, PINNED_MAX_CPUS / 64);
	c->row[s->nr].what = what;
	s->set[s->nr++] = (struct capacity_set){ cpus, nr };
}

/* A pair at each distance, then more and more: each number up to 8, then doubled, and all. */
static void make_sets(struct sets *s, const struct topology *t, unsigned int *order,
		      struct calibrate_result *c)
{
	topology_spread(t, order);
	if (t->nr == 1)
		add_set(s, t, order, 1, "", c);
	for (int d = 0; d < DISTANCE_NR; d++) {
		unsigned int pair[2];

		if (!topology_pair(t, d, pair))
			add_set(s, t, pair, 2, distance_name(d), c);
	}
	for (unsigned int nr = 3; nr < t->nr; nr = nr < 8 ? nr + 1 : 2 * nr)
		add_set(s, t, order, nr, "", c);
	if (t->nr > 2)
		add_set(s, t, order, t->nr, "", c);
}

static int measure_worth(const struct topology *t, bool quick, struct calibrate_result *c,
			 struct err *err)
{
	_cleanup_(free_p) unsigned int *order = calloc(t->nr + 1, sizeof(*order));
	struct sets s = { .cpus = calloc((size_t)CALIBRATE_SETS * t->nr + 1, sizeof(int)) };
	_cleanup_(free_p) int *storage = s.cpus, *all = calloc(t->nr + 1, sizeof(*all));
	struct capacity worth[CALIBRATE_SETS];
	struct capacity_plan plan = { .cpus = all,
				      .nr_cpus = t->nr,
				      .set = s.set,
				      .rounds = quick ? 5 : 11,
				      .slice_ns = (quick ? 15 : 30) * NSEC_PER_MSEC };
	int r;

	if (!order || !s.cpus || !all)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < t->nr; i++)
		all[i] = t->cpu[i].cpu;
	make_sets(&s, t, order, c);
	plan.nr_sets = s.nr;
	r = capacity_measure_sets(&plan, worth, err);
	for (unsigned int i = 0; i < s.nr && !r; i++)
		c->row[i].worth = worth[i];
	c->nr = s.nr;
	c->rounds = plan.rounds;
	return r;
}

/* ---- what is kept ---- */

/* Good enough to be used again? Otherwise a note says why not, where there is something to say. */
static bool use_kept(const struct options *o, const struct topology *t, struct calibration *ret)
{
	struct machine_identity machine;
	struct err why = {};
	int r;

	if (o->again)
		return false;
	calibration_identity(t, &machine);
	r = calibration_load(&machine, ret, &why);
	if (r && r != -ENOENT)
		cli_note("%s: not used, measured again", why.msg);
	return !r && (!ret->quick || o->quick);
}

static void keep(struct calibration *costs, struct calibrate_result *c)
{
	struct err why = {};

	if (!calibration_save(costs, &why))
		return;
	cli_note("the costs are not kept: %s", why.msg);
	c->path = NULL;
}

static int calibrate(const struct options *o, const struct topology *t, struct calibration *costs,
		     struct calibrate_result *c, struct err *err)
{
	bool terminal = isatty(STDERR_FILENO);
	int r = 0;

	c->kept = use_kept(o, t, costs);
	if (terminal)
		fprintf(stderr, "\r\033[Kwhyscale: measuring ...");
	if (!c->kept)
		r = calibration_measure(t, o->quick, costs, err);
	if (!r)
		r = measure_worth(t, o->quick, c, err);
	if (terminal)
		fprintf(stderr, "\r\033[K");
	if (!r && !c->kept)
		keep(costs, c);
	return r;
}

static int calibrate_main(int argc, char **argv)
{
	_cleanup_(free_p) struct calibration *costs = calloc(1, sizeof(*costs));
	_cleanup_(free_p) struct calibrate_result *c = calloc(1, sizeof(*c));
	_cleanup_(free_p) char *path = state_path(CALIBRATION_FILE);
	struct topology t = {};
	struct options o = {};
	struct err err = {};
	int status, r;

	if (!cli_parse(&usage, argc, argv, &o, &status))
		return status;
	if (!costs || !c)
		return CLI_SYSTEM_FAULT;
	*c = (struct calibrate_result){ .costs = costs, .path = path };
	r = calibration_topology(&t, &err);
	if (!r)
		r = calibrate(&o, &t, costs, c, &err);
	if (!r)
		r = o.json ? calibrate_show_json(c, &err) : calibrate_show_table(c, &err);
	topology_free(&t);
	return r ? cli_fail(&err) : 0;
}

const struct cmd cmd_calibrate = {
	.name = "calibrate",
	.summary = "measure what this machine's CPUs are worth, and what switches cost",
	.run = calibrate_main,
};
