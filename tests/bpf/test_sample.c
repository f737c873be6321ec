// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call stacks as the kernel side takes them, against a program whose functions are known (progs/stacks, built without frame pointers):
 * samples, switch-outs, waits for locks and wake-ups name stacks that unwind to those functions; equal ones are stored once, whatever
 * counters lie on them; the limit and the budget are kept and said. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/events.h"
#include "probes/probe.h"
#include "symbol/resolve.h"
#include "symbol/space.h"
#include "symbol/unwind.h"
#include "tests/bpf/one_trace.h"
#include "trace/reader.h"

#define MAX_STACKS 4096
#define MAX_CALLS 100000
#define MAX_FRAMES 200

/* ---- a trace, taken apart ---- */

struct stack {
	uint64_t id, time_ns;
	uint32_t tgid;
	unsigned int bytes, parts, got, copies;
	uint64_t *words;
	bool cut;
};

struct call {
	struct ev_calls rec;
	unsigned int flags;
};

static struct taken {
	struct stack user[MAX_STACKS], kernel[MAX_STACKS];
	size_t nr_user, nr_kernel, nr_calls;
	struct call call[MAX_CALLS];
	uint64_t oncpu_samples;
} t;

static struct trace_reader *reader;
static struct space *space;
static struct resolve *resolve;
static struct unwind *unwinder;

static struct stack *stack_of(struct stack *list, size_t *nr, uint64_t id)
{
	for (size_t i = 0; i < *nr; i++)
		if (list[i].id == id)
			return &list[i];
	if (*nr >= MAX_STACKS)
		fail_msg("too many stacks");
	list[*nr] = (struct stack){ .id = id };
	return &list[(*nr)++];
}

static void take_part(struct stack *s, unsigned int part, unsigned int parts, const uint64_t *words,
		      uint64_t time_ns)
{
	assert_int_equal(sizeof(((struct ev_ustack *)0)->words) / 8, FRAMES_WORDS);
	if (part == 0) {
		s->copies++;
		s->got = 0;
	}
	assert_int_equal(part, s->got);
	s->words = realloc(s->words, (size_t)parts * USTACK_WORDS * 8);
	assert_non_null(s->words);
	memcpy(s->words + (size_t)part * USTACK_WORDS, words, USTACK_WORDS * 8);
	s->parts = parts;
	s->time_ns = time_ns;
	s->got++;
}

static int take(void *arg, const struct trace_event *ev)
{
	const struct ev_ustack *user = (const void *)ev->rec;
	const struct ev_frames *kernel = (const void *)ev->rec;
	struct stack *s;

	(void)arg;
	switch (EV_KIND(ev->rec[0])) {
	case EV_USTACK:
		s = stack_of(t.user, &t.nr_user, user->id);
		take_part(s, user->part, user->parts, (const uint64_t *)user->words, ev->time_ns);
		s->bytes = user->bytes;
		s->tgid = user->tgid;
		break;
	case EV_KSTACK:
		s = stack_of(t.kernel, &t.nr_kernel, kernel->id);
		take_part(s, kernel->part, kernel->parts, (const uint64_t *)kernel->address,
			  ev->time_ns);
		break;
	case EV_CALLS:
		assert_true(t.nr_calls < MAX_CALLS);
		t.call[t.nr_calls].flags = EV_FLAGS(ev->rec[0]);
		t.call[t.nr_calls++].rec = *(const struct ev_calls *)ev->rec;
		break;
	}
	return 0;
}

static int add_mapping(void *arg, const struct mapping *m)
{
	(void)arg;
	space_add(space, m);
	return 0;
}

static void forget(void)
{
	for (size_t i = 0; i < t.nr_user; i++)
		free(t.user[i].words);
	for (size_t i = 0; i < t.nr_kernel; i++)
		free(t.kernel[i].words);
	memset(&t, 0, sizeof(t));
	unwind_free(unwinder);
	resolve_free(resolve);
	space_free(space);
	trace_close(reader);
	unwinder = NULL;
	resolve = NULL;
	space = NULL;
	reader = NULL;
}

/* Records `stacks MODE N` and takes the trace apart. */
static void record(const char *mode, const char *n, unsigned int stacks, unsigned int hz,
		   unsigned int stack_bytes)
{
	char *argv[] = { one_prog("stacks"), (char *)mode, (char *)n, NULL };
	struct record_options opts = { .what = RECORD_COMMAND,
				       .argv = argv,
				       .stacks = stacks,
				       .sample_hz = hz,
				       .stack_bytes = stack_bytes };
	struct record_result result;
	struct err err = {};

	if (probe_by_name("sample")->check(&err)) {
		print_message("SKIP: %s\n", err.msg);
		skip();
	}
	result = one_record(opts);
	assert_int_equal(result.exit_status, 0);
	assert_string_equal(result.no_samples, "");
	if (result.lost) {
		print_message("SKIP: %lu records were lost\n", result.lost);
		skip();
	}
	forget();
	assert_int_equal(space_new(&space), 0);
	if (trace_open(one_trace, &reader, &err) ||
	    trace_each_mapping(reader, add_mapping, NULL, &err) ||
	    trace_each(reader, take, NULL, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(resolve_new(space, &(struct elf_where){}, &resolve), 0);
	assert_int_equal(unwind_new(resolve, &unwinder), 0);
}

static json_int_t counted(const char *what)
{
	const json_t *stacks = json_object_get(trace_meta(reader), "stacks");

	assert_non_null(stacks);
	return json_integer_value(json_object_get(stacks, what));
}

static const struct stack *find(const struct stack *list, size_t nr, uint64_t id)
{
	for (size_t i = 0; i < nr; i++)
		if (list[i].id == id)
			return &list[i];
	fail_msg("no record explains stack %lx", (unsigned long)id);
	return NULL;
}

/* "inner_burn<middle_burn<outer_burn<main<...": the functions of a user stack, innermost first. */
static const char *names_of(uint64_t id, enum unwind_end *ret_end)
{
	static const int reg[] = { UNWIND_X86_SP, UNWIND_X86_BP, UNWIND_X86_BX, 12, 13, 14, 15 };
	const struct stack *s = find(t.user, t.nr_user, id);
	struct unwind_state state = { .machine = EM_X86_64 };
	static char text[MAX_FRAMES * 64];
	struct unwind_frame frame[MAX_FRAMES];
	size_t nr, len = 0;

	assert_int_equal(s->got, s->parts);
	assert_true((s->parts * USTACK_WORDS - STACK_REGS) * 8 >= s->bytes);
	state.pc = s->words[0];
	for (int i = 0; i < 7; i++) {
		state.registers[reg[i]] = s->words[i + 1];
		state.known |= 1u << reg[i];
	}
	state.stack = (const uint8_t *)(s->words + STACK_REGS);
	state.stack_bytes = s->bytes;
	nr = unwind_stack(unwinder, s->tgid, s->time_ns, &state, frame, MAX_FRAMES, ret_end);
	text[0] = '\0';
	for (size_t i = 0; i < nr && len + 64 < sizeof(text); i++) {
		struct code_place place;

		unwind_code(unwinder, s->tgid, s->time_ns, &frame[i], &place);
		len += snprintf(text + len, sizeof(text) - len, "%s%.60s", i ? "<" : "",
				place.name ? place.name : "?");
	}
	return text;
}

/* How many EV_CALLS of this kind have `within` among their functions. */
static size_t count_calls(unsigned int about, const char *within)
{
	enum unwind_end end;
	size_t n = 0;

	for (size_t i = 0; i < t.nr_calls; i++)
		if ((t.call[i].flags & CL_ABOUT) == about && t.call[i].rec.user &&
		    strstr(names_of(t.call[i].rec.user, &end), within))
			n++;
	return n;
}

static bool kernel_has(uint64_t id, const char *function)
{
	const json_t *names = json_object_get(trace_meta(reader), "kernel_symbols");
	const struct stack *s = find(t.kernel, t.nr_kernel, id);

	for (size_t i = 0; i < s->parts * (size_t)FRAMES_WORDS && s->words[i]; i++) {
		const char *name;
		char key[24];

		snprintf(key, sizeof(key), "0x%lx", (unsigned long)s->words[i]);
		name = json_string_value(json_object_get(names, key));
		if (name && !strcmp(name, function))
			return true;
	}
	return false;
}

/* ---- the cases ---- */

#define BURN "inner_burn<middle_burn<outer_burn<main<"
#define SLEEP "inner_sleep<outer_sleep<main<"
#define READ "inner_read<outer_read<main<"

static void only_x86(void)
{
#ifndef __x86_64__
	print_message("SKIP: names_of() knows x86-64's registers only\n");
	skip();
#endif
}

static void test_samples(void **state)
{
	size_t all = 0, in_burn;

	(void)state;
	only_x86();
	record("burn", "400", STACKS_ON, 500, 0);
	for (size_t i = 0; i < t.nr_calls; i++) {
		assert_int_equal(t.call[i].flags & CL_ABOUT, CL_SAMPLE);
		assert_false(t.call[i].flags & CL_NO_USER);
		all += !!(t.call[i].flags & CL_USER_MODE);
		assert_int_equal(!t.call[i].rec.kernel, !!(t.call[i].flags & CL_USER_MODE));
	}
	in_burn = count_calls(CL_SAMPLE, BURN);
	print_message("%zu samples, %zu in user mode, %zu in %s\n", t.nr_calls, all, in_burn, BURN);
	/* 400 ms of CPU time at 500 Hz, and a little before and after */
	assert_in_range(t.nr_calls, 150, 250);
	assert_true(in_burn * 100 >= all * 85);
	assert_int_equal(counted("calls"), t.nr_calls);
}

static void test_off_cpu(void **state)
{
	size_t copies = 0, ids = 0, asleep;
	enum unwind_end end;

	(void)state;
	only_x86();
	record("sleep", "100", STACKS_OFF, 0, 0);
	asleep = count_calls(CL_OFF, SLEEP);
	assert_true(asleep >= 100);
	for (size_t i = 0; i < t.nr_user; i++) {
		copies += t.user[i].copies;
		if (!strstr(names_of(t.user[i].id, &end), SLEEP))
			continue;
		assert_int_equal(end, UNWIND_DONE);
		ids += !strncmp(names_of(t.user[i].id, &end), "clock_nanosleep", 15);
	}
	/* a counter and the time lie on the stack, and in registers: still one stack, stored once */
	print_message("%zu sleeps, %zu stacks of them, %zu stacks in %zu copies\n", asleep, ids,
		      t.nr_user, copies);
	assert_int_equal(ids, 1);
	assert_int_equal(copies, t.nr_user);
	assert_int_equal(counted("user_stacks"), copies);
	for (size_t i = 0; i < t.nr_calls; i++)
		if (t.call[i].rec.user &&
		    !strncmp(names_of(t.call[i].rec.user, &end), "clock_nanosleep", 15))
			assert_true(kernel_has(t.call[i].rec.kernel, "hrtimer_nanosleep"));
}

/* Different addresses make different stacks, and each is whole. */
static void test_vary(void **state)
{
	enum unwind_end end;
	size_t ids = 0;

	(void)state;
	only_x86();
	record("vary", "60", STACKS_OFF, 0, 0);
	for (size_t i = 0; i < t.nr_user; i++)
		ids += !!strstr(names_of(t.user[i].id, &end), "inner_sleep<outer_vary<main<");
	assert_true(ids >= 60);
}

static void test_lock(void **state)
{
	size_t locks;

	(void)state;
	only_x86();
	record("lock", "20", STACKS_LOCK, 0, 0);
	locks = count_calls(CL_OFF, "<outer_lock<lock<main<");
	assert_true(locks >= 15);
	/* the waker's nanosleep is no wait for a lock */
	assert_int_equal(count_calls(CL_OFF, "post_one<"), 0);
}

static void test_wake(void **state)
{
	(void)state;
	only_x86();
	record("lock", "20", STACKS_WAKE, 0, 0);
	assert_true(count_calls(CL_WAKE, "<post_one<waker<") >= 15);
	assert_int_equal(count_calls(CL_OFF, ""), 0);
	for (size_t i = 0; i < t.nr_calls; i++)
		assert_true(t.call[i].rec.kernel);
}

/* 100 frames of some 260 bytes: 8 KiB are a part of them, 32 KiB all. */
static void test_limit(void **state)
{
	static const struct {
		unsigned int bytes, most;
		bool whole;
	} cases[] = { { 1024, 1024, false }, { 0, 8192, false }, { 32768, 32768, true } };

	(void)state;
	only_x86();
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		unsigned int most = 0;
		size_t seen = 0;

		record("deep", "100", STACKS_OFF, 0, cases[c].bytes);
		for (size_t i = 0; i < t.nr_user; i++) {
			enum unwind_end end;
			const char *names = names_of(t.user[i].id, &end);

			if (t.user[i].bytes > most)
				most = t.user[i].bytes;
			if (!strstr(names, "<descend<descend<"))
				continue;
			seen++;
			assert_int_equal(end, cases[c].whole ? UNWIND_DONE : UNWIND_CUT);
			assert_int_equal(!!strstr(names, "<main<"), cases[c].whole);
		}
		assert_true(seen > 0);
		if (!cases[c].whole)
			assert_int_equal(most, cases[c].most);
		assert_true(most <= cases[c].most);
	}
}

/* More new stacks than the budget allows: what is not captured says so, and nothing else is lost for it. */
static void test_budget(void **state)
{
	size_t without = 0, with = 0;

	(void)state;
	only_x86();
	record("flood", "8000", STACKS_OFF, 0, 0);
	for (size_t i = 0; i < t.nr_calls; i++)
		if (t.call[i].flags & CL_NO_USER) {
			assert_int_equal(t.call[i].rec.user, 0);
			without++;
		} else {
			with += !!t.call[i].rec.user;
		}
	print_message("%zu stacks, %zu waits with them, %zu without, %ld bytes\n", t.nr_user, with,
		      without, (long)counted("user_bytes"));
	assert_true(without > 1000);
	assert_true(with > 1000);
	assert_int_equal(counted("no_budget") + counted("no_room"), without);
	assert_int_equal(counted("calls"), t.nr_calls);
}

/* Known again, a kernel stack is the true one, also where only what stands behind one descriptor differs. Flags and counts say how many. */
static void test_known_again(void **state)
{
	size_t timer = 0, socket = 0, again = 0, kernel = 0, twice = 0;
	enum unwind_end end;
	bool was_socket = true;
	uint64_t user = 0;

	(void)state;
	only_x86();
	record("places", "600", STACKS_OFF, 0, 0);
	for (size_t i = 0; i < t.nr_calls; i++) {
		const struct ev_calls *rec = &t.call[i].rec;
		bool is_timer, is_socket;

		again += !!(rec->more & CL2_KERNEL_AGAIN);
		kernel += !!rec->kernel;
		assert_true(rec->kernel || !(rec->more & CL2_KERNEL_AGAIN));
		if (!rec->user || !strstr(names_of(rec->user, &end), READ))
			continue;
		is_timer = kernel_has(rec->kernel, "timerfd_read_iter") ||
			   kernel_has(rec->kernel, "timerfd_read");
		is_socket = kernel_has(rec->kernel, "unix_stream_read_generic");
		if (is_timer == is_socket)
			continue; /* preempted */
		twice += is_socket == was_socket;
		was_socket = is_socket;
		assert_true(!user || rec->user == user);
		user = rec->user;
		timer += is_timer;
		socket += is_socket;
	}
	print_message(
		"%zu waits for a timer, %zu for a socket; of all %zu kernel stacks %zu were known "
		"again, %ld walked, %ld of them as checks\n",
		timer, socket, kernel, again, (long)counted("kernel_walks"),
		(long)counted("kernel_checks"));
	/* a read that is preempted first finds the timer run out, or is there twice */
	assert_true(timer >= 280 && socket >= 280 && twice <= 20 && again >= 100);
	assert_int_equal(counted("kernel_again"), again);
	assert_int_equal(counted("kernel_again") + counted("kernel_walks"), kernel);
	/* each of the two is walked anew when 10 ms have passed */
	assert_true(counted("kernel_checks") >= 40);
	assert_int_equal(counted("kernel_changed"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples), cmocka_unit_test(test_off_cpu),
		cmocka_unit_test(test_vary),    cmocka_unit_test(test_lock),
		cmocka_unit_test(test_wake),    cmocka_unit_test(test_limit),
		cmocka_unit_test(test_budget),  cmocka_unit_test(test_known_again),
	};
	int r;

	if (geteuid() != 0) {
		print_message("SKIP: needs root\n");
		return 0;
	}
	r = cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
	forget();
	return r;
}
