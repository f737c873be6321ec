// SPDX-License-Identifier: GPL-2.0-only
/* See runq_check.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runq_check.h"
#include "trace_text.h"

struct runq_check runq_check_run(const char *text, uint64_t end_ns)
{
	struct runq_check a;
	struct err err;

	assert_int_equal(ledger_new(ARCH_X86_64, 2, &a.l, &err), 0);
	assert_int_equal(passes_new(a.l, 2, PASS_RUNQ_WHO, &a.p, &err), 0);
	trace_text_feed_passes(a.l, a.p, text);
	assert_int_equal(passes_end(a.p, end_ns), 0);
	ledger_finish(a.l, end_ns);
	assert_int_equal(passes_finish(a.p), 0);
	return a;
}

void runq_check_free(const struct runq_check *a)
{
	passes_free(a->p);
	ledger_free(a->l);
}

void runq_check_sums(const struct runq_check *a)
{
	const struct runq_split *all = runq_who_all(a->p->runq_who);
	uint64_t named_ns = 0, queued_ns = 0;
	struct runq_occupant *list;
	size_t nr;

	for (size_t i = 0; i < ledger_nr_threads(a->l); i++) {
		const struct thread *t = ledger_thread(a->l, i);
		const struct runq_split *s = runq_who_thread(a->p->runq_who, t->serial);
		uint64_t sum_ns = 0, runq_ns = t->ledger_ns[CLASS_RUNQ_PREEMPTED] +
					       t->ledger_ns[CLASS_RUNQ_WAKEUP];

		for (int p = 0; s && p < RUNQ_PARTS; p++) {
			assert_true(s->part_ns[p] <= s->wait_ns);
			sum_ns += s->part_ns[p];
		}
		assert_int_equal(sum_ns, runq_ns);
		queued_ns += runq_ns;
	}
	assert_int_equal(all->wait_ns, queued_ns);
	assert_int_equal(runq_who_others(a->p->runq_who, &list, &nr), 0);
	for (size_t i = 0; i < nr; i++)
		named_ns += list[i].ns;
	free(list);
	assert_int_equal(named_ns, all->part_ns[RUNQ_TRACKED] + all->part_ns[RUNQ_FOREIGN]);
}

char *runq_check_show(const struct passes *p, bool all)
{
	const struct runq_split *split = runq_who_all(p->runq_who);
	struct runq_occupant *list;
	char *text = NULL;
	size_t len, nr;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fprintf(f, "wait=%" PRIu64, split->wait_ns);
	for (int i = 0; i < RUNQ_PARTS; i++)
		if (split->part_ns[i])
			fprintf(f, " %s=%" PRIu64, runq_part_name(i), split->part_ns[i]);
	if (all)
		fprintf(f, " nobody=%" PRIu64, split->nobody_ns);
	fputc('\n', f);
	assert_int_equal(runq_who_others(p->runq_who, &list, &nr), 0);
	for (size_t i = 0; i < nr; i++) {
		bool named = all && *list[i].comm && !list[i].tracked;

		fprintf(f, "%" PRIu32 "%s%s:", list[i].pid, named ? " " : "",
			named ? list[i].comm : "");
		if (all)
			fputs(list[i].tracked ? " recorded" : " foreign", f);
		fprintf(f, " %" PRIu64 "\n", list[i].ns);
	}
	free(list);
	fclose(f);
	return text;
}
