// SPDX-License-Identifier: GPL-2.0-only
/* The machine's own costs: see calibration.h. */
#include "cli/calibration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/cleanup.h"
#include "cli/state_file.h"
#include "report/units.h"
#include "strategy/capacity.h"
#include "strategy/pinned.h"

/* ---- who this machine is ---- */

/* "model name : Xeon" where that is the key; or NULL. */
static const char *value_of(char *line, const char *key)
{
	char *colon = strchr(line, ':');

	if (!colon || strncmp(line, key, strlen(key)))
		return NULL;
	colon[strcspn(colon, "\n")] = '\0';
	return colon + 1 + strspn(colon + 1, " \t");
}

/* What the kernel says of the first CPU. Arm tells numbers where others tell a name. */
static void read_model(char *model, size_t size)
{
	static const char *const keys[] = { "model name", "CPU implementer", "CPU part",
					    "cpu\t",      "uarch",           "machine" };
	_cleanup_(fclose_p) FILE *f = fopen("/proc/cpuinfo", "re");
	char line[512];
	size_t len = 0;

	*model = '\0';
	while (f && fgets(line, sizeof(line), f) && *line != '\n') {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			const char *value = value_of(line, keys[i]);

			if (value && len < size - 1)
				len += (size_t)snprintf(model + len, size - len, "%s%s",
							len ? " " : "", value);
		}
	}
	if (!*model)
		snprintf(model, size, "unknown");
}

void calibration_identity(const struct topology *t, struct machine_identity *ret)
{
	uint64_t bits[PINNED_MAX_CPUS / 64] = { 0 };
	struct utsname uts = {};

	*ret = (struct machine_identity){};
	for (unsigned int i = 0; i < t->nr; i++)
		bits[t->cpu[i].cpu / 64] |= 1ull << t->cpu[i].cpu % 64;
	uname(&uts);
	read_model(ret->cpu, sizeof(ret->cpu));
	units_cpus(ret->cpus, sizeof(ret->cpus), bits, PINNED_MAX_CPUS / 64);
	snprintf(ret->kernel, sizeof(ret->kernel), "%s", uts.release);
	snprintf(ret->arch, sizeof(ret->arch), "%.31s", uts.machine);
	snprintf(ret->topology, sizeof(ret->topology), "%016llx",
		 (unsigned long long)topology_hash(t));
}

int calibration_topology(struct topology *ret, struct err *err)
{
	_cleanup_(free_p) int *cpus = NULL;
	unsigned int nr;
	int r = capacity_cpus(0, &cpus, &nr, err);

	return r ? r : topology_read(TOPOLOGY_ROOT, cpus, nr, ret, err);
}

int calibration_measure(const struct topology *t, bool quick, struct calibration *ret,
			struct err *err)
{
	int r;

	*ret = (struct calibration){ .measured_at = (int64_t)time(NULL), .quick = quick };
	calibration_identity(t, &ret->machine);
	r = direct_costs_measure(t, quick, &ret->direct, err);
	return r ? r : migration_costs_measure(t, quick, &ret->migration, err);
}

/* ---- kept ---- */

int calibration_load(const struct machine_identity *machine, struct calibration *ret,
		     struct err *err)
{
	_cleanup_(free_p) char *text = NULL;
	size_t len;
	int r = state_read(CALIBRATION_FILE, &text, &len, err);

	if (!r)
		r = calibration_decode(text, len, ret, err);
	if (r == -EINVAL) {
		_cleanup_(free_p) char *path = state_path(CALIBRATION_FILE);

		return text ? err_context(err, "'%s'", path ?: CALIBRATION_FILE) : r;
	}
	if (!r && memcmp(machine, &ret->machine, sizeof(*machine)))
		return err_set(
			err, -ESTALE,
			"the kept costs are of another machine, kernel or set of CPUs (%s, CPUs "
			"%s, Linux %s)",
			ret->machine.cpu, ret->machine.cpus, ret->machine.kernel);
	return r;
}

int calibration_save(const struct calibration *c, struct err *err)
{
	json_t *whole = calibration_encode(c);
	_cleanup_(free_p) char *text = whole ? json_dumps(whole, JSON_INDENT(1)) : NULL;

	json_decref(whole);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory while keeping the costs");
	return state_write(CALIBRATION_FILE, text, strlen(text), err);
}

/* ---- for the split of inflation ---- */

static struct cost_range range_of(const struct estimate *e)
{
	return (struct cost_range){ e->nr > 0, e->value, e->low, e->high };
}

/* Level 2 of the first CPU; half a MiB, the size next to most of them, where it is not told. */
static uint64_t core_cache(const struct topology *t)
{
	return t->nr && t->cpu[0].cache_bytes[2] ? t->cpu[0].cache_bytes[2] : 512 << 10;
}

void calibration_costs(const struct calibration *c, const struct topology *t,
		       struct machine_costs *ret)
{
	const struct estimate *one = c->direct.yield.nr ? &c->direct.yield : &c->direct.handover;

	*ret = (struct machine_costs){ .one_switch = range_of(one) };
	for (size_t i = 0; i < c->migration.nr; i++) {
		const struct migration_cost *m = &c->migration.cost[i];
		struct cost_range *all = &ret->migration, this = range_of(&m->extra_ns);

		if (!this.known || (m->distance != DISTANCE_REMOTE && m->bytes > core_cache(t)))
			continue;
		if (m->bytes == 64 << 10)
			all->ns = this.ns;
		if (!all->known || this.low_ns < all->low_ns)
			all->low_ns = this.low_ns;
		if (!all->known || this.high_ns > all->high_ns)
			all->high_ns = this.high_ns;
		all->known = true;
	}
}
