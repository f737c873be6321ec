/* SPDX-License-Identifier: GPL-2.0-only */
/* A sub-command: one file cmd_NAME.c that defines one const struct cmd, and one line in cmds.def. */
#ifndef WHYSCALE_CLI_CMD_H
#define WHYSCALE_CLI_CMD_H

struct cmd {
	const char *name;
	const char *summary;
	int (*run)(int argc,
		   char **argv); /* argv[0] is the sub-command's name; returns the exit status */
};

#define CMD(name) extern const struct cmd cmd_##name;
#include "cli/cmds.def"
#undef CMD

#endif
