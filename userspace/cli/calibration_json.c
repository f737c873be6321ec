// SPDX-License-Identifier: GPL-2.0-only
/* The kept costs as text, and back: see calibration.h. The text is untrusted: every number is looked at. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/calibration.h"
#include "report/escape.h"

#define SCHEMA "whyscale.calibration/1"
#define MAX_NS 1e12 /* a quarter of an hour: nothing here takes as long */
#define MAX_NR 1000000

void calibration_direct(struct direct_costs *d, struct named_estimate ret[CALIBRATION_DIRECT])
{
	struct named_estimate fixed[] = { { "yield", &d->yield },       { "pipe", &d->pipe },
					  { "handover", &d->handover }, { "thread", &d->thread },
					  { "fork", &d->fork },         { "exec", &d->exec } };
	size_t nr = sizeof(fixed) / sizeof(fixed[0]);

	memcpy(ret, fixed, sizeof(fixed));
	for (int i = 0; i < DISTANCE_NR; i++) {
		struct named_estimate *wakeup = &ret[nr++], *handover = &ret[nr++];

		snprintf(wakeup->name, sizeof(wakeup->name), "wakeup_%s", distance_name(i));
		wakeup->estimate = &d->wakeup[i];
		snprintf(handover->name, sizeof(handover->name), "handover_%s", distance_name(i));
		handover->estimate = &d->handover_across[i];
	}
}

/* ---- out ---- */

static json_t *estimate_json(const struct estimate *e)
{
	if (!e->nr)
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:i}", "ns", e->value, "low_ns", e->low, "high_ns",
			 e->high, "nr", (int)e->nr);
}

static json_t *migration_json(const struct migration_costs *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->nr; i++) {
		const struct migration_cost *c = &m->cost[i];

		if (json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o}", "distance",
							  distance_name(c->distance), "bytes",
							  (json_int_t)c->bytes, "stay",
							  estimate_json(&c->stay_ns), "extra",
							  estimate_json(&c->extra_ns)))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *calibration_encode(const struct calibration *c)
{
	struct direct_costs costs = c->direct;
	struct named_estimate direct[CALIBRATION_DIRECT];
	json_t *list = json_object();

	calibration_direct(&costs, direct);
	for (size_t i = 0; i < CALIBRATION_DIRECT; i++)
		json_object_set_new(list, direct[i].name, estimate_json(direct[i].estimate));
	return json_pack("{s:s, s:{s:o, s:s, s:s, s:s, s:s}, s:I, s:b, s:o, s:o}", "schema", SCHEMA,
			 "machine", "cpu", escape_json(c->machine.cpu, sizeof(c->machine.cpu)),
			 "cpus", c->machine.cpus, "kernel", c->machine.kernel, "arch",
			 c->machine.arch, "topology", c->machine.topology, "measured_at",
			 (json_int_t)c->measured_at, "quick", (int)c->quick, "direct", list,
			 "migration", migration_json(&c->migration));
}

/* ---- in ---- */

static bool take_number(const json_t *o, const char *key, double *ret)
{
	const json_t *value = json_object_get(o, key);

	*ret = json_number_value(value);
	return json_is_number(value) && isfinite(*ret) && fabs(*ret) <= MAX_NS;
}

/* null is an estimate that is not known. `negative`: differences may be. */
static bool take_estimate(const json_t *o, bool negative, struct estimate *ret)
{
	const json_t *nr = json_object_get(o, "nr");

	*ret = (struct estimate){};
	if (json_is_null(o))
		return true;
	if (!take_number(o, "ns", &ret->value) || !take_number(o, "low_ns", &ret->low) ||
	    !take_number(o, "high_ns", &ret->high) || !json_is_integer(nr) ||
	    json_integer_value(nr) < 1 || json_integer_value(nr) > MAX_NR)
		return false;
	ret->nr = (unsigned int)json_integer_value(nr);
	return ret->low <= ret->value && ret->value <= ret->high && (negative || ret->low >= 0);
}

static bool take_text(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	if (!text || strlen(text) >= size)
		return false;
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false; /* it is shown in sentences */
	strcpy(ret, text);            /* NOLINT: the length is known to fit */
	return true;
}

static bool take_machine(const json_t *o, struct machine_identity *m)
{
	return take_text(o, "cpu", m->cpu, sizeof(m->cpu)) &&
	       take_text(o, "cpus", m->cpus, sizeof(m->cpus)) &&
	       take_text(o, "kernel", m->kernel, sizeof(m->kernel)) &&
	       take_text(o, "arch", m->arch, sizeof(m->arch)) &&
	       take_text(o, "topology", m->topology, sizeof(m->topology));
}

static bool take_direct(const json_t *o, struct direct_costs *d)
{
	struct named_estimate direct[CALIBRATION_DIRECT];

	calibration_direct(d, direct);
	for (size_t i = 0; i < CALIBRATION_DIRECT; i++) {
		const json_t *one = json_object_get(o, direct[i].name);

		if (!one || !take_estimate(one, false, direct[i].estimate))
			return false;
	}
	return true;
}

static bool take_distance(const json_t *o, enum cpu_distance *ret)
{
	const char *name = json_string_value(json_object_get(o, "distance"));

	for (int i = 0; name && i < DISTANCE_NR; i++) {
		if (strcmp(name, distance_name(i)))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static bool take_migration(const json_t *list, struct migration_costs *m)
{
	if (!json_is_array(list) || json_array_size(list) > MIGRATION_COSTS_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const json_t *bytes = json_object_get(one, "bytes");
		const json_t *stay = json_object_get(one, "stay");
		const json_t *extra = json_object_get(one, "extra");
		struct migration_cost *c = &m->cost[m->nr++];

		if (!json_is_integer(bytes) || json_integer_value(bytes) < 0 || !stay || !extra ||
		    !take_distance(one, &c->distance) || !take_estimate(stay, false, &c->stay_ns) ||
		    !take_estimate(extra, true, &c->extra_ns))
			return false;
		c->bytes = (size_t)json_integer_value(bytes);
	}
	return true;
}

int calibration_decode(const char *text, size_t len, struct calibration *ret, struct err *err)
{
	json_error_t why;
	json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	const json_t *at = json_object_get(whole, "measured_at");
	const char *schema = json_string_value(json_object_get(whole, "schema"));
	bool fine;

	*ret = (struct calibration){};
	fine = schema && !strcmp(schema, SCHEMA) && json_is_integer(at) &&
	       json_integer_value(at) >= 0 && json_is_boolean(json_object_get(whole, "quick")) &&
	       take_machine(json_object_get(whole, "machine"), &ret->machine) &&
	       take_direct(json_object_get(whole, "direct"), &ret->direct) &&
	       take_migration(json_object_get(whole, "migration"), &ret->migration);
	if (fine) {
		ret->measured_at = json_integer_value(at);
		ret->quick = json_is_true(json_object_get(whole, "quick"));
	}
	json_decref(whole);
	return fine ? 0 : err_set(err, -EINVAL, "it is no file of kept costs, or a broken one");
}
