// SPDX-License-Identifier: GPL-2.0-only
/* The critical path, as JSON. */
#include "analysis/path.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/passes.h"

/* A thread's part: parts first..last-1 are its. */
static json_t *thread_part(const struct path_part *part, size_t first, size_t last)
{
	uint64_t ledger_ns[CLASS_NR] = {}, sum = 0;
	const struct thread *t = part[first].thread;

	for (size_t i = first; i < last; i++) {
		ledger_ns[part[i].class] += part[i].ns;
		sum += part[i].ns;
	}
	return json_pack("{s:o, s:o, s:o, s:I, s:o}", "tid",
			 t ? json_integer((json_int_t)t->tid) : json_null(), "serial",
			 t ? json_integer((json_int_t)t->serial) : json_null(), "comm",
			 t ? escape_json(t->comm, EV_COMM_LEN) : json_null(), "ns", (json_int_t)sum,
			 "classes", json_ledger(ledger_ns));
}

static json_t *by_thread(const struct critical_path *path)
{
	json_t *list = json_array();
	size_t last;

	for (size_t first = 0; list && first < path->nr; first = last) {
		for (last = first + 1;
		     last < path->nr && path->part[last].thread == path->part[first].thread;)
			last++;
		if (json_array_append_new(list, thread_part(path->part, first, last))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Waits for threads that are not recorded. */
static json_t *outside(const struct loaded *l, const struct critical_path *path)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < path->nr; i++) {
		const struct path_part *p = &path->part[i];
		const struct foreign *f = foreign_find(&l->passes->foreign, p->outside);

		if (!p->outside)
			continue;
		if (json_array_append_new(
			    list, json_pack("{s:I, s:s, s:o, s:o, s:I}", "tid",
					    (json_int_t)(p->thread ? p->thread->tid : 0), "class",
					    class_name(p->class), "for_tid",
					    json_foreign_id(p->outside), "for_comm",
					    f ? escape_json(f->comm, EV_COMM_LEN) : json_null(),
					    "ns", (json_int_t)p->ns))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *json_critical_path(const struct loaded *l)
{
	uint64_t ledger_ns[CLASS_NR] = {};
	struct critical_path path;
	json_t *object;

	if (!l->passes || !l->passes->history || l->from_books)
		return json_null();
	if (critical_path_make(l->passes->history, l->begin_ns, l->end_ns, &path))
		return NULL;
	for (size_t i = 0; i < path.nr; i++)
		ledger_ns[path.part[i].class] += path.part[i].ns;
	object = json_pack("{s:I, s:o, s:o, s:o, s:I, s:I, s:o}", "wall_ns",
			   (json_int_t)(path.end_ns - path.begin_ns), "by_thread", by_thread(&path),
			   "by_class", json_ledger(ledger_ns), "outside", outside(l, &path),
			   "steps", (json_int_t)path.slices, "jumps", (json_int_t)path.jumps,
			   "last_tid",
			   path.last ? json_integer((json_int_t)path.last->tid) : json_null());
	critical_path_free(&path);
	return object;
}
