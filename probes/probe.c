// SPDX-License-Identifier: GPL-2.0-only
/* The table of probes. */
#include "probes/probe.h"

#include <string.h>

#define PROBE(name) extern const struct probe probe_##name;
#include "probes/probes.def"
#undef PROBE

#define PROBE(name) &probe_##name,
const struct probe *const probes[] = {
#include "probes/probes.def"
	NULL,
};
#undef PROBE

const struct probe *probe_by_name(const char *name)
{
	for (size_t i = 0; probes[i]; i++)
		if (!strcmp(probes[i]->name, name))
			return probes[i];
	return NULL;
}

void probe_add_written_key(struct probe_env *env, unsigned long long *written_key)
{
	if (env->nr_written_keys < MAX_WRITTEN_KEYS)
		env->written_key[env->nr_written_keys++] = written_key;
}
