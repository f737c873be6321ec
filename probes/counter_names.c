// SPDX-License-Identifier: GPL-2.0-only
/* Names of counters: see counter_names.h. The numbers are those of <linux/perf_event.h>. */
#include "probes/counter_names.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes/counter_pmu.h"

#define DEFAULT_NAMES "cycles,instructions,cache-misses,branch-misses,page-faults"
#define NR(table) (sizeof(table) / sizeof((table)[0]))

#define HW(name, unit, what)                                                             \
	{                                                                                \
		name, unit, PERF_COUNT_HW_##what, PERF_TYPE_HARDWARE, USER_PART, 0, 0, 0 \
	}
#define SW(name, unit, what, view)                                                  \
	{                                                                           \
		name, unit, PERF_COUNT_SW_##what, PERF_TYPE_SOFTWARE, view, 0, 0, 0 \
	}

/* The first of several names of one event is the one that an error lists. */
static const struct event_kind kinds[] = {
	HW("cycles", "cycles", CPU_CYCLES),
	HW("cpu-cycles", "cycles", CPU_CYCLES),
	HW("instructions", "instructions", INSTRUCTIONS),
	HW("cache-references", "references", CACHE_REFERENCES),
	HW("cache-misses", "misses", CACHE_MISSES),
	HW("branch-instructions", "branches", BRANCH_INSTRUCTIONS),
	HW("branches", "branches", BRANCH_INSTRUCTIONS),
	HW("branch-misses", "misses", BRANCH_MISSES),
	HW("bus-cycles", "cycles", BUS_CYCLES),
	HW("stalled-cycles-frontend", "cycles", STALLED_CYCLES_FRONTEND),
	HW("idle-cycles-frontend", "cycles", STALLED_CYCLES_FRONTEND),
	HW("stalled-cycles-backend", "cycles", STALLED_CYCLES_BACKEND),
	HW("idle-cycles-backend", "cycles", STALLED_CYCLES_BACKEND),
	HW("ref-cycles", "cycles", REF_CPU_CYCLES),
	SW("page-faults", "faults", PAGE_FAULTS, USER_PART),
	SW("faults", "faults", PAGE_FAULTS, USER_PART),
	SW("minor-faults", "faults", PAGE_FAULTS_MIN, USER_PART),
	SW("major-faults", "faults", PAGE_FAULTS_MAJ, USER_PART),
	SW("alignment-faults", "faults", ALIGNMENT_FAULTS, USER_PART),
	SW("emulation-faults", "faults", EMULATION_FAULTS, USER_PART),
	SW("context-switches", "switches", CONTEXT_SWITCHES, USER_NONE),
	SW("cs", "switches", CONTEXT_SWITCHES, USER_NONE),
	SW("cpu-migrations", "migrations", CPU_MIGRATIONS, USER_NONE),
	SW("migrations", "migrations", CPU_MIGRATIONS, USER_NONE),
	SW("cgroup-switches", "switches", CGROUP_SWITCHES, USER_NONE),
	SW("task-clock", "ns", TASK_CLOCK, USER_ALL),
	SW("cpu-clock", "ns", CPU_CLOCK, USER_ALL),
};

struct word {
	const char *name;
	unsigned int id;
};

static const struct word caches[] = {
	{ "L1-dcache", PERF_COUNT_HW_CACHE_L1D }, { "L1-icache", PERF_COUNT_HW_CACHE_L1I },
	{ "LLC", PERF_COUNT_HW_CACHE_LL },        { "dTLB", PERF_COUNT_HW_CACHE_DTLB },
	{ "iTLB", PERF_COUNT_HW_CACHE_ITLB },     { "branch", PERF_COUNT_HW_CACHE_BPU },
	{ "node", PERF_COUNT_HW_CACHE_NODE },
};

#define CACHE_OP(op, result) \
	(PERF_COUNT_HW_CACHE_OP_##op << 8 | PERF_COUNT_HW_CACHE_RESULT_##result << 16)
static const struct word accesses[] = {
	{ "-loads", CACHE_OP(READ, ACCESS) },
	{ "-load-misses", CACHE_OP(READ, MISS) },
	{ "-stores", CACHE_OP(WRITE, ACCESS) },
	{ "-store-misses", CACHE_OP(WRITE, MISS) },
	{ "-prefetches", CACHE_OP(PREFETCH, ACCESS) },
	{ "-prefetch-misses", CACHE_OP(PREFETCH, MISS) },
};

static bool find_kind(const char *name, struct event_kind *ret_kind)
{
	for (size_t i = 0; i < NR(kinds); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		*ret_kind = kinds[i];
		return true;
	}
	return false;
}

static bool find_cache(const char *name, struct event_kind *ret_kind)
{
	for (size_t c = 0; c < NR(caches); c++) {
		size_t len = strlen(caches[c].name);

		for (size_t a = 0; !strncmp(name, caches[c].name, len) && a < NR(accesses); a++) {
			if (strcmp(name + len, accesses[a].name) != 0)
				continue;
			*ret_kind = (struct event_kind){
				.unit = accesses[a].id >> 16 ? "misses" : "accesses",
				.config = caches[c].id | accesses[a].id,
				.type = PERF_TYPE_HW_CACHE,
				.view = USER_PART,
			};
			return true;
		}
	}
	return false;
}

static bool find_raw(const char *name, struct event_kind *ret_kind)
{
	size_t digits = name[0] == 'r' ? strspn(name + 1, "0123456789abcdefABCDEF") : 0;

	if (!digits || digits > 16 || name[1 + digits])
		return false;
	*ret_kind = (struct event_kind){ .unit = "events",
					 .config = strtoull(name + 1, NULL, 16),
					 .type = PERF_TYPE_RAW,
					 .view = USER_PART };
	return true;
}

/* "a, b, ..., L1-dcache-loads ..." */
static void list_names(char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < NR(kinds) && len < size; i++) {
		bool again = i && kinds[i].type == kinds[i - 1].type &&
			     kinds[i].config == kinds[i - 1].config;

		if (!again)
			len += (size_t)snprintf(text + len, size - len, "%s, ", kinds[i].name);
	}
	for (size_t i = 0; i < NR(caches) && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? i == NR(caches) - 1 ? " or " : ", " : "",
					caches[i].name);
	if (len < size)
		snprintf(text + len, size - len,
			 " with -loads, -load-misses, -stores, -store-misses, -prefetches or "
			 "-prefetch-misses, rNNN for the processor's own, and what `perf list` "
			 "has as unit/event/");
}

/* What ":u", ":k" and both ask for; false: it is something else. */
static bool take_modifier(const char *modifier, struct event_kind *kind)
{
	if (!strcmp(modifier, "u"))
		kind->only = ONLY_USER;
	else if (!strcmp(modifier, "k"))
		kind->only = ONLY_KERNEL;
	else
		return !strcmp(modifier, "uk") || !strcmp(modifier, "ku");
	return true;
}

static int refuse(const char *name, struct err *err)
{
	char all[1000];

	list_names(all, sizeof(all));
	return err_set(err, -EINVAL, "there is no counter '%s': there are %s", name, all);
}

/* *ret_modifier: what stands behind its colon, or its last slash; ":" alone is no modifier. */
static int find_event(const char *name, const char *root, struct event_kind *kind,
		      const char **ret_modifier, struct err *err)
{
	const char *slash = strrchr(name, '/');
	char event[COUNTER_NAME];
	size_t len = slash ? (size_t)(slash + 1 - name) : strcspn(name, ":");
	int r;

	snprintf(event, sizeof(event), "%.*s", (int)len, name);
	*ret_modifier = name + len;
	if (slash)
		return counter_pmu_terms(root, event, kind, err);
	if (name[len])
		*ret_modifier = name[len + 1] ? name + len + 1 : ":";
	if (find_kind(event, kind) || find_cache(event, kind) || find_raw(event, kind))
		return 0;
	r = counter_pmu_event(root, event, kind, err);
	return r > 0 ? 0 : r ? r : refuse(event, err);
}

/* To the comma that is behind it, not one between slashes or braces. */
static size_t word_len(const char *names)
{
	bool inside = false;
	size_t len = 0;

	for (; names[len] && (names[len] != ',' || inside); len++) {
		if (names[len] == '/')
			inside = !inside;
		else if (names[len] == '{' || names[len] == '}')
			inside = names[len] == '{';
	}
	return len;
}

static int add_name(struct counter_list *list, const char *word, size_t len, const char *root,
		    struct err *err)
{
	struct event_kind *kind = &list->kind[list->nr];
	char *name = list->name[list->nr];
	const char *modifier = "";
	int r;

	if (!len)
		return err_set(err, -EINVAL,
			       "a name of a counter is empty: write them as in cycles,page-faults");
	if (memchr(word, '{', len) || memchr(word, '}', len))
		return err_set(
			err, -EINVAL,
			"groups of counters, {a,b}, are not made: name them one by one; what had to "
			"share the hardware is extrapolated, and marked ~");
	snprintf(name, COUNTER_NAME, "%.*s", (int)(len < COUNTER_NAME ? len : COUNTER_NAME - 1),
		 word);
	r = len < COUNTER_NAME ? find_event(name, root, kind, &modifier, err) : refuse(name, err);
	if (r)
		return r;
	if (*modifier && !take_modifier(modifier, kind))
		return err_set(err, -EINVAL,
			       "'%s': behind the colon stands u (only in user space) or k (only in "
			       "the kernel), and so it does behind the last slash",
			       name);
	kind->name = name;
	for (size_t i = 0; i < list->nr; i++)
		if (!strcmp(list->name[i], name))
			return err_set(err, -EINVAL, "the counter '%s' is named twice", name);
	list->nr++;
	return 0;
}

int counter_list_parse(struct counter_list *list, const char *names, struct err *err)
{
	return counter_list_parse_in(list, names, COUNTER_PMU_ROOT, err);
}

int counter_list_parse_in(struct counter_list *list, const char *names, const char *root,
			  struct err *err)
{
	*list = (struct counter_list){};
	if (!*names)
		names = DEFAULT_NAMES;
	while (true) {
		size_t len = word_len(names);
		int r;

		if (list->nr == COUNTERS_MAX)
			return err_set(err, -EINVAL,
				       "these are more than %d counters, which is as many as one "
				       "recording has: take several recordings",
				       COUNTERS_MAX);
		r = add_name(list, names, len, root, err);
		if (r || !names[len])
			return r;
		names += len + 1;
	}
}
