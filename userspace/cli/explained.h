/* SPDX-License-Identifier: GPL-2.0-only */
/* A trace of any program, explained: who works in it, where their time went, what would help. What `explain` and `diff` start from. */
#ifndef WHYSCALE_CLI_EXPLAINED_H
#define WHYSCALE_CLI_EXPLAINED_H

#include "analysis/experiment.h"
#include "analysis/replay.h"
#include "analysis/work.h"
#include "explain/finding.h"
#include "report/account.h"

struct explained {
	const char *path;
	char *name;    /* of the program, printable ASCII */
	char *command; /* as it was called; "" unknown */
	json_t *words; /* of its command line; NULL: none is known */
	bool damaged;  /* the file is; `damage` says how */
	struct err damage;
	struct work work; /* its threads are gone */
	struct experiment run;
	struct stack stack;
	struct replay replay;
	struct facts facts;
	struct findings findings;
	struct account account; /* for comparisons */
};

/* Reads the trace twice: first who works, then what they did. Errors as load_open(). */
int explained_make(const char *path, struct explained *ret, struct err *err);
void explained_free(struct explained *e);

#endif
