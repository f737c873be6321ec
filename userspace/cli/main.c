// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale: finds the sub-command and runs it.
 *
 * A sub-command is one file and one line of cmds.def; here is only what all of them need: help, the version, signals, and
 * the check that what was printed arrived.
 */
#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/cli.h"
#include "cli/cmd.h"

#define CMD(name) &cmd_##name,
static const struct cmd *const cmds[] = {
#include "cli/cmds.def"
};
#undef CMD
#define NR_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static void show_help(FILE *out)
{
	fprintf(out,
		"whyscale says why a program does, or does not, get faster with more threads or "
		"processes.\n\n"
		"usage: whyscale COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < NR_CMDS; i++)
		fprintf(out, "  %-10s %s\n", cmds[i]->name, cmds[i]->summary);
	fprintf(out, "\n'whyscale COMMAND --help' shows a command's options; "
		     "'whyscale --version' the version.\n");
}

/* Letters to change, add or drop to make b of a (Levenshtein's distance); large when the names are long. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32];
	size_t len = strlen(b);

	if (len >= sizeof(row) / sizeof(row[0]) || strlen(a) > 64)
		return 1000;
	for (size_t j = 0; j <= len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; a[i - 1]; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= len; j++) {
			unsigned int change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
			row[j] = change < row[j] ? change : row[j];
		}
	}
	return row[len];
}

static int unknown(const char *word)
{
	const char *what = *word == '-' ? "option" : "command";
	const struct cmd *nearest = cmds[0];

	for (size_t i = 1; i < NR_CMDS; i++)
		if (distance(word, cmds[i]->name) < distance(word, nearest->name))
			nearest = cmds[i];
	if (*word != '-' && 2 * distance(word, nearest->name) <= strlen(nearest->name))
		cli_note("there is no command '%.64s'; did you mean '%s'?", word, nearest->name);
	else
		cli_note("there is no %s '%.64s'; see 'whyscale --help'", what, word);
	return CLI_BAD_INPUT;
}

static const struct cmd *find(const char *name)
{
	for (size_t i = 0; i < NR_CMDS; i++)
		if (!strcmp(cmds[i]->name, name))
			return cmds[i];
	return NULL;
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "--help";
	const struct cmd *cmd = find(word);

	if (cmd)
		return cmd->run(argc - 1, argv + 1);
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		show_help(stdout);
		return 0;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("whyscale %s\n", WHYSCALE_VERSION);
		return 0;
	}
	return unknown(word);
}

/*
 * A reader that went away (| head) ends us quietly, even where our parent ignored SIGPIPE. A file that may not grow is
 * an error of write(), not a signal: what was recorded is kept.
 */
static void set_signals(void)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &pipe, NULL);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would take the command's exit status away */
}

/*
 * Set-uid, it would act with its owner's power for whoever calls it, on files and commands of his choice. Nothing needs that: what an
 * unprivileged user may measure, he may without. Before anything looks at the environment.
 */
static bool is_set_id(void)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	return getresuid(&real, &effective, &saved) ||
	       getresgid(&real_group, &effective_group, &saved_group) || real != effective ||
	       real != saved || real_group != effective_group || real_group != saved_group;
}

int main(int argc, char **argv)
{
	int status;

	if (is_set_id()) {
		cli_note(
			"it is installed set-uid or set-gid, which it does not need, and will not run "
			"like that: remove it (chmod ug-s), and use sudo to record");
		return CLI_BAD_INPUT;
	}
	set_signals();
	setlocale(LC_CTYPE, "");
	argp_err_exit_status = CLI_BAD_INPUT;
	status = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		cli_note("cannot write to standard output (%s)", strerror(errno));
		return status ? status : CLI_SYSTEM_FAULT;
	}
	return status;
}
