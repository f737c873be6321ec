// SPDX-License-Identifier: GPL-2.0-only
/* One trace in sums: see account.h. */
#include "report/account.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More different names of locks than this are not told apart by name. */
#define LOCKS_MAX 1000

/* Kind and name, without what differs from run to run: a thread's number behind its name, and long addresses. */
static void copy_name(char to[ACCOUNT_NAME], const struct lock *lock)
{
	const char *name = lock->name ?: "?", *kind = lock_kind_name(lock->kind);
	size_t at = 0, digits;

	if (strncmp(name, kind, strlen(kind)) != 0)
		at = (size_t)snprintf(to, ACCOUNT_NAME, "%s ", kind);
	while (*name && at < ACCOUNT_NAME - 1) {
		if (*name == '/' && isdigit((unsigned char)name[1])) {
			name += 1 + strspn(name + 1, "0123456789");
			continue;
		}
		to[at++] = *name >= ' ' && *name <= '~' ? *name : '?';
		if (*name++ != 'x' || at < 2 || to[at - 2] != '0')
			continue;
		digits = strspn(name, "0123456789abcdef");
		if (digits >= 8 && at < ACCOUNT_NAME - 1) {
			to[at++] = '*';
			name += digits;
		}
	}
	to[at] = '\0';
}

static struct account_lock *lock_by_name(struct account *a, const char *name)
{
	for (size_t i = 0; i < a->nr_locks; i++)
		if (!strcmp(a->lock[i].name, name))
			return &a->lock[i];
	return NULL;
}

static int take_locks(const struct locks *locks, struct account *a)
{
	size_t nr = 0;
	const struct lock *const *list = locks ? locks_list(locks, &nr) : NULL;

	a->lock = calloc(LOCKS_MAX + 1, sizeof(*a->lock));
	if (!a->lock)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct account_lock *lock;
		char name[ACCOUNT_NAME];

		copy_name(name, list[i]);
		lock = lock_by_name(a, name);
		if (!lock && a->nr_locks < LOCKS_MAX) {
			lock = &a->lock[a->nr_locks++];
			memcpy(lock->name, name, sizeof(name));
		} else if (!lock) {
			lock = &a->lock[LOCKS_MAX];
			snprintf(lock->name, sizeof(lock->name), "others");
		}
		lock->wait_ns += list[i]->wait_ns;
		lock->waits += list[i]->waits;
	}
	if (a->lock[LOCKS_MAX].waits)
		a->nr_locks = LOCKS_MAX + 1;
	return 0;
}

int account_take(const struct loaded *l, struct account *ret)
{
	*ret = (struct account){ .wall_ns = l->end_ns - l->begin_ns,
				 .threads = l->nr_threads,
				 .lost_events = l->lost_events };
	memcpy(ret->ledger_ns, l->ledger_ns, sizeof(ret->ledger_ns));
	for (size_t i = 0; i < l->nr_threads; i++) {
		ret->voluntary += l->threads[i]->voluntary;
		ret->involuntary += l->threads[i]->involuntary;
		ret->migrations += l->threads[i]->migrations;
	}
	return take_locks(l->locks, ret);
}

int account_findings(struct account *a, const struct findings *f)
{
	a->finding = calloc(f->nr + 1, sizeof(*a->finding));
	if (!a->finding)
		return -ENOMEM;
	for (size_t i = 0; i < f->nr; i++)
		if (f->finding[i].lost_ns > 0)
			a->finding[a->nr_findings++] = (struct account_finding){
				.cause = f->finding[i].cause,
				.lost_ns = (uint64_t)f->finding[i].lost_ns,
			};
	return 0;
}

void account_free(struct account *a)
{
	free(a->lock);
	free(a->finding);
	*a = (struct account){};
}
