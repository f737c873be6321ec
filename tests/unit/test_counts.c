// SPDX-License-Identifier: GPL-2.0-only
/* What counters counted for each thread, from small traces; and META that lies about its counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/experiment.h"
#include "analysis/load.h"
#include "probes/counter_names.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TWO "\"instructions\": {\"index\": 0, \"unit\": \"i\"}, \"cycles\": {\"index\": 1}"

static char path[] = "/tmp/whyscale-counts-XXXXXX";

static struct loaded *load(const char *counters, const char *text)
{
	struct loaded *l = NULL;
	struct err err = {};
	char all[700];
	json_t *meta;

	snprintf(all, sizeof(all),
		 "{\"arch\": \"x86_64\", \"bpf\": true, \"machine\": {\"cpus\": 4}, "
		 "\"ended_ns\": 1000, \"counters\": {%s}}",
		 counters);
	meta = json_loads(all, 0, NULL);
	assert_non_null(meta);
	trace_text_write(path, meta, text);
	json_decref(meta);
	if (load_trace(path, &l, &err))
		fail_msg("%s", err.msg);
	return l;
}

/* "A 12~ 34 slices=2 unknown=1/50 lost=3 before=1,2 ipc=0.35+": "~" scaled, "?" never counted, "+" partial. */
static char *show(const struct loaded *l)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct counted *of = counts_of(l->counts, l->threads[i]->serial);
		double ipc;

		fprintf(f, "%c", 'A' + (int)l->threads[i]->serial - 1);
		for (unsigned int k = 0; k < counts_nr(l->counts); k++)
			fprintf(f, " %" PRIu64 "%s", of->counter[k].value,
				of->counter[k].none   ? "?" :
				of->counter[k].scaled ? "~" :
							"");
		fprintf(f, " slices=%" PRIu64, of->slices);
		if (of->unknown)
			fprintf(f, " unknown=%" PRIu64 "/%" PRIu64, of->unknown, of->unknown_ns);
		if (of->open_ns)
			fprintf(f, " open=%" PRIu64, of->open_ns);
		if (of->lost)
			fprintf(f, " lost=%" PRIu64, of->lost);
		if (of->exec)
			fprintf(f, " before=%" PRIu64 ",%" PRIu64, of->before_exec[0],
				of->before_exec[1]);
		if (counted_ipc(l->counts, of, &ipc))
			fprintf(f, " ipc=%.2f", ipc);
		fprintf(f, "%s\n", of->partial ? "+" : "");
	}
	fclose(f);
	return text;
}

static const struct {
	const char *name, *counters, *text, *expected;
} cases[] = {
	{ "two threads on one CPU, each its own", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 snap B blocked S:read\n"
	  "200 cpu0 wake A by idle\n"
	  "210 cpu0 switch idle A\n"
	  "250 cpu0 wake B by A\n"
	  "300 cpu0 counts A v=10,20\n"
	  "300 cpu0 switch A/S:read B\n"
	  "400 cpu0 counts B v=7,3\n"
	  "400 cpu0 switch B/S:read idle\n"
	  "500 cpu0 wake A by idle\n"
	  "510 cpu0 switch idle A\n"
	  "600 cpu0 counts A v=1,2\n"
	  "600 cpu0 switch A/X idle\n"
	  "600 cpu0 counts A total v=11,22\n",
	  "A 11 22 slices=2 ipc=0.50\n"
	  "B 7 3 slices=1 ipc=2.33\n" },
	{ "a dropped record is in the total", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 counts A v=100,200\n"
	  "!200 cpu0 switch A/P idle\n"
	  "!250 cpu0 switch idle A\n"
	  "300 cpu0 counts A v=1,2\n"
	  "300 cpu0 switch A/X idle\n"
	  "300 cpu0 counts A total v=101,202\n",
	  "A 101 202 slices=1 ipc=0.50\n" },
	{ "no record was lost: the slices tell, whatever a total lacks", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=100,200\n"
	  "200 cpu0 switch A/P idle\n"
	  "200 cpu0 counts A total v=1,2\n",
	  "A 100 200 slices=1 ipc=0.50\n" },
	{ "without a total it is missing, and said", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "!200 cpu0 counts A v=100,200\n"
	  "!200 cpu0 switch A/P idle\n"
	  "!250 cpu0 switch idle A\n"
	  "300 cpu0 counts A v=1,2\n"
	  "300 cpu0 switch A/P idle\n",
	  "A 1 2 slices=1 lost=1 ipc=0.50+\n" },
	{ "slices after the total are added to it", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=5,5\n"
	  "200 cpu0 switch A/S:read idle\n"
	  "210 cpu0 counts A total v=5,5\n"
	  "220 cpu0 wake A by idle\n"
	  "230 cpu0 switch idle A\n"
	  "300 cpu0 counts A v=1,2\n"
	  "300 cpu0 switch A/S:read idle\n",
	  "A 6 7 slices=2 ipc=0.86\n" },
	{ "it ran already: that slice is not known", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "150 cpu0 counts A unknown v=0,0\n"
	  "150 cpu0 switch A/P idle\n"
	  "160 cpu0 switch idle A\n"
	  "300 cpu0 counts A v=3,6\n"
	  "300 cpu0 switch A/X idle\n"
	  "300 cpu0 counts A total v=3,6 slices=1\n",
	  "A 3 6 slices=1 unknown=1/50 ipc=0.50+\n" },
	{ "shared hardware: extrapolated by each counter's own share", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "120 cpu0 switch idle A\n"
	  "220 cpu0 counts A v=50,20 enabled=100,100 running=100,25\n"
	  "220 cpu0 switch A/S:read idle\n",
	  "A 50 80~ slices=1 ipc=0.62\n" },
	{ "some slices shared, others not", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "120 cpu0 switch idle A\n"
	  "220 cpu0 counts A v=50,20 enabled=100,100 running=100,50\n"
	  "220 cpu0 switch A/P idle\n"
	  "300 cpu0 switch idle A\n"
	  "400 cpu0 counts A v=1,40\n"
	  "400 cpu0 switch A/S:read idle\n",
	  /* 60 in 150 of 200 ns */
	  "A 51 80~ slices=2 ipc=0.64\n" },
	{ "never had the hardware: not known, not 0", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "120 cpu0 switch idle A\n"
	  "220 cpu0 counts A v=50,0 enabled=100,100 running=100,0\n"
	  "220 cpu0 switch A/S:read idle\n",
	  "A 50 0? slices=1\n" },
	{ "before its first exec", TWO,
	  "100 cpu0 snap A target S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "120 cpu0 switch idle A\n"
	  "150 cpu0 exec A tid=7\n"
	  "150 cpu0 counts A exec v=4,8\n"
	  "180 cpu0 exec A tid=7\n"
	  "180 cpu0 counts A exec v=5,9\n"
	  "220 cpu0 counts A v=10,20\n"
	  "220 cpu0 switch A/X idle\n"
	  "220 cpu0 counts A total v=10,20\n",
	  "A 10 20 slices=1 before=4,8 ipc=0.50\n" },
	{ "a total that was taken while the thread ran tells nothing", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=5,5\n"
	  "200 cpu0 switch A/S:read idle\n"
	  "210 cpu0 counts A total unknown v=99,99\n",
	  "A 5 5 slices=1 ipc=1.00\n" },
	{ "no program saw it get its CPU: as long as the kernel's books say", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "300 cpu0 missed A in arrival=120 queue=20 n=1\n"
	  "300 cpu0 counts A unknown v=0,0\n"
	  "300 cpu0 switch A/S:read idle\n",
	  "A 0 0 slices=0 unknown=1/120+\n" },
	{ "it still ran when the recording ended", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "120 cpu0 switch idle A\n"
	  "220 cpu0 counts A v=5,10\n"
	  "220 cpu0 switch A/P idle\n"
	  "400 cpu0 switch idle A\n"
	  "500 cpu1 irq 3\n",
	  "A 5 10 slices=1 open=600 ipc=0.50\n" },
	{ "and after that", TWO,
	  "100 cpu0 snap A blocked S:read\n"
	  "110 cpu0 wake A by idle\n"
	  "1120 cpu0 switch idle A\n"
	  "1500 cpu1 irq 3\n",
	  "A 0 0 slices=0 open=380\n" },
	{ "fewer values than META has counters", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=5\n"
	  "200 cpu0 switch A/S:read idle\n",
	  "A 0 0 slices=0 unknown=1/100+\n" },
	{ "a thread that the trace does not have", TWO,
	  "100 cpu0 snap A oncpu\n"
	  "150 cpu0 counts C v=5,5\n"
	  "200 cpu0 switch A/S:read idle\n",
	  "A 0 0 slices=0\n" },
	{ "META names none: the records are ignored", "\"cycles\": {\"unavailable\": \"no\"}",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=5,5\n"
	  "200 cpu0 switch A/S:read idle\n",
	  "A slices=0\n" },
	{ "META's indexes: negative, too large, a gap, not a number",
	  "\"a\": {\"index\": -1}, \"b\": {\"index\": 8}, \"c\": {\"index\": \"1\"}, "
	  "\"d\": {\"index\": 2}, \"e\": {\"index\": 0}, \"f\": 5",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 counts A v=5,6,7\n"
	  "200 cpu0 switch A/S:read idle\n",
	  "A 5 slices=1\n" },
};

static void test_cases(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct loaded *l = load(cases[i].counters, cases[i].text);
		char *got = show(l);

		if (strcmp(got, cases[i].expected) != 0) {
			print_message("%s:\n%sexpected:\n%s", cases[i].name, got,
				      cases[i].expected);
			wrong++;
		}
		free(got);
		load_free(l);
	}
	assert_int_equal(wrong, 0);
}

/* Of a whole run, for the split of its inflation: all threads' together; what is not known of one is not known. */
static void test_run(void **state)
{
	unsigned int unknown = 0;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		bool known = !strchr(cases[i].expected, '+');
		struct loaded *l = load(cases[i].counters, cases[i].text);
		struct experiment run = {};

		experiment_take_totals(&run, l);
		if (!i)
			assert_true(run.instructions == 10 + 7 + 1 && run.cycles == 20 + 3 + 2);
		if (!strcmp(cases[i].expected, "A 50 0? slices=1\n"))
			assert_true(run.instructions == 50 && !run.cycles);
		if (!strcmp(cases[i].counters, TWO) && !known) {
			assert_true(!run.instructions && !run.cycles);
			unknown++;
		}
		load_free(l);
	}
	assert_true(unknown > 1);
}

/* ---- names ---- */

static const struct {
	const char *names, *refused; /* a part of the sentence; NULL: they are good */
	uint32_t type;               /* of the last one */
	uint64_t config;
	enum event_only only;
	uint64_t config1, config2;
} names[] = {
	{ "cycles", NULL, 0, 0, ONLY_ALL, 0, 0 },
	{ "cycles,instructions:u", NULL, 0, 1, ONLY_USER, 0, 0 },
	{ "branch-misses:k", NULL, 0, 5, ONLY_KERNEL, 0, 0 },
	{ "cache-misses:uk", NULL, 0, 3, ONLY_ALL, 0, 0 },
	{ "page-faults", NULL, 1, 2, ONLY_ALL, 0, 0 },
	{ "faults", NULL, 1, 2, ONLY_ALL, 0, 0 },
	{ "cs", NULL, 1, 3, ONLY_ALL, 0, 0 },
	{ "minor-faults", NULL, 1, 5, ONLY_ALL, 0, 0 },
	/* id | op << 8 | result << 16: perf_event_open(2) */
	{ "L1-dcache-load-misses", NULL, 3, 0x10000, ONLY_ALL, 0, 0 },
	{ "LLC-stores", NULL, 3, 0x102, ONLY_ALL, 0, 0 },
	{ "dTLB-prefetch-misses", NULL, 3, 0x10203, ONLY_ALL, 0, 0 },
	{ "node-loads", NULL, 3, 6, ONLY_ALL, 0, 0 },
	{ "r1c2", NULL, 4, 0x1c2, ONLY_ALL, 0, 0 },
	{ "rFFFFFFFFFFFFFFFF", NULL, 4, UINT64_MAX, ONLY_ALL, 0, 0 },
	{ "", NULL, 1, 2, ONLY_ALL, 0, 0 },
	/* of counting units: where each term goes is written in their files */
	{ "cpu/event=0x3c,umask=0x1/", NULL, 4, 0x13c, ONLY_ALL, 0, 0 },
	{ "cycles,cpu/event=0x3c,umask=1,cmask=2,inv/u,faults", NULL, 1, 2, ONLY_ALL, 0, 0 },
	{ "faults,cpu/event=0x3c,umask=1,cmask=2,inv/u", NULL, 4, 0x0280013c, ONLY_USER, 0, 0 },
	{ "cpu/event=60/k", NULL, 4, 60, ONLY_KERNEL, 0, 0 },
	{ "cpu/split=0xfab/", NULL, 4, 0xf000000abull, ONLY_ALL, 0, 0 },
	{ "cpu/mem-loads/", NULL, 4, 0x1cd, ONLY_ALL, 3, 0 },
	{ "cpu/mem-loads,umask=0x2/", NULL, 4, 0x3cd, ONLY_ALL, 3, 0 },
	{ "cpu/whole=0xffffffffffffffff/", NULL, 4, 0, ONLY_ALL, 0, UINT64_MAX },
	{ "cpu/config=0x1cd,config1=7/", NULL, 4, 0x1cd, ONLY_ALL, 7, 0 },
	{ "mem-loads:u", NULL, 4, 0x1cd, ONLY_USER, 3, 0 },
	{ "inst_retired", NULL, 10, 8, ONLY_ALL, 0, 0 },
	{ "armv8_pmuv3_0/event=0x11/", NULL, 10, 0x11, ONLY_ALL, 0, 0 },
	{ "cpu/bogus=1/", "there is no term 'bogus'", 0, 0, 0, 0, 0 },
	{ "cpu/bogus/", "there is no term 'bogus'", 0, 0, 0, 0, 0 },
	{ "cpu/event/", NULL, 4, 1, ONLY_ALL, 0, 0 },
	{ "cpu/event=/", "'' is no number", 0, 0, 0, 0, 0 },
	{ "cpu/event=zz/", "'zz' is no number", 0, 0, 0, 0, 0 },
	{ "cpu/event=-1/", "'-1' is no number", 0, 0, 0, 0, 0 },
	{ "cpu/event=0x100/", "0x100 is too large for event", 0, 0, 0, 0, 0 },
	{ "cpu/event=1,/", "a term is empty", 0, 0, 0, 0, 0 },
	{ "cpu//", "a term is empty", 0, 0, 0, 0, 0 },
	{ "cpu/event=1", "write it as in cpu/event", 0, 0, 0, 0, 0 },
	{ "/event=1/", "write it as in cpu/event", 0, 0, 0, 0, 0 },
	{ "nosuch/event=1/", "no counting unit 'nosuch'", 0, 0, 0, 0, 0 },
	{ "../event=1/", "no counting unit", 0, 0, 0, 0, 0 },
	{ "cpu/..=1/", "there is no term", 0, 0, 0, 0, 0 },
	{ "cpu/loop/", "there is no term 'loop'", 0, 0, 0, 0, 0 },
	{ "uncore/config=1/", "counts for a whole package", 0, 0, 0, 0, 0 },
	{ "data", "there is no counter 'data'", 0, 0, 0, 0, 0 },
	{ "cpu/event=1/x", "behind the last slash", 0, 0, 0, 0, 0 },
	{ "{cycles,instructions}", "groups of counters", 0, 0, 0, 0, 0 },
	{ "cycles,{cs,faults}:u", "groups of counters", 0, 0, 0, 0, 0 },
	{ "foo", "there is no counter 'foo': there are cycles, ", 0, 0, 0, 0, 0 },
	{ "foo", "page-faults", 0, 0, 0, 0, 0 },
	{ "foo", "L1-dcache, ", 0, 0, 0, 0, 0 },
	{ "foo", "rNNN for the processor's own", 0, 0, 0, 0, 0 },
	{ "r12345678901234567", "no counter 'r12345678901234567'", 0, 0, 0, 0, 0 },
	{ "r", "no counter 'r'", 0, 0, 0, 0, 0 },
	{ "rxyz", "no counter 'rxyz'", 0, 0, 0, 0, 0 },
	{ "L1-dcache", "no counter 'L1-dcache'", 0, 0, 0, 0, 0 },
	{ "cycles,", "a name of a counter is empty", 0, 0, 0, 0, 0 },
	{ ",cycles", "a name of a counter is empty", 0, 0, 0, 0, 0 },
	{ "cycles,cycles", "'cycles' is named twice", 0, 0, 0, 0, 0 },
	{ "cycles:p", "behind the colon stands u", 0, 0, 0, 0, 0 },
	{ "cycles:", "behind the colon stands u", 0, 0, 0, 0, 0 },
	{ "r1,r2,r3,r4,r5,r6,r7,r8,r9", "more than 8 counters", 0, 0, 0, 0, 0 },
	{ "a-name-that-is-longer-than-any-counter-of-perf-has-ever-had", "there is no counter", 0,
	  0, 0, 0, 0 },
};

/* Counting units as a kernel tells of them: one of a processor, one of a package. */
static char units[] = "/tmp/test_counts_units.XXXXXX";
static const struct {
	const char *name, *text;
} unit_files[] = {
	{ "cpu/type", "4\n" },
	{ "cpu/format/event", "config:0-7\n" },
	{ "cpu/format/umask", "config:8-15\n" },
	{ "cpu/format/cmask", "config:24-31\n" },
	{ "cpu/format/inv", "config:23\n" },
	{ "cpu/format/split", "config:0-7,32-35\n" },
	{ "cpu/format/ldlat", "config1:0-15\n" },
	{ "cpu/format/whole", "config2:0-63\n" },
	{ "cpu/events/mem-loads", "event=0xcd,umask=0x1,ldlat=3\n" },
	{ "cpu/events/slots", "event=0x00,umask=0x4\n" },
	{ "cpu/events/loop", "loop\n" },
	{ "uncore/type", "12\n" },
	{ "uncore/cpumask", "0\n" },
	{ "uncore/events/data", "config=1\n" },
	{ "armv8_pmuv3_0/type", "10\n" },
	{ "armv8_pmuv3_0/format/event", "config:0-15\n" },
	{ "armv8_pmuv3_0/events/inst_retired", "event=0x0008\n" },
};

static void make_units(void)
{
	char file[200];

	assert_non_null(mkdtemp(units));
	for (size_t i = 0; i < LEN(unit_files); i++) {
		FILE *f;

		snprintf(file, sizeof(file), "%s/%s", units, unit_files[i].name);
		for (char *at = file + strlen(units) + 1; (at = strchr(at, '/')); *at++ = '/') {
			*at = '\0';
			mkdir(file, 0700);
		}
		f = fopen(file, "we");
		assert_non_null(f);
		fputs(unit_files[i].text, f);
		fclose(f);
	}
}

static void remove_units(void)
{
	static const char *const dirs[] = { "/format", "/events", "" };
	static const char *const names_of[] = { "cpu", "uncore", "armv8_pmuv3_0" };
	char file[200];

	for (size_t i = 0; i < LEN(unit_files); i++) {
		snprintf(file, sizeof(file), "%s/%s", units, unit_files[i].name);
		unlink(file);
	}
	for (size_t i = 0; i < LEN(names_of); i++)
		for (size_t k = 0; k < LEN(dirs); k++) {
			snprintf(file, sizeof(file), "%s/%s%s", units, names_of[i], dirs[k]);
			rmdir(file);
		}
	assert_int_equal(rmdir(units), 0);
}

static void test_names(void **state)
{
	(void)state;
	make_units();
	for (size_t i = 0; i < LEN(names); i++) {
		struct counter_list list;
		struct err err = {};
		int r = counter_list_parse_in(&list, names[i].names, units, &err);
		const struct event_kind *last = list.nr ? &list.kind[list.nr - 1] : NULL;

		if (names[i].refused) {
			assert_int_equal(r, -EINVAL);
			if (!strstr(err.msg, names[i].refused))
				fail_msg("'%s': %s", names[i].names, err.msg);
			continue;
		}
		if (r)
			fail_msg("'%s': %s", names[i].names, err.msg);
		if (last->type != names[i].type || last->config != names[i].config ||
		    last->only != names[i].only || last->config1 != names[i].config1 ||
		    last->config2 != names[i].config2)
			fail_msg("'%s' is type %u, config 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64,
				 names[i].names, last->type, last->config, last->config1,
				 last->config2);
	}
	remove_units();
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
