// SPDX-License-Identifier: GPL-2.0-only
/* Directories and signals of commands that record several runs: see lab.h. */
#include "cli/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "record/output.h"
#include "strategy/strategy_args.h"

#define MAX_REPEATS 1000

static volatile sig_atomic_t signalled;

static const int signals[LAB_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };

/*
 * Traces are written by name, so the directory must be one that nobody else can exchange or fill with links: a symbolic link is not
 * followed, and in a directory of somebody else's, or that others may write to, nothing is kept.
 */
static int keep_directory(const char *keep, struct err *err)
{
	bool made = !mkdir(keep, 0700);
	_cleanup_(close_p) int fd = -1;
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (!made && errno != EEXIST)
		return err_set(err, -EINVAL, "cannot make the directory '%s' for the traces: %m",
			       keep);
	fd = open(keep, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_set(
			err, -EINVAL,
			"cannot keep traces in '%s': it is no directory, or a symbolic link, "
			"which is not followed",
			keep);
	if (made)
		return output_give(fd) ?
			       err_sys(err, -errno, "cannot give '%s' to its user", keep) :
			       0;
	output_caller(&uid, &gid);
	if ((st.st_uid == uid || st.st_uid == geteuid()) && !(st.st_mode & 022))
		return 0;
	return err_set(err, -EINVAL,
		       "'%s' belongs to, or can be written by, somebody else: name a directory of "
		       "your own, or one that is not there yet",
		       keep);
}

int lab_directory(const char *keep, char ret_dir[LAB_DIR], struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	*ret_dir = '\0';
	tmp = tmp && *tmp ? tmp : "/tmp";
	if (keep && keep_directory(keep, err))
		return err->code;
	snprintf(ret_dir, LAB_DIR, "%s/whyscale-XXXXXX", tmp);
	if (mkdtemp(ret_dir))
		return 0;
	*ret_dir = '\0';
	return err_sys(err, -errno, "cannot make a directory for the traces in '%s'", tmp);
}

void lab_capacity(unsigned int workers, uint64_t budget_ns, struct capacity *into)
{
	unsigned int cpus = strategy_default_workers();
	struct err ignored = {};
	struct capacity now;

	if (workers < 2 || cpus < 2 ||
	    capacity_measure(workers < cpus ? workers : cpus, budget_ns, &now, &ignored))
		return;
	capacity_merge(into, &now);
}

struct shared_capacity lab_shared(const struct capacity *c)
{
	return (struct shared_capacity){ c->cpus, c->inflation, c->inflation_min,
					 c->inflation_max };
}

error_t lab_parse_repeats(struct argp_state *state, const char *arg, unsigned int *ret_repeats)
{
	uint64_t repeats;

	if (!cli_number(arg, 1, MAX_REPEATS, &repeats))
		return cli_refuse(state, "'%.40s' is no number of repetitions: give 1 to %d", arg,
				  MAX_REPEATS);
	*ret_repeats = (unsigned int)repeats;
	return 0;
}

error_t lab_parse_output(struct argp_state *state, const char *arg, const char **ret_path)
{
	if (!*arg)
		return cli_refuse(state, "the name of the file to write is empty");
	*ret_path = arg;
	return 0;
}

static void note_signal(int number)
{
	(void)number;
	signalled = 1;
}

void lab_signals_note(struct lab_signals *s)
{
	const struct sigaction note = { .sa_handler = note_signal };

	for (int i = 0; i < LAB_SIGNALS; i++)
		sigaction(signals[i], &note, &s->old[i]);
}

void lab_signals_restore(const struct lab_signals *s)
{
	for (int i = 0; i < LAB_SIGNALS; i++)
		sigaction(signals[i], &s->old[i], NULL);
}

bool lab_signalled(void)
{
	return signalled;
}
