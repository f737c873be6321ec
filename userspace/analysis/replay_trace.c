// SPDX-License-Identifier: GPL-2.0-only
/* A trace file, played again: see replay.h. */
#include <errno.h>

#include "analysis/load.h"
#include "analysis/replay.h"
#include "analysis/work.h"
#include "base/cleanup.h"

int replay_trace(const char *path, const struct machine_costs *costs, struct replay *ret_replay,
		 struct err *err)
{
	_cleanup_(load_free_p) struct loaded *l = NULL;
	_cleanup_(work_free) struct work work = {};
	struct replay_source *source = NULL;
	int r = load_open(path, &l, err);

	*ret_replay = (struct replay){};
	if (r)
		return r;
	r = load_passes(l, PASS_LOCKS, err);
	if (!r && replay_listen(l->ledger, &source))
		r = err_sys(err, -ENOMEM, "cannot analyse the trace");
	if (!r)
		r = load_run(l, NULL, NULL, err);
	if (!r && !l->from_books &&
	    (work_find(l, &work) || replay_make(source, l->passes->history, l->locks, &work,
						l->meta.nr_online, costs, ret_replay)))
		r = err_sys(err, -ENOMEM, "cannot analyse the trace");
	replay_source_free(source);
	return r;
}
