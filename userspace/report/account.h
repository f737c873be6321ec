/* SPDX-License-Identifier: GPL-2.0-only */
/* What of one trace is compared with others: see diff.h. All names are copies. */
#ifndef WHYSCALE_REPORT_ACCOUNT_H
#define WHYSCALE_REPORT_ACCOUNT_H

#include "analysis/load.h"
#include "explain/finding.h"

#define ACCOUNT_NAME 128

struct account_lock {
	char name[ACCOUNT_NAME]; /* kind and name, without numbers of threads and long addresses; printable ASCII */
	uint64_t wait_ns, waits;
};

struct account_finding {
	const char *cause;
	uint64_t lost_ns;
};

struct account {
	uint64_t wall_ns;
	uint64_t threads, workers;
	uint64_t ledger_ns[CLASS_NR]; /* all threads */
	uint64_t voluntary, involuntary, migrations;
	uint64_t lost_events;
	struct account_lock *lock; /* locks of one name are one; owned, as the next */
	size_t nr_locks;
	struct account_finding *finding;
	size_t nr_findings;
};

/* Threads, times, counts and locks; after load_run() with PASS_LOCKS. 0 or -ENOMEM. */
int account_take(const struct loaded *l, struct account *ret);

/* Adds the findings. 0 or -ENOMEM. */
int account_findings(struct account *a, const struct findings *f);

void account_free(struct account *a);

#endif
