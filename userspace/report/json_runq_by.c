// SPDX-License-Identifier: GPL-2.0-only
/* Who had the CPU while threads waited for it, as JSON. */
#include <stdlib.h>

#include "analysis/runq_who.h"
#include "base/cleanup.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/passes.h"

/* Where interrupts were not recorded, their time is not 0 but unknown: null. */
static json_t *part(const struct runq_split *s, int p, bool irqs)
{
	return p == RUNQ_IRQ && !irqs ? json_null() : json_integer((json_int_t)s->part_ns[p]);
}

static json_t *split(const struct runq_split *s, bool irqs)
{
	json_t *object = json_pack("{s:I, s:I, s:I}", "waits", (json_int_t)s->waits, "wait_ns",
				   (json_int_t)s->wait_ns, "idle_elsewhere_ns",
				   (json_int_t)s->nobody_ns);
	char key[32];

	for (int p = 0; object && p < RUNQ_PARTS; p++) {
		snprintf(key, sizeof(key), "%s_ns", runq_part_name(p));
		if (json_object_set_new(object, key, part(s, p, irqs))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *others(const struct runq_who *w)
{
	_cleanup_(free_p) struct runq_occupant *list = NULL;
	json_t *array = json_array();
	size_t nr = 0;

	if (runq_who_others(w, &list, &nr)) {
		json_decref(array);
		return NULL;
	}
	for (size_t i = 0; array && i < nr; i++)
		if (json_array_append_new(array,
					  json_pack("{s:o, s:o, s:b, s:b, s:I}", "pid",
						    json_foreign_id(list[i].pid), "comm",
						    escape_json(list[i].comm, EV_COMM_LEN),
						    "recorded", (int)list[i].tracked, "outside",
						    list[i].pid & WHO_OUTSIDE ? 1 : 0, "ns",
						    (json_int_t)list[i].ns))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *threads(const struct loaded *l, const struct runq_who *w, bool irqs)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		const struct runq_split *s = runq_who_thread(w, t->serial);
		json_t *one = s ? split(s, irqs) : NULL;

		if (!s)
			continue;
		if (!one || json_object_set_new(one, "tid", json_integer((json_int_t)t->tid)) ||
		    json_object_set_new(one, "serial", json_integer((json_int_t)t->serial)) ||
		    json_array_append(array, one)) {
			json_decref(array);
			array = NULL;
		}
		json_decref(one);
	}
	return array;
}

json_t *json_runq_by(const struct loaded *l)
{
	const struct runq_who *w = l->passes ? l->passes->runq_who : NULL;
	json_t *object, *by, *list;
	bool irqs;

	if (!w || l->from_books)
		return json_null();
	irqs = l->meta.irqs || runq_who_all(w)->part_ns[RUNQ_IRQ];
	object = split(runq_who_all(w), irqs);
	by = others(w);
	list = threads(l, w, irqs);
	if (!object || !by || !list || json_object_set(object, "by", by) ||
	    json_object_set(object, "threads", list)) {
		json_decref(object);
		object = NULL;
	}
	json_decref(by);
	json_decref(list);
	return object;
}
