// SPDX-License-Identifier: GPL-2.0-only
/* Which CPUs are near each other: see topology.h. */
#include "strategy/topology.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/file.h"

#define MAX_NODES 1024
#define MAX_CACHES 16

const char *distance_name(enum cpu_distance distance)
{
	static const char *const names[DISTANCE_NR] = { "sibling", "cache", "node", "remote" };

	return (unsigned int)distance < DISTANCE_NR ? names[distance] : "?";
}

/* The text of a file below the root, or NULL. */
__attribute__((format(printf, 2, 3))) static char *read_below(const char *root, const char *fmt,
							      ...)
{
	char path[PATH_MAX], *text = NULL;
	struct err none = {};
	va_list ap;
	int n = snprintf(path, sizeof(path), "%s/", root);

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	return file_read_text(path, &text, &none) ? NULL : text;
}

/* The first CPU of a list, or `unknown`; and whether `cpu` is in it. */
static int list_first(const char *text, int cpu, int unknown, bool *ret_has)
{
	_cleanup_(free_p) bool *set = calloc(CPULIST_MAX, sizeof(*set));
	int first = -1;

	*ret_has = false;
	if (!text || !set || cpulist_parse(text, set, CPULIST_MAX) < 0)
		return unknown;
	for (int i = 0; i < CPULIST_MAX; i++) {
		if (!set[i])
			continue;
		first = first < 0 ? i : first;
		*ret_has |= i == cpu;
	}
	return first < 0 ? unknown : first;
}

static void read_caches(const char *root, struct topology_cpu *c)
{
	for (int i = 0; i < TOPOLOGY_CACHE_LEVELS; i++)
		c->cache[i] = -1;
	for (int i = 0; i < MAX_CACHES; i++) {
		_cleanup_(free_p) char *level =
			read_below(root, "cpu/cpu%d/cache/index%d/level", c->cpu, i);
		_cleanup_(free_p) char *type =
			read_below(root, "cpu/cpu%d/cache/index%d/type", c->cpu, i);
		_cleanup_(free_p) char *size =
			read_below(root, "cpu/cpu%d/cache/index%d/size", c->cpu, i);
		_cleanup_(free_p) char *shared =
			read_below(root, "cpu/cpu%d/cache/index%d/shared_cpu_list", c->cpu, i);
		long number = level ? strtol(level, NULL, 10) : 0;
		bool has;

		if (!level)
			break;
		if (number < 1 || number >= TOPOLOGY_CACHE_LEVELS || (type && *type == 'I'))
			continue;
		c->cache[number] = list_first(shared, c->cpu, -1, &has);
		if (size)
			c->cache_bytes[number] = 1024 * strtoull(size, NULL, 10);
	}
}

static int read_node(const char *root, int cpu)
{
	for (int node = 0; node < MAX_NODES; node++) {
		_cleanup_(free_p) char *list = read_below(root, "node/node%d/cpulist", node);
		bool has = false;

		if (list)
			list_first(list, cpu, -1, &has);
		if (has)
			return node;
		if (!list && node > 8) /* numbers may have gaps, small ones */
			break;
	}
	return 0;
}

static void read_cpu(const char *root, int cpu, struct topology_cpu *c)
{
	_cleanup_(free_p) char *package =
		read_below(root, "cpu/cpu%d/topology/physical_package_id", cpu);
	_cleanup_(free_p) char *siblings =
		read_below(root, "cpu/cpu%d/topology/thread_siblings_list", cpu);
	bool has;

	*c = (struct topology_cpu){ .cpu = cpu, .package = -1 };
	if (package)
		c->package = (int)strtol(package, NULL, 10);
	c->core = list_first(siblings, cpu, cpu, &has);
	c->node = read_node(root, cpu);
	read_caches(root, c);
}

int topology_read(const char *root, const int *cpus, unsigned int nr, struct topology *ret,
		  struct err *err)
{
	*ret = (struct topology){ .cpu = calloc(nr + 1, sizeof(*ret->cpu)), .nr = nr };
	if (!ret->cpu)
		return err_sys(err, -ENOMEM, "cannot read how the CPUs are connected");
	for (unsigned int i = 0; i < nr; i++)
		read_cpu(root, cpus[i], &ret->cpu[i]);
	return 0;
}

void topology_free(struct topology *t)
{
	free(t->cpu);
	*t = (struct topology){};
}

enum cpu_distance topology_distance(const struct topology *t, unsigned int a, unsigned int b)
{
	const struct topology_cpu *x = &t->cpu[a], *y = &t->cpu[b];

	if (x->core == y->core)
		return DISTANCE_SIBLING;
	for (int level = 2; level < TOPOLOGY_CACHE_LEVELS; level++)
		if (x->cache[level] >= 0 && x->cache[level] == y->cache[level])
			return DISTANCE_CACHE;
	return x->node == y->node ? DISTANCE_NODE : DISTANCE_REMOTE;
}

int topology_pair(const struct topology *t, enum cpu_distance distance, unsigned int ret_pair[2])
{
	for (unsigned int a = 0; a < t->nr; a++) {
		for (unsigned int b = a + 1; b < t->nr; b++) {
			if (topology_distance(t, a, b) != distance)
				continue;
			ret_pair[0] = a;
			ret_pair[1] = b;
			return 0;
		}
	}
	return -ENOENT;
}

void topology_spread(const struct topology *t, unsigned int *ret_order)
{
	unsigned int nr = 0;

	for (unsigned int nth = 0; nr < t->nr; nth++) {
		for (unsigned int i = 0; i < t->nr; i++) {
			unsigned int before = 0;

			for (unsigned int k = 0; k < i; k++)
				before += t->cpu[k].core == t->cpu[i].core;
			if (before == nth)
				ret_order[nr++] = i;
		}
	}
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	for (int i = 0; i < 8; i++)
		hash = (hash ^ (number >> 8 * i & 0xff)) * 0x100000001b3ull;
	return hash;
}

uint64_t topology_hash(const struct topology *t)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (unsigned int i = 0; i < t->nr; i++) {
		const struct topology_cpu *c = &t->cpu[i];

		hash = hash_number(hash, (uint64_t)(int64_t)c->cpu);
		hash = hash_number(hash, (uint64_t)(int64_t)c->package);
		hash = hash_number(hash, (uint64_t)(int64_t)c->core);
		hash = hash_number(hash, (uint64_t)(int64_t)c->node);
		for (int level = 1; level < TOPOLOGY_CACHE_LEVELS; level++) {
			hash = hash_number(hash, (uint64_t)(int64_t)c->cache[level]);
			hash = hash_number(hash, c->cache_bytes[level]);
		}
	}
	return hash;
}
