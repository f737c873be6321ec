/* SPDX-License-Identifier: GPL-2.0-only */
/* The command that is recorded: forked, held before its exec, let go, reaped. */
#ifndef WHYSCALE_RECORD_TARGET_H
#define WHYSCALE_RECORD_TARGET_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"

struct target {
	pid_t pid;     /* 0: there is none */
	int go_fd;     /* the child waits until this is closed */
	int result_fd; /* errno of a failed exec; end of file when it worked */
	bool reaped;
	int status; /* as wait(2) gives it */
};
#define TARGET_NONE ((struct target){ .go_fd = -1, .result_fd = -1 })

/* Finds the command in PATH as execvp would: 0, -ENOENT or -EACCES with a sentence. */
int target_find(const char *command, struct err *err);

/*
 * Forks. The child has the caller's signal mask `mask`, nice value `nice`, limit of open files, standard output `stdout_fd` (-1: unchanged) and, with
 * `user`, that user's ids, groups and HOME; it waits. Errors: no such user, fork.
 */
int target_spawn(struct target *t, char *const *argv, const char *user, int stdout_fd,
		 const sigset_t *mask, int nice, const struct rlimit *files, struct err *err);

/* Lets it run and waits for its exec: 0, or the exec's error (-ENOEXEC: nothing for this machine) with a sentence (the child is reaped then). */
int target_go(struct target *t, const char *command, struct err *err);

/* Reaps it if it has ended; with `block`, waits. */
void target_reap(struct target *t, bool block);

/* Its exit status as a shell gives it. */
int target_exit_status(const struct target *t);

/* Ends it: SIGTERM, up to a second of patience, SIGKILL. Does nothing when it was reaped. */
void target_end(struct target *t);

#endif
