// SPDX-License-Identifier: GPL-2.0-only
/* Missing probes: see limits.h. */
#include "report/limits.h"

#include <string.h>

#include "report/escape.h"
#include "report/text.h"

#define WHY_MAX 380

static const struct {
	const char *probe, *means;
} limits[] = {
	{ "maps", "locks and functions have no names" },
	{ "klock",
	  "waits for locks inside the kernel are not told apart: they are `blocked_other`, or in "
	  "the class of their system call" },
	{ "outside", "the rest of the machine's programs are not among the threads" },
	{ "asleep", "waits that began before the recording have no stack" },
};
#define NR_LIMITS (sizeof(limits) / sizeof(limits[0]))

/* META has {"unavailable": why} for it. A recording without BPF says all in one sentence elsewhere. */
static json_t *why_not(const struct loaded *l, size_t i)
{
	json_t *about = l->from_books ? NULL : json_object_get(l->raw_meta, limits[i].probe);
	json_t *why = json_object_get(about, "unavailable");

	return json_is_string(why) ? why : NULL;
}

void limits_print(const struct loaded *l, const struct report_options *o, FILE *out)
{
	char clean[ESCAPE_SIZE(WHY_MAX)];

	for (size_t i = 0; i < NR_LIMITS; i++) {
		const char *why = json_string_value(why_not(l, i));

		if (why)
			text_field(out, o->width, "limits", "%s: %s", limits[i].means,
				   escape_terminal(clean, sizeof(clean), why, strnlen(why, WHY_MAX),
						   false));
	}
}

json_t *limits_json(const struct loaded *l)
{
	json_t *all = json_object();

	for (size_t i = 0; all && i < NR_LIMITS; i++) {
		json_t *why = why_not(l, i);

		if (why && json_object_set(all, limits[i].probe, why)) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}
