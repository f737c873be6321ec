// SPDX-License-Identifier: GPL-2.0-only
/* The contest for programs in other languages: see scene.h. */
#include "scene.h"

#include "../contest.h"

static const struct scene *playing;

static int no_function(void *lock)
{
	(void)lock;
	return 0;
}

static void *scene_holder(void *arg)
{
	struct contest *c = arg;

	if (!playing->around)
		return contest_holder(c);
	prctl(PR_SET_NAME, "holder");
	contest_check(playing->around(c->lock, contest_holder, c), "around");
	return NULL;
}

static void play(const struct scene *s)
{
	struct contest c = {
		.name = s->name,
		.lock = s->lock,
		.take = s->take,
		.leave = s->leave ? s->leave : no_function,
		.wait = s->wait,
		.pass = s->pass,
		.waiters = s->waiters,
		.rounds = s->rounds,
		.hold_ms = s->hold_ms,
		.sleeps = s->sleeps,
	};
	struct contest_threads t;

	playing = s;
	fact_lock(s->name, s->address ? s->address : s->lock, s->size);
	t.holder = start(scene_holder, &c);
	for (int i = 0; i < s->waiters; i++)
		t.waiters[i] = start(contest_waiter, &c);
	contest_finish(&c, &t);
}

int scene_main(int argc, char **argv, const struct scene *scenes, size_t nr)
{
	size_t played = 0;

	facts_open();
	alarm(60); /* whatever goes wrong, nothing stays */
	for (size_t i = 0; argc > 1 && i < nr; i++) {
		if (strcmp(argv[1], scenes[i].workload))
			continue;
		play(&scenes[i]);
		played++;
	}
	if (played)
		return 0;
	fprintf(stderr, "usage: %s WORKLOAD:", argv[0]);
	for (size_t i = 0; i < nr; i++)
		fprintf(stderr, " %s", scenes[i].workload);
	fprintf(stderr, "\n");
	return 2;
}
