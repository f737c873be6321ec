/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of threads that are not recorded, as far as the events tell them (EV_NAME): by who, the last name. At most FOREIGN_MAX
 * of them; who comes later has no name.
 */
#ifndef WHYSCALE_ANALYSIS_FOREIGN_H
#define WHYSCALE_ANALYSIS_FOREIGN_H

#include <stdint.h>

#include "analysis/keymap.h"
#include "bpf/events.h"

#define FOREIGN_MAX 65536

struct foreign {
	uint32_t tgid;          /* with WHO_OUTSIDE: see foreign_id() */
	char comm[EV_COMM_LEN]; /* ended by a 0 */
	uint32_t occupant;      /* for runq_who: what it is there; 0 when the name is new */
};

struct foreigners {
	struct keymap by_who;
	struct foreign *list;
	size_t nr, cap;
};

/* Takes an EV_NAME in. 0 or -ENOMEM. */
int foreign_name(struct foreigners *f, const struct ev_name *rec);

/* What is known of a who, or NULL. Valid until the next name. */
struct foreign *foreign_find(const struct foreigners *f, uint32_t who);

/*
 * The number by which a foreign who, or the process of one, is shown. 0: it is outside of the pid namespace in which was recorded, and has
 * none that its user could know it by.
 */
static inline uint32_t foreign_id(uint32_t id)
{
	return id & WHO_OUTSIDE ? 0 : id & ~WHO_UNTRACKED;
}

void foreign_free(struct foreigners *f);

#endif
