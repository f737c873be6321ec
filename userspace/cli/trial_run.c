// SPDX-License-Identifier: GPL-2.0-only
/* A run of an experiment: see trial_run.h. */
#include "cli/trial_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/replay.h"
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/pinner.h"
#include "record/record.h"

#define NUMBER "{n}"
#define APPLIED "applied" /* the file that says that a Python has taken the interval */

int trial_runner_begin(struct trial_runner *r, char **argv, struct err *err)
{
	*r = (struct trial_runner){ .argv = argv };
	if (sched_getaffinity(0, sizeof(r->ours), &r->ours))
		return err_sys(err, -errno, "cannot tell which CPUs may be used");
	return lab_directory(NULL, r->dir, err);
}

static char *file_in(const struct trial_runner *r, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", r->dir, name) < 0 ? NULL : path;
}

static void remove_file(const struct trial_runner *r, const char *name)
{
	_cleanup_(free_p) char *path = file_in(r, name);

	if (path)
		unlink(path);
}

void trial_runner_end(struct trial_runner *r)
{
	if (!*r->dir)
		return;
	remove_file(r, "sitecustomize.py");
	remove_file(r, "__pycache__");
	remove_file(r, APPLIED);
	rmdir(r->dir);
	*r->dir = '\0';
}

/* ---- the number of workers ---- */

/* The number in the word, 0: none such. */
static uint64_t number_in(const char *word, const char *pattern, const char *at)
{
	const char *after = at + strlen(NUMBER);
	size_t len = strlen(word), before_len = (size_t)(at - pattern), after_len = strlen(after);
	char digits[8];
	uint64_t n;

	if (len <= before_len + after_len || len - before_len - after_len >= sizeof(digits) ||
	    strncmp(word, pattern, before_len) || strcmp(word + len - after_len, after))
		return 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)(len - before_len - after_len),
		 word + before_len);
	return cli_number(digits, 1, 4096, &n) ? n : 0;
}

static bool is_variable(const char *pattern, const char *at)
{
	size_t len = strcspn(pattern, "=");

	if (!len || pattern + len + 1 != at || at[strlen(NUMBER)] || len >= 64 ||
	    (*pattern >= '0' && *pattern <= '9'))
		return false;
	return strspn(pattern, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
	       len;
}

int trial_runner_fewer(struct trial_runner *r, const char *pattern, unsigned int lanes,
		       unsigned int *ret_workers, struct err *err)
{
	const char *at = strstr(pattern, NUMBER), *value;
	uint64_t n, found = 0;

	if (!at)
		return err_set(
			err, -EINVAL,
			"--fewer: '%.60s' has no {n} for the number of workers: give a word of "
			"the command such as -T{n}, or a variable such as OMP_NUM_THREADS={n}",
			pattern);
	for (size_t i = 0; r->argv[i]; i++) {
		n = number_in(r->argv[i], pattern, at);
		if (n && found)
			return err_set(err, -EINVAL,
				       "--fewer: more than one word of the command is like '%.60s'",
				       pattern);
		if (!n)
			continue;
		found = n;
		r->word = i;
		r->before = pattern;
		r->before_len = (size_t)(at - pattern);
		r->after = at + strlen(NUMBER);
	}
	if (!found && is_variable(pattern, at)) {
		snprintf(r->variable, sizeof(r->variable), "%.*s", (int)(at - pattern - 1),
			 pattern);
		value = getenv(r->variable);
		found = value && cli_number(value, 1, 4096, &n) ? n : lanes;
	}
	*ret_workers = (unsigned int)found;
	return found ? 0 :
		       err_set(err, -EINVAL,
			       "--fewer: no word of the command is like '%.60s', with a number "
			       "in it",
			       pattern);
}

/* The command with so many workers; *ret_word is to be freed. */
static int put_workers(const struct trial_runner *r, unsigned int workers, char **argv,
		       char **ret_word)
{
	size_t nr = 0;

	for (; r->argv[nr]; nr++)
		argv[nr] = r->argv[nr];
	argv[nr] = NULL;
	if (!workers || !r->before)
		return 0;
	if (asprintf(ret_word, "%.*s%u%s", (int)r->before_len, r->before, workers, r->after) < 0) {
		*ret_word = NULL;
		return -ENOMEM;
	}
	argv[r->word] = *ret_word;
	return 0;
}

/* ---- Python's switch interval ---- */

/*
 * Every CPython imports sitecustomize when it starts, if there is one on its path; ours then gives way to the one that it hides.
 * A file in the place of the directory for compiled modules keeps Python from leaving any.
 */
static const char site[] = "import sys\n"
			   "if hasattr(sys, 'setswitchinterval'):\n"
			   "    sys.setswitchinterval(%g)\n"
			   "    open(%s + '/" APPLIED "', 'w').close()\n"
			   "_ours = sys.modules.pop(__name__)\n"
			   "sys.path[:] = [p for p in sys.path if p != %s]\n"
			   "try:\n"
			   "    import sitecustomize\n"
			   "except ImportError:\n"
			   "    sys.modules[__name__] = _ours\n";

/* A string in Python's words; NULL where it would need more than that. */
static char *python_string(const char *s)
{
	char *quoted;

	if (strpbrk(s, "'\\\n\r"))
		return NULL;
	return asprintf(&quoted, "'%s'", s) < 0 ? NULL : quoted;
}

static int write_site(const struct trial_runner *r, unsigned int ms, struct err *err)
{
	_cleanup_(free_p) char *path = file_in(r, "sitecustomize.py");
	_cleanup_(free_p) char *none = file_in(r, "__pycache__");
	_cleanup_(free_p) char *dir = python_string(r->dir);
	_cleanup_(close_p) int fd = none ? open(none, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
	_cleanup_(fclose_p) FILE *f = path && dir && fd >= 0 ? fopen(path, "we") : NULL;

	if (!f || fprintf(f, site, ms / 1e3, dir, dir) < 0 || fflush(f))
		return err_sys(err, errno ? -errno : -EINVAL,
			       "cannot write what sets Python's switch interval");
	return 0;
}

/* ---- a run ---- */

struct held {
	const struct trial_change *change;
	cpu_set_t cpus;
	struct pinner *pinner;
};

/* The command exists, and is held. */
static int prepare_held(void *arg, pid_t pid, struct err *err)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct held *h = arg;

	if (sched_setaffinity(pid, sizeof(h->cpus), &h->cpus))
		return err_sys(err, -errno, "cannot limit the command to %u CPUs", h->change->cpus);
	if (h->change->realtime && sched_setscheduler(pid, SCHED_RR, &first))
		return err_sys(err, -errno, "cannot give the command a real-time priority");
	return h->change->pin ? pinner_start(pid, &h->cpus, &h->pinner, err) : 0;
}

bool trial_may_go_first(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	int policy = sched_getscheduler(0);
	struct sched_param old;

	if (policy < 0 || sched_getparam(0, &old) || sched_setscheduler(0, SCHED_RR, &first))
		return false;
	sched_setscheduler(0, policy, &old);
	return true;
}

/* The first nr of our CPUs. */
static cpu_set_t some_cpus(const struct trial_runner *r, unsigned int nr)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr; cpu++)
		if (CPU_ISSET(cpu, &r->ours)) {
			CPU_SET(cpu, &set);
			nr--;
		}
	return set;
}

static int record(struct trial_runner *r, const struct trial_change *change, char *const *argv,
		  const char *path, struct record_result *ret, struct err *err)
{
	struct held held = { .change = change, .cpus = some_cpus(r, change->cpus) };
	struct record_options options = { .what = RECORD_COMMAND,
					  .argv = argv,
					  .output = path,
					  .stdout_fd = STDERR_FILENO,
					  .nice = change->nice,
					  .held = prepare_held,
					  .held_arg = &held };
	int code = record_run(&options, ret, err);

	pinner_stop(held.pinner);
	if (!code && (ret->interrupted || ret->exit_status > 125))
		code = err_set(err, ret->interrupted ? -EINTR : -EINVAL,
			       "the command, run again, %s",
			       ret->interrupted ? "was interrupted" :
						  "could not be run, or was ended by a signal");
	return code;
}

/* A variable of our environment, which the command inherits, for a while. */
struct for_a_while {
	const char *name;
	char *old; /* NULL: it was not set */
};

static int set_for_a_while(struct for_a_while *v, const char *name, const char *value)
{
	const char *old = getenv(name);

	v->old = old ? strdup(old) : NULL;
	if ((old && !v->old) || setenv(name, value, 1))
		return -ENOMEM;
	v->name = name;
	return 0;
}

static void set_back(struct for_a_while *v)
{
	if (v->name && v->old)
		setenv(v->name, v->old, 1);
	else if (v->name)
		unsetenv(v->name);
	free(v->old);
}

static int set_variables(const struct trial_runner *r, const struct trial_change *change,
			 struct for_a_while *path, struct for_a_while *number, struct err *err)
{
	const char *old = getenv("PYTHONPATH");
	_cleanup_(free_p) char *all = NULL;
	char workers[16];

	snprintf(workers, sizeof(workers), "%u", change->workers);
	if (change->workers && *r->variable && set_for_a_while(number, r->variable, workers))
		return err_sys(err, -ENOMEM, "cannot prepare the run");
	if (!change->interval_ms)
		return 0;
	if (asprintf(&all, "%s%s%s", r->dir, old && *old ? ":" : "", old ?: "") < 0)
		all = NULL;
	if (!all || set_for_a_while(path, "PYTHONPATH", all))
		return err_sys(err, -ENOMEM, "cannot prepare the run");
	return write_site(r, change->interval_ms, err);
}

static int run_words(struct trial_runner *r, const struct trial_change *change, char *const *argv,
		     struct trial_ran *ret, struct err *err)
{
	_cleanup_(free_p) struct replay *replay = calloc(1, sizeof(*replay));
	_cleanup_(set_back) struct for_a_while python_path = {}, number = {};
	_cleanup_(free_p) char *trace = file_in(r, "again.data");
	_cleanup_(free_p) char *applied = file_in(r, APPLIED);
	struct record_result recorded = {};
	int code;

	if (!replay || !trace || !applied)
		return err_sys(err, -ENOMEM, "cannot run the command again");
	code = set_variables(r, change, &python_path, &number, err);
	code = code ?: record(r, change, argv, trace, &recorded, err);
	code = code ?: replay_trace(trace, NULL, replay, err);
	unlink(trace);
	*ret = (struct trial_ran){ .wall_ns = recorded.wall_ns,
				   .traced_ns = !code && replay->good ? replay->measured_ns : 0,
				   .cpus = !code && replay->good ? replay->cpus : 0,
				   .ignored = change->interval_ms && access(applied, F_OK) };
	replay_free(replay);
	unlink(applied);
	return code;
}

int trial_run(struct trial_runner *r, const struct trial_change *change, struct trial_ran *ret,
	      struct err *err)
{
	char *other[] = { "sh", "-c", (char *)r->processes, NULL };
	_cleanup_(free_p) char **argv = NULL;
	_cleanup_(free_p) char *word = NULL;
	size_t nr = 0;

	if (change->processes)
		return run_words(r, change, other, ret, err);
	while (r->argv[nr])
		nr++;
	argv = calloc(nr + 1, sizeof(*argv));
	if (!argv || put_workers(r, change->workers, argv, &word))
		return err_sys(err, -ENOMEM, "cannot run the command again");
	return run_words(r, change, argv, ret, err);
}
