// SPDX-License-Identifier: GPL-2.0-only
/* The recorded command, run again on fewer or more CPUs: see verify.h. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/verify.h"
#include "record/record.h"

struct bench {
	const struct explained *e;
	char **argv; /* of the command, ended by NULL */
	char dir[4096];
	char path[4200];
	cpu_set_t ours; /* the CPUs that we may use */
	bool own_cpus;  /* the command sets its own */
};

/* ---- one run ---- */

/* The first nr of our CPUs. */
static cpu_set_t some_cpus(const struct bench *b, unsigned int nr)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr; cpu++)
		if (CPU_ISSET(cpu, &b->ours)) {
			CPU_SET(cpu, &set);
			nr--;
		}
	return set;
}

/* Records the command on so many CPUs; *ret_ns: how long it took. */
static int run_on(struct bench *b, unsigned int cpus, uint64_t *ret_ns, struct err *err)
{
	_cleanup_(free_p) struct replay *replay = calloc(1, sizeof(*replay));
	struct record_options options = { .what = RECORD_COMMAND,
					  .argv = b->argv,
					  .output = b->path,
					  .stdout_fd = STDERR_FILENO };
	cpu_set_t set = some_cpus(b, cpus);
	struct record_result recorded;
	int r;

	if (!replay)
		return err_sys(err, -ENOMEM, "cannot run the command again");
	if (sched_setaffinity(0, sizeof(set), &set))
		return err_sys(err, -errno, "cannot run the command on %u CPUs", cpus);
	r = record_run(&options, &recorded, err);
	sched_setaffinity(0, sizeof(b->ours), &b->ours);
	if (!r && (recorded.interrupted || recorded.exit_status > 125))
		r = err_set(err, recorded.interrupted ? -EINTR : -EINVAL,
			    "the command, run again, %s",
			    recorded.interrupted ? "was interrupted" :
						   "could not be run, or was ended by a signal");
	if (!r)
		r = replay_trace(b->path, NULL, replay, err);
	unlink(b->path);
	b->own_cpus |= !r && replay->good && replay->cpus != cpus;
	*ret_ns = recorded.wall_ns;
	return r;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct times {
	uint64_t ns[VERIFY_REPEATS];
	double median, spread; /* spread: of the median */
};

static void sum_up(struct times *t)
{
	qsort(t->ns, VERIFY_REPEATS, sizeof(t->ns[0]), by_value);
	t->median = (double)t->ns[VERIFY_REPEATS / 2];
	t->spread = t->median > 0 ? (double)(t->ns[VERIFY_REPEATS - 1] - t->ns[0]) / t->median : 0;
}

/* ---- one experiment ---- */

static int try_cpus(struct bench *b, unsigned int from, unsigned int to,
		    const struct replay_time *predicted, struct verified *ret, struct err *err)
{
	double as_is = (double)b->e->replay.as_is_ns;
	struct verdict *v = &ret->verdict[ret->nr];
	struct times before, after;
	int r = 0;

	/* in turns: what drifts drifts under both */
	for (int i = 0; i < VERIFY_REPEATS && !r; i++) {
		r = run_on(b, from, &before.ns[i], err);
		r = r ?: run_on(b, to, &after.ns[i], err);
	}
	if (r || b->own_cpus)
		return r;
	sum_up(&before);
	sum_up(&after);
	*v = (struct verdict){
		.low = as_is / (double)predicted->expected_ns,
		.high = as_is / (double)predicted->least_ns,
		.measured = after.median > 0 ? before.median / after.median : 0,
		.noise = before.spread > after.spread ? before.spread : after.spread,
		.noise_known = true,
	};
	snprintf(v->what, sizeof(v->what), "on %u CPU%s instead of %u", to, to == 1 ? "" : "s",
		 from);
	snprintf(v->experiment, sizeof(v->experiment), "the command %d times on each, in turns",
		 VERIFY_REPEATS);
	verdict_decide(v);
	ret->nr++;
	return 0;
}

static int try_all(struct bench *b, struct verified *ret, struct err *err)
{
	const struct replay *p = &b->e->replay;
	unsigned int here = (unsigned int)CPU_COUNT(&b->ours);
	int r = 0;

	if (p->cpus > here) {
		snprintf(ret->why_not, sizeof(ret->why_not),
			 "it ran on %u CPUs, and only %u can be used here", p->cpus, here);
		return 0;
	}
	if (p->without[REPLAY_ONE_LESS].made)
		r = try_cpus(b, p->cpus, p->cpus - 1, &p->without[REPLAY_ONE_LESS], ret, err);
	if (!r && !b->own_cpus && p->cpus < here)
		r = try_cpus(b, p->cpus, p->cpus + 1, &p->without[REPLAY_ONE_MORE], ret, err);
	if (b->own_cpus)
		snprintf(
			ret->why_not, sizeof(ret->why_not),
			"the command chooses its CPUs itself, so they cannot be changed from outside");
	else if (!ret->nr && !r)
		snprintf(ret->why_not, sizeof(ret->why_not),
			 "there is one CPU only: there can be none less, and none more");
	return r;
}

/* ---- around them ---- */

static char **words_of(const json_t *words)
{
	size_t nr = json_array_size(words);
	char **argv = calloc(nr + 1, sizeof(*argv));

	for (size_t i = 0; argv && i < nr; i++)
		argv[i] = (char *)(json_string_value(json_array_get(words, i)) ?: "");
	return argv;
}

static int run_experiments(struct bench *b, struct verified *ret, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	snprintf(b->dir, sizeof(b->dir), "%s/whyscale-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(b->dir))
		return err_sys(err, -errno, "cannot make a directory for the traces");
	snprintf(b->path, sizeof(b->path), "%s/again.data", b->dir);
	cli_note("--verify runs this again, several times: %.500s", b->e->command);
	r = try_all(b, ret, err);
	rmdir(b->dir);
	return r;
}

int verify_trace(const struct explained *e, struct verified *ret, struct err *err)
{
	struct bench b = { .e = e };
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
	if (sched_getaffinity(0, sizeof(b.ours), &b.ours))
		return err_sys(err, -errno, "cannot tell which CPUs may be used");
	b.argv = words_of(e->words);
	if (!b.argv)
		return err_sys(err, -ENOMEM, "cannot run the command again");
	r = run_experiments(&b, ret, err);
	free(b.argv);
	return r;
}
