// SPDX-License-Identifier: GPL-2.0-only
/* The strategies' scaling curves: see run_sweep.h. */
#include "cli/run_sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/lab.h"
#include "cli/sweep_show.h"
#include "strategy/strategy_args.h"

static const char *now_running;

static void show_progress(unsigned int n, unsigned int round, unsigned int rounds)
{
	if (rounds > 1)
		fprintf(stderr, "\r\033[Kwhyscale: %s: round %u of %u: %u workers", now_running,
			round, rounds, n);
	else
		fprintf(stderr, "\r\033[Kwhyscale: %s: %u workers", now_running, n);
	fflush(stderr);
}

static int show(const struct sweep_options *o, const struct sweep_result *result, json_t *list,
		const char *name, struct sweep_picture *picture, struct err *err)
{
	json_t *one = NULL;
	char how[80];
	int r;

	if (!list)
		printf("%s\n", name);
	snprintf(how, sizeof(how), "the number of workers of %s", name);
	r = sweep_show(o, result, how, picture, list ? &one : NULL, err);
	if (!list)
		putchar('\n');
	else if (!r && (json_object_set_new(one, "name", json_string(name)) ||
			json_array_append(list, one)))
		r = err_sys(err, -ENOMEM, "cannot keep the result");
	json_decref(one);
	return r;
}

/* What one strategy's curve leaves behind. */
struct places {
	char *keep, *svg; /* owned; NULL: nothing */
};

static void places_free(struct places *p)
{
	free(p->keep);
	free(p->svg);
}

static bool several(const struct lab_options *lab)
{
	size_t nr = 0;

	for (size_t i = 0; i < lab->nr; i++)
		nr += !lab->strategy[i]->single;
	return nr > 1;
}

/* "curve.svg" becomes "curve-py-threads.svg". */
static int find_places(const struct lab_options *lab, const char *svg, const char *name,
		       struct places *ret, struct err *err)
{
	size_t len = svg ? strlen(svg) : 0;
	bool ends = len > 4 && !strcmp(svg + len - 4, ".svg");
	int r = 0;

	if (lab->keep)
		r = asprintf(&ret->keep, "%s/%s", lab->keep, name);
	if (r >= 0 && svg && several(lab))
		r = asprintf(&ret->svg, "%.*s-%s%s", (int)(ends ? len - 4 : len), svg, name,
			     ends ? ".svg" : "");
	else if (r >= 0 && svg)
		r = asprintf(&ret->svg, "%s", svg);
	return r < 0 ? err_sys(err, -ENOMEM, "cannot name the files") : 0;
}

/* One strategy's sweep. Returns the exit status. */
static int sweep_one(const struct lab_options *lab, const struct strategy *strategy,
		     struct sweep_options *o, const char *svg, json_t *list)
{
	_cleanup_(places_free) struct places places = {};
	struct sweep_picture picture = { .fd = -1 };
	static char self[4096];
	struct strategy_job job = { .strategy = strategy,
				    .count = lab->count,
				    .workers = 1,
				    .python = lab->python,
				    .full = lab->full };
	struct sweep_result result = {};
	struct err err = {};
	char count[24];
	char *argv[] = { self,       "count",     (char *)strategy->name,
			 "--count",  count,       "--workers",
			 "{n}",      "--python",  NULL,
			 "--result", "/dev/null", NULL };
	int r = strategy_args_check(&job, &err);

	if (!r && readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		r = err_sys(&err, -errno, "cannot find the program file of whyscale");
	argv[8] = (char *)(job.python ? job.python : STRATEGY_PYTHON_DEFAULT);
	snprintf(count, sizeof(count), "%" PRIu64, job.count);
	o->argv = argv;
	now_running = strategy->name;
	r = r ?: find_places(lab, svg, strategy->name, &places, &err);
	r = r ?: sweep_picture_begin(&picture, places.svg, &err);
	o->keep = places.keep;
	if (!r)
		r = sweep_lab_run(o, &result, &err);
	if (o->progress)
		fprintf(stderr, "\r\033[K");
	if (!r)
		r = show(o, &result, list, strategy->name, &picture, &err);
	sweep_picture_end(&picture);
	sweep_free(&result.sweep);
	if (r)
		return cli_fail(&err);
	return result.interrupted ? 130 : result.exit_status;
}

static int print(json_t *list)
{
	json_t *all = json_pack("{s:s,s:[],s:O}", "schema", "whyscale.run/1", "strategies",
				"sweeps", list);
	bool printed = cli_print_json(all);

	json_decref(all);
	if (!printed)
		cli_note("cannot write the result");
	return printed ? 0 : CLI_SYSTEM_FAULT;
}

/* The directory that holds one for each strategy. */
static int make_keep(const char *keep, struct err *err)
{
	char ours[LAB_DIR] = "";
	int r = keep ? lab_directory(keep, ours, err) : 0;

	if (*ours)
		rmdir(ours);
	return r;
}

int run_sweep(const struct lab_options *lab, const struct run_sweep_options *asked)
{
	json_t *list = NULL;
	struct err err = {};
	struct sweep_options o = { .nr = asked->nr,
				   .repeats = lab->repeats,
				   .no_bpf = lab->no_bpf,
				   .progress = isatty(STDERR_FILENO) ? show_progress : NULL };
	int status = 0;

	for (size_t i = 0; asked->named && i < lab->nr; i++)
		if (lab->strategy[i]->single) {
			cli_note("%s always has one worker: leave it out, the curves of the others "
				 "begin with one",
				 lab->strategy[i]->name);
			return CLI_BAD_INPUT;
		}
	if (make_keep(lab->keep, &err))
		return cli_fail(&err);
	list = asked->json ? json_array() : NULL;
	memcpy(o.n, asked->n, asked->nr * sizeof(*asked->n));
	for (size_t i = 0; i < lab->nr && status != 130; i++) {
		int its;

		if (lab->strategy[i]->single)
			continue;
		its = sweep_one(lab, lab->strategy[i], &o, asked->svg, list);
		status = status && its != 130 ? status : its;
	}
	if (asked->json && print(list))
		status = CLI_SYSTEM_FAULT;
	json_decref(list);
	return status;
}
