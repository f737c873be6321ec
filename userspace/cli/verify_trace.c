// SPDX-License-Identifier: GPL-2.0-only
/* The recorded command, run again: see verify.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/costs.h"
#include "cli/trial_run.h"
#include "cli/verify.h"
#include "record/output.h"

static char **words_of(const json_t *words)
{
	size_t nr = json_array_size(words);
	char **argv = calloc(nr + 1, sizeof(*argv));

	for (size_t i = 0; argv && i < nr; i++)
		argv[i] = (char *)(json_string_value(json_array_get(words, i)) ?: "");
	return argv;
}

/* What the trace says is run with our rights: then it must be ours, or root's. */
static int check_owner(const char *path, struct err *err)
{
	struct stat st;
	uid_t uid;
	gid_t gid;

	output_caller(&uid, &gid);
	if (stat(path, &st))
		return err_set(err, -EINVAL, "cannot look at '%s' (%m): name a trace", path);
	if (!st.st_uid || st.st_uid == uid || st.st_uid == geteuid())
		return 0;
	return err_set(
		err, -EINVAL,
		"will not run the command in '%s': the trace belongs to somebody else; if you trust "
		"what it runs, copy it (cp) and verify the copy",
		path);
}

static int run_experiments(const struct explained *e, const struct verify_options *o,
			   struct trial_runner *runner, struct verified *ret, struct err *err)
{
	struct trial_bench b = { .facts = &e->facts,
				 .here = (unsigned int)CPU_COUNT(&runner->ours),
				 .processes = o->processes != NULL,
				 .may_go_first = trial_may_go_first() };
	struct machine_costs costs;
	int r = 0;

	if (e->replay.cpus > b.here) {
		snprintf(ret->why_not, sizeof(ret->why_not),
			 "it ran on %u CPUs, and only %u can be used here", e->replay.cpus, b.here);
		return 0;
	}
	if (o->fewer)
		r = trial_runner_fewer(runner, o->fewer, (unsigned int)e->work.lanes, &b.workers,
				       err);
	if (r)
		return r;
	runner->processes = o->processes;
	b.switch_ns = costs_here(&costs) ? costs.one_switch.ns : 0;
	cli_note("--verify runs this again, several times: %.500s", e->command);
	r = verify_trials(&b, runner, o->names, "", ret, err);
	if (!r && !ret->nr)
		snprintf(ret->why_not, sizeof(ret->why_not), "no experiment can tell anything");
	return r;
}

int verify_trace(const struct explained *e, const struct verify_options *o, struct verified *ret,
		 struct err *err)
{
	_cleanup_(free_p) char **argv = NULL;
	struct trial_runner runner;
	int r;

	*ret = (struct verified){};
	if (!json_array_size(e->words) || !*e->command)
		snprintf(
			ret->why_not, sizeof(ret->why_not),
			"the trace is of what was running already, there is no command to run again");
	else if (!e->replay.good)
		snprintf(ret->why_not, sizeof(ret->why_not),
			 "there is no replay to predict from: %s",
			 *e->replay.why ? e->replay.why : "it has no scheduler events");
	if (*ret->why_not)
		return 0;
	if (check_owner(e->path, err))
		return err->code;
	argv = words_of(e->words);
	if (!argv)
		return err_sys(err, -ENOMEM, "cannot run the command again");
	r = trial_runner_begin(&runner, argv, err);
	r = r ?: run_experiments(e, o, &runner, ret, err);
	trial_runner_end(&runner);
	return r;
}
