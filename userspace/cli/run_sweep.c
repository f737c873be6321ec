// SPDX-License-Identifier: GPL-2.0-only
/* The strategies' scaling curves: see run_sweep.h. */
#include "cli/run_sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "report/sweep_report.h"
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
		const char *name, struct err *err)
{
	struct report_options options = { .width = cli_width(stdout),
					  .colour = cli_colour(stdout) };
	struct sweep_findings findings;
	struct sweep_report report = { .sweep = &result->sweep,
				       .findings = &findings,
				       .argv = o->argv,
				       .how = "the number of workers",
				       .repeats = o->repeats,
				       .why_not = result->why_not };
	int r = sweep_findings_make(&result->sweep, &findings);
	json_t *one;

	if (r) {
		err_sys(err, r, "cannot explain the curve");
	} else if (list) {
		one = sweep_report_object(&report);
		if (json_object_set_new(one, "name", json_string(name)) ||
		    json_array_append_new(list, one))
			r = err_sys(err, -ENOMEM, "cannot keep the result");
	} else {
		printf("%s\n", name);
		r = sweep_report_table(&report, &options, stdout, err);
		putchar('\n');
	}
	sweep_findings_free(&findings);
	return r;
}

/* One strategy's sweep. Returns the exit status. */
static int sweep_one(const struct lab_options *lab, const struct strategy *strategy,
		     struct sweep_options *o, json_t *list)
{
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
	if (!r)
		r = sweep_lab_run(o, &result, &err);
	if (o->progress)
		fprintf(stderr, "\r\033[K");
	if (!r)
		r = show(o, &result, list, strategy->name, &err);
	sweep_free(&result.sweep);
	if (r)
		return cli_fail(&err);
	return result.interrupted ? 130 : result.exit_status;
}

static int print(json_t *list)
{
	json_t *all = json_pack("{s:s,s:[],s:O}", "schema", "whyscale.run/1", "strategies",
				"sweeps", list);
	int failed = !all || json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) ||
		     putchar('\n') == EOF;

	json_decref(all);
	if (failed)
		cli_note("cannot write the result");
	return failed ? CLI_SYSTEM_FAULT : 0;
}

int run_sweep(const struct lab_options *lab, const unsigned int *n, size_t nr, bool named,
	      bool json)
{
	json_t *list = json ? json_array() : NULL;
	struct sweep_options o = { .nr = nr,
				   .repeats = lab->repeats,
				   .no_bpf = lab->no_bpf,
				   .progress = isatty(STDERR_FILENO) ? show_progress : NULL };
	int status = 0;

	for (size_t i = 0; named && i < lab->nr; i++)
		if (lab->strategy[i]->single) {
			cli_note("%s always has one worker: leave it out, the curves of the others "
				 "begin with one",
				 lab->strategy[i]->name);
			json_decref(list);
			return CLI_BAD_INPUT;
		}
	memcpy(o.n, n, nr * sizeof(*n));
	for (size_t i = 0; i < lab->nr && status != 130; i++) {
		int its;

		if (lab->strategy[i]->single)
			continue;
		its = sweep_one(lab, lab->strategy[i], &o, list);
		status = status && its != 130 ? status : its;
	}
	if (json && print(list))
		status = CLI_SYSTEM_FAULT;
	json_decref(list);
	return status;
}
