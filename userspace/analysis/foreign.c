// SPDX-License-Identifier: GPL-2.0-only
/* The names of threads that are not recorded: see foreign.h. */
#include "analysis/foreign.h"

#include <string.h>

#include "base/vec.h"

struct foreign *foreign_find(const struct foreigners *f, uint32_t who)
{
	uint32_t i = keymap_get(&f->by_who, who);

	return i ? &f->list[i - 1] : NULL;
}

static int foreign_add(struct foreigners *f, uint32_t who, struct foreign **ret)
{
	*ret = NULL;
	if (f->nr >= FOREIGN_MAX)
		return 0;
	if (vec_room(&f->list, &f->cap, f->nr + 1) ||
	    keymap_set(&f->by_who, who, (uint32_t)f->nr + 1))
		return -ENOMEM;
	*ret = &f->list[f->nr++];
	**ret = (struct foreign){};
	return 0;
}

int foreign_name(struct foreigners *f, const struct ev_name *rec)
{
	struct foreign *one;
	char comm[EV_COMM_LEN];
	int r;

	if (!(rec->who & WHO_UNTRACKED))
		return 0;
	one = foreign_find(f, rec->who);
	if (!one) {
		r = foreign_add(f, rec->who, &one);
		if (!one)
			return r;
	}
	memcpy(comm, rec->comm, sizeof(comm));
	comm[sizeof(comm) - 1] = 0;
	if (one->tgid == rec->tgid && !strcmp(one->comm, comm))
		return 0;
	one->tgid = rec->tgid;
	memcpy(one->comm, comm, sizeof(comm));
	one->occupant = 0;
	return 0;
}

void foreign_free(struct foreigners *f)
{
	keymap_free(&f->by_who);
	free(f->list);
	*f = (struct foreigners){};
}
