// SPDX-License-Identifier: GPL-2.0-only
/* Directories and signals of commands that record several runs: see lab.h. */
#include "cli/lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "record/output.h"

static volatile sig_atomic_t signalled;

static const int signals[LAB_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };

int lab_directory(const char *keep, char ret_dir[LAB_DIR], struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	*ret_dir = '\0';
	tmp = tmp && *tmp ? tmp : "/tmp";
	if (keep && !mkdir(keep, 0700))
		output_give(keep);
	else if (keep && errno != EEXIST)
		return err_set(err, -EINVAL, "cannot make the directory '%s' for the traces: %m",
			       keep);
	snprintf(ret_dir, LAB_DIR, "%s/whyscale-XXXXXX", tmp);
	if (mkdtemp(ret_dir))
		return 0;
	*ret_dir = '\0';
	return err_sys(err, -errno, "cannot make a directory for the traces in '%s'", tmp);
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
