// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts in the waits for a CPU: machines of two CPUs that act at random, whose truth is kept while their records are made;
 * and records that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runq_check.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define THREADS 9 /* of three processes */
#define FOREIGN 3
#define PIDS 100
#define IDLE (-1)

enum { BLOCKED, QUEUED, RUNS };

struct machine {
	uint64_t random, now_ns;
	FILE *out;
	bool lies; /* some records are not true */
	struct {
		int has; /* a thread, THREADS + a foreign one, IDLE */
		bool irq, before;
		uint64_t irq_ns;
	} cpu[2];
	struct {
		int state, cpu;
		uint64_t moved_ns;
		uint64_t part_ns[RUNQ_PARTS];
	} thread[THREADS];
	uint64_t pid_ns[PIDS]; /* while threads of others waited */
};

static unsigned int rnd(struct machine *m, unsigned int below)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(m->random >> 33) % below;
}

static int tgid_of(int thread)
{
	return thread % 3 + 1;
}

static const char *name_of(int has, char buf[16])
{
	if (has == IDLE)
		return "idle";
	snprintf(buf, 16, has < THREADS ? "%c" : "u%d", has < THREADS ? 'A' + has : 50 + has);
	return buf;
}

static bool waits_on(const struct machine *m, int cpu)
{
	for (int i = 0; i < THREADS; i++)
		if (m->thread[i].state == QUEUED && m->thread[i].cpu == cpu)
			return true;
	return false;
}

/* What the waiting threads waited for in the last ns. */
static void pass_time(struct machine *m, uint64_t ns)
{
	for (int i = 0; i < THREADS; i++) {
		int cpu = m->thread[i].cpu, has = m->cpu[cpu].has;
		enum runq_part part = RUNQ_OWN;

		if (m->thread[i].state != QUEUED)
			continue;
		if (m->cpu[cpu].irq)
			part = RUNQ_IRQ;
		else if (has == IDLE)
			part = RUNQ_IDLE;
		else if (has >= THREADS)
			part = RUNQ_FOREIGN;
		else if (tgid_of(has) != tgid_of(i))
			part = RUNQ_TRACKED;
		m->thread[i].part_ns[part] += ns;
		if (part == RUNQ_FOREIGN || part == RUNQ_TRACKED)
			m->pid_ns[has < THREADS ? tgid_of(has) : 50 + has] += ns;
	}
	m->now_ns += ns;
}

static void do_switch(struct machine *m, int cpu)
{
	int prev = m->cpu[cpu].has, next = (int)rnd(m, THREADS + FOREIGN + 1) - 1;
	bool preempted = rnd(m, 2);
	char a[16], b[16];

	if (m->cpu[cpu].irq || prev == next)
		return;
	if (next >= 0 && next < THREADS &&
	    (m->thread[next].state != QUEUED || m->thread[next].cpu != cpu))
		return;
	fprintf(m->out, "%" PRIu64 " cpu%d switch %s%s %s\n", m->now_ns, cpu, name_of(prev, a),
		prev < 0 || prev >= THREADS ? "" :
		preempted                   ? "/P" :
					      "/S:read",
		name_of(next, b));
	if (prev >= 0 && prev < THREADS)
		m->thread[prev].state = preempted ? QUEUED : BLOCKED;
	if (next >= 0 && next < THREADS)
		m->thread[next].state = RUNS;
	m->cpu[cpu].has = next;
}

static void do_wake(struct machine *m, int on)
{
	int i = (int)rnd(m, THREADS);

	if (m->thread[i].state != BLOCKED)
		return;
	fprintf(m->out, "%" PRIu64 " cpu%u wake %c by idle hardirq on=%d\n", m->now_ns, rnd(m, 2),
		'A' + i, on);
	m->thread[i].state = QUEUED;
	m->thread[i].cpu = on;
}

/* Not out of an interrupt of which nothing is told, and not twice in one. */
static bool may_move(struct machine *m, int i, int from)
{
	if (m->cpu[from].irq && m->cpu[from].before)
		return false;
	for (int cpu = 0; cpu < 2; cpu++)
		if (m->cpu[cpu].irq && m->thread[i].moved_ns >= m->cpu[cpu].irq_ns)
			return false;
	return !rnd(m, 4);
}

static void do_migrate(struct machine *m, int from)
{
	int i = (int)rnd(m, THREADS);

	if (m->thread[i].state != QUEUED || m->thread[i].cpu != from ||
	    (!m->lies && !may_move(m, i, from)))
		return;
	fprintf(m->out, "%" PRIu64 " cpu%u migrate %c %d %d\n", m->now_ns, rnd(m, 2), 'A' + i, from,
		!from);
	m->thread[i].cpu = !from;
	m->thread[i].moved_ns = m->now_ns;
}

static void do_irq(struct machine *m, int cpu)
{
	if (!m->cpu[cpu].irq) {
		m->cpu[cpu].irq = true;
		m->cpu[cpu].before = !waits_on(m, cpu);
		m->cpu[cpu].irq_ns = m->now_ns;
		return;
	}
	m->cpu[cpu].irq = false;
	if (m->cpu[cpu].before && !waits_on(m, cpu))
		return;
	fprintf(m->out, "%" PRIu64 " cpu%d irq ", m->now_ns, cpu);
	if (m->cpu[cpu].before)
		fprintf(m->out, "before\n");
	else
		fprintf(m->out, "%" PRIu64 "\n", m->now_ns - m->cpu[cpu].irq_ns);
}

static void do_lie(struct machine *m, int cpu)
{
	fprintf(m->out, "%" PRIu64 " cpu%d ", m->now_ns, cpu);
	switch (rnd(m, 4)) {
	case 0:
		fprintf(m->out, "irq before\n");
		break;
	case 1:
		fprintf(m->out, "lost %" PRIu64 " %" PRIu64 " 3\n", m->now_ns - 20, m->now_ns);
		break;
	default:
		fprintf(m->out, "irq %u\n", rnd(m, 2000));
		break;
	}
}

static char *run_machine(struct machine *m, unsigned int steps)
{
	char *text = NULL;
	size_t len;

	m->out = open_memstream(&text, &len);
	m->now_ns = 100;
	for (int i = 0; i < THREADS; i++)
		fprintf(m->out, "50 cpu0 snap %c tid=%d tgid=%d blocked S:read\n", 'A' + i,
			i < 3 ? i + 1 : 20 + i, tgid_of(i));
	for (int cpu = 0; cpu < 2; cpu++) {
		fprintf(m->out, "%" PRIu64 " cpu%d switch u9 idle\n", m->now_ns, cpu);
		m->cpu[cpu].has = IDLE;
	}
	for (unsigned int i = 0; i < steps; i++) {
		static void (*const what[])(struct machine * m,
					    int cpu) = { do_switch, do_switch, do_switch, do_switch,
							 do_wake,   do_wake,   do_wake,   do_irq,
							 do_irq,    do_migrate };

		pass_time(m, rnd(m, 20)); /* may be 0 */
		if (m->lies && !rnd(m, 5))
			do_lie(m, (int)rnd(m, 2));
		else
			what[rnd(m, LEN(what))](m, (int)rnd(m, 2));
	}
	for (int cpu = 0; cpu < 2; cpu++)
		if (m->cpu[cpu].irq)
			do_irq(m, cpu);
	pass_time(m, 10);
	fclose(m->out);
	return text;
}

/* True when every name was kept, which is not for a wait that was moved often. */
static bool compare(const struct machine *m, const struct runq_check *a, uint64_t seed)
{
	struct runq_occupant *list;
	uint64_t pid_ns[PIDS] = {};
	size_t nr;

	for (int i = 0; i < THREADS; i++) {
		const struct runq_split *s = runq_who_thread(a->p->runq_who, (uint32_t)i + 1);

		for (int p = 0; p < RUNQ_PARTS; p++)
			if ((s ? s->part_ns[p] : 0) != m->thread[i].part_ns[p])
				fail_msg("seed %" PRIu64 ", thread %c, %s: %" PRIu64
					 " instead of %" PRIu64,
					 seed, 'A' + i, runq_part_name(p), s ? s->part_ns[p] : 0,
					 m->thread[i].part_ns[p]);
	}
	assert_int_equal(runq_who_others(a->p->runq_who, &list, &nr), 0);
	for (size_t i = 0; i < nr; i++) {
		assert_true(list[i].pid < PIDS);
		pid_ns[list[i].pid] = list[i].ns;
	}
	free(list);
	for (int i = 0; i < PIDS; i++)
		if (i && (pid_ns[0] ? pid_ns[i] > m->pid_ns[i] : pid_ns[i] != m->pid_ns[i]))
			fail_msg("seed %" PRIu64 ", process %d: %" PRIu64 " instead of %" PRIu64,
				 seed, i, pid_ns[i], m->pid_ns[i]);
	return !pid_ns[0];
}

static void test_random(void **state)
{
	unsigned int named = 0;
	uint64_t irq_ns = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct machine m = { .random = seed * 7919 };
		char *text = run_machine(&m, 1000);
		struct runq_check a = runq_check_run(text, m.now_ns);

		runq_check_sums(&a);
		named += compare(&m, &a, seed);
		irq_ns += runq_who_all(a.p->runq_who)->part_ns[RUNQ_IRQ];
		runq_check_free(&a);
		free(text);
	}
	assert_true(irq_ns > 0);
	assert_true(named > 90);
}

static void test_lies(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct machine m = { .random = seed * 104729, .lies = true };
		char *text = run_machine(&m, 1000);
		struct runq_check a = runq_check_run(text, m.now_ns);

		runq_check_sums(&a);
		runq_check_free(&a);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
