// SPDX-License-Identifier: GPL-2.0-only
/* What one thread did in a span of time: see locks_impl.h. */
#include <string.h>

#include "analysis/history_impl.h"
#include "analysis/locks_impl.h"

void history_sum(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
		 uint64_t ret_ns[CLASS_NR])
{
	const struct past *p = serial ? history_past(h, serial) : NULL;
	uint64_t at = to_ns;
	size_t i;

	memset(ret_ns, 0, CLASS_NR * sizeof(*ret_ns));
	while (p && at > from_ns && history_at(p, at, &i)) {
		uint64_t begin = history_from(p, i);

		if (begin < from_ns)
			begin = from_ns;
		if (begin >= at)
			break;
		ret_ns[history_class(p, i)] += at - begin;
		at = begin;
	}
	ret_ns[CLASS_UNTRACKED] += at - from_ns;
}
