// SPDX-License-Identifier: GPL-2.0-only
/* How many threads ran at once, as JSON: every level, every thread. */
#include "analysis/parallelism.h"
#include "report/escape.h"
#include "report/passes.h"

static json_t *levels(const uint64_t *ns, size_t nr)
{
	json_t *list = json_array();

	for (size_t k = 0; list && k < nr; k++)
		if (json_array_append_new(list, json_integer((json_int_t)ns[k]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *threads(const struct parallelism *p)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < p->nr; i++) {
		const struct parallelism_thread *one = &p->thread[i];
		json_t *o = json_pack("{s:I, s:I, s:o, s:I, s:I, s:b}", "serial",
				      (json_int_t)one->thread->serial, "tid",
				      (json_int_t)one->thread->tid, "comm",
				      escape_json(one->thread->comm, EV_COMM_LEN), "running_ns",
				      (json_int_t)one->running_ns, "criticality_ns",
				      (json_int_t)one->criticality_ns, "coordinator",
				      (int)one->coordinator);

		if (json_array_append_new(list, o)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *json_parallelism(const struct loaded *l)
{
	const struct parallelism *p = l->passes ? l->passes->parallelism : NULL;
	struct parallelism_pop pop;

	if (!p || l->from_books)
		return json_null();
	parallelism_pop(p, &pop);
	return json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:f, s:f, s:f}}",
		"exact", (int)p->exact, "untracked_ns", (json_int_t)p->untracked_ns, "wall_ns",
		(json_int_t)(p->end_ns - p->begin_ns), "busy_ns", (json_int_t)p->busy_ns,
		"running_sum_ns", (json_int_t)p->work_ns, "running_ns",
		levels(p->running_ns, p->levels), "ready_ns", levels(p->ready_ns, p->levels),
		"active_ns", levels(p->active_ns, p->levels), "threads", threads(p), "pop",
		"workers", (json_int_t)pop.workers, "coordinators", (json_int_t)pop.coordinators,
		"average_ns", (json_int_t)pop.average_ns, "maximum_ns", (json_int_t)pop.maximum_ns,
		"load_balance", pop.load_balance, "communication_efficiency", pop.communication,
		"parallel_efficiency", pop.parallel);
}
