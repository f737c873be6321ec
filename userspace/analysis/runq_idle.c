// SPDX-License-Identifier: GPL-2.0-only
/* For how long some CPU of a set stood idle: see runq_idle.h. */
#include "analysis/runq_idle.h"

#include <stdlib.h>
#include <string.h>

struct set {
	uint64_t cpus[EV_CPUS_WORDS];
	bool beyond;       /* CPUs that the bits do not show belong to it */
	unsigned int idle; /* how many of them are idle */
	uint64_t which;    /* the sum of their numbers: the one, when it is one */
	uint64_t since_ns;
	uint64_t some_ns;
	uint64_t *only_ns; /* [cpu] */
};

struct idle_cpus {
	unsigned int nr_cpus, nr_sets;
	bool *idle; /* [cpu] */
	struct set set[IDLE_SETS_MAX];
};

struct idle_cpus *idle_new(unsigned int nr_cpus)
{
	struct idle_cpus *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->nr_cpus = nr_cpus;
	i->idle = calloc(nr_cpus + 1, sizeof(*i->idle));
	if (!i->idle) {
		idle_free(i);
		return NULL;
	}
	return i;
}

void idle_free(struct idle_cpus *i)
{
	if (!i)
		return;
	for (unsigned int n = 0; n < i->nr_sets; n++)
		free(i->set[n].only_ns);
	free(i->idle);
	free(i);
}

static bool in_set(const struct set *s, unsigned int cpu)
{
	if (cpu >= EV_CPUS_WORDS * 64)
		return s->beyond;
	return s->cpus[cpu / 64] >> (cpu % 64) & 1;
}

static void advance(struct set *s, uint64_t now_ns)
{
	if (s->idle)
		s->some_ns += now_ns - s->since_ns;
	if (s->idle == 1)
		s->only_ns[s->which] += now_ns - s->since_ns;
	s->since_ns = now_ns;
}

void idle_change(struct idle_cpus *i, unsigned int cpu, bool idle, uint64_t now_ns)
{
	if (i->idle[cpu] == idle)
		return;
	i->idle[cpu] = idle;
	for (unsigned int n = 0; n < i->nr_sets; n++) {
		struct set *s = &i->set[n];

		if (!in_set(s, cpu))
			continue;
		advance(s, now_ns);
		s->idle += idle ? 1 : -1u;
		s->which += idle ? cpu : -(uint64_t)cpu;
	}
}

static unsigned int bits(const uint64_t cpus[EV_CPUS_WORDS])
{
	unsigned int nr = 0;

	for (unsigned int w = 0; w < EV_CPUS_WORDS; w++)
		nr += (unsigned int)__builtin_popcountll(cpus[w]);
	return nr;
}

unsigned int idle_set(struct idle_cpus *i, const uint64_t cpus[EV_CPUS_WORDS], uint32_t nr,
		      uint64_t now_ns)
{
	bool beyond = nr > bits(cpus);
	struct set *s;

	if (nr <= 1)
		return IDLE_NO_SET;
	for (unsigned int n = 0; n < i->nr_sets; n++)
		if (i->set[n].beyond == beyond &&
		    !memcmp(i->set[n].cpus, cpus, sizeof(i->set[n].cpus)))
			return n + 1;
	if (i->nr_sets == IDLE_SETS_MAX)
		return IDLE_NO_SET;
	s = &i->set[i->nr_sets];
	*s = (struct set){ .beyond = beyond, .since_ns = now_ns };
	memcpy(s->cpus, cpus, sizeof(s->cpus));
	s->only_ns = calloc(i->nr_cpus + 1, sizeof(*s->only_ns));
	if (!s->only_ns)
		return IDLE_NO_SET;
	for (unsigned int cpu = 0; cpu < i->nr_cpus; cpu++) {
		if (!i->idle[cpu] || !in_set(s, cpu))
			continue;
		s->idle++;
		s->which += cpu;
	}
	return ++i->nr_sets;
}

uint64_t idle_elsewhere(struct idle_cpus *i, unsigned int set, unsigned int cpu, uint64_t now_ns)
{
	struct set *s;

	if (set == IDLE_NO_SET)
		return 0;
	s = &i->set[set - 1];
	advance(s, now_ns);
	return s->some_ns - s->only_ns[cpu];
}
