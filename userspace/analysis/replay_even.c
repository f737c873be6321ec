// SPDX-License-Identifier: GPL-2.0-only
/*
 * The work of a run, divided so that all workers end at once: see replay.h.
 *
 *   a   |====== 90 ======|          |=== 55 ===|
 *   b      |= 20 =|           --->     |== 55 =|      less what it begins later
 */
#include <stdlib.h>

#include "analysis/replay_impl.h"
#include "analysis/work.h"

struct dividing {
	size_t nr;
	uint64_t work_ns, late_ns; /* of all; late_ns: that they begin behind the first one */
	uint64_t first_begin_ns, last_begin_ns, first_end_ns;
};

static int by_serial(const void *key, const void *thread)
{
	uint32_t a = *(const uint32_t *)key, b = ((const struct replay_thread *)thread)->serial;

	return (a > b) - (a < b);
}

static struct replay_thread *thread_of(const struct replay_model *m, const struct work_window *one)
{
	uint32_t serial = one->thread->serial;

	return bsearch(&serial, m->thread, m->nr_threads, sizeof(*m->thread), by_serial);
}

static bool add_worker(struct dividing *d, const struct replay_thread *t,
		       const struct work_window *one)
{
	if (!t || !t->work_ns)
		return false;
	if (!d->nr || one->begin_ns < d->first_begin_ns)
		d->first_begin_ns = one->begin_ns;
	if (one->begin_ns > d->last_begin_ns)
		d->last_begin_ns = one->begin_ns;
	if (!d->nr || one->end_ns < d->first_end_ns)
		d->first_end_ns = one->end_ns;
	d->work_ns += t->work_ns;
	d->late_ns += one->begin_ns;
	d->nr++;
	return true;
}

/*
 * Each works from its begin until the same moment. Not where some had ended before others began, or one has more than one window: nobody
 * knows which work was there to be divided when.
 */
void model_divide(struct replay_model *m, const struct work *w)
{
	struct dividing d = { 0 };
	uint64_t share_ns;

	for (size_t i = 0; i < w->nr; i++)
		if (!w->window[i].coordinator &&
		    !add_worker(&d, thread_of(m, &w->window[i]), &w->window[i]))
			return;
	if (d.nr < 2 || d.nr != w->lanes || d.last_begin_ns >= d.first_end_ns)
		return;
	d.late_ns -= d.nr * d.first_begin_ns;
	share_ns = (d.work_ns + d.late_ns) / d.nr;
	if (share_ns <= d.last_begin_ns - d.first_begin_ns)
		return;
	for (size_t i = 0; i < w->nr; i++)
		if (!w->window[i].coordinator)
			thread_of(m, &w->window[i])->even_ns =
				share_ns - (w->window[i].begin_ns - d.first_begin_ns);
	m->even = true;
}
