// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times by stack over random streams (sched_sim.h), written into a trace with the stacks that a recorder would have seen: a thread's
 * stack is its own, so that each line of a graph can be told to be right.
 *
 *   every stream    the graph's total is the ledger's, in all modes and for each thread, whatever was dropped; no time of one thread
 *                   is at another's stack; with nothing dropped hardly any stack is missing
 *   garbage         the same totals; it ends
 *
 * A failure prints the seed. SEEDS=n takes n seeds of each kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/calls.h"
#include "analysis/load.h"
#include "random.h"
#include "sched_sim.h"
#include "symbol_help.h"
#include "trace/kinds.h"
#include "trace/writer.h"

static unsigned int seeds(void)
{
	const char *text = getenv("SEEDS");

	return text ? (unsigned int)atoi(text) : 12;
}

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	return random_star(&random_state, below);
}

/* ---- a trace with stacks ---- */

struct writing {
	struct trace_writer *writer;
	uint32_t current[SIM_CPUS]; /* who is on a CPU */
	unsigned int drop;          /* of 100 records of stacks */
};

static void put(struct writing *w, unsigned int cpu, void *rec, uint64_t time_ns, unsigned int kind,
		unsigned int flags)
{
	size_t bytes = 8u * trace_kind_words[kind];

	*(uint64_t *)rec = EV_WORD0(time_ns, trace_kind_words[kind], kind, flags);
	if (rnd(100) >= w->drop)
		assert_int_equal(trace_writer_records(w->writer, cpu, rec, bytes, &(struct err){}),
				 0);
}

/* Stack 100 + serial: one frame, in a mapping that is called after the thread. */
static void put_stacks(struct writing *w)
{
	for (uint32_t serial = 1; serial < SIM_SERIALS; serial++) {
		uint64_t at = 0x10000ull * serial;
		char path[32];
		struct mapping m = { .kind = MAPPING_ADD,
				     .tgid = sim_tgid(serial),
				     .prot = 5,
				     .flags = 2,
				     .start = at,
				     .end = at + 0x1000,
				     .path = path };
		struct ev_frames rec = { .id = 100 + serial,
					 .parts = 1,
					 .tgid = sim_tgid(serial),
					 .address = { at + 0x10 } };

		snprintf(path, sizeof(path), "/none/s%u", serial);
		assert_int_equal(trace_writer_mapping(w->writer, &m, &(struct err){}), 0);
		put(w, 0, &rec, 1, EV_UFRAMES, 0);
	}
}

static void put_calls(struct writing *w, const struct sim_event *e, uint32_t who,
		      unsigned int about, uint16_t seq)
{
	struct ev_calls rec = { .who = who, .user = 100 + who, .seq = seq };

	if (who && who < SIM_SERIALS)
		put(w, e->cpu, &rec, e->time_ns, EV_CALLS, about);
}

static void put_event(struct writing *w, const struct sim_event *e)
{
	const struct ev_switch *sw = (const void *)e->rec;
	const struct ev_wake *wake = (const void *)e->rec;
	unsigned int kind = EV_KIND(e->rec[0]);

	if (!rnd(4))
		put_calls(w, e, w->current[e->cpu], CL_SAMPLE, 0);
	if (kind == EV_SWITCH) {
		put_calls(w, e, sw->prev, CL_OFF, sw->prev_seq);
		w->current[e->cpu] = sw->next;
	} else if (kind == EV_WAKE) {
		put_calls(w, e, wake->waker, CL_WAKE, 0);
	}
	assert_int_equal(trace_writer_records(w->writer, e->cpu, e->rec, 8u * EV_WORDS(e->rec[0]),
					      &(struct err){}),
			 0);
}

static struct trace_writer *begin(const char *path, uint64_t end_ns)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
	json_t *meta = json_pack("{s:s, s:{s:i}, s:I}", "arch", "x86_64", "machine", "cpus",
				 SIM_CPUS, "ended_ns", (json_int_t)end_ns);
	struct trace_writer *writer;
	struct err err;

	assert_true(fd >= 0);
	assert_int_equal(trace_writer_open(fd, SIM_CPUS, &writer, &err), 0);
	assert_int_equal(trace_writer_meta(writer, meta, &err), 0);
	json_decref(meta);
	return writer;
}

static void write_stream(const char *path, const struct sim_options *opt, unsigned int drop)
{
	struct sim_result sim;
	struct writing w = { .drop = drop };

	random_state = (opt->seed + 1) * 0x9e3779b97f4a7c15ull;
	sim_run(opt, &sim);
	w.writer = begin(path, sim.end_ns);
	put_stacks(&w);
	for (size_t i = 0; i < sim.nr; i++)
		put_event(&w, &sim.event[i]);
	assert_int_equal(trace_writer_close(w.writer, &(struct err){}), 0);
	sim_free(&sim);
}

/* ---- its graphs ---- */

static bool is_wanted(enum calls_mode mode, enum ledger_class class)
{
	if (mode == CALLS_ON)
		return class == CLASS_ONCPU;
	if (mode == CALLS_LOCK)
		return class == CLASS_LOCK || class == CLASS_GIL || class == CLASS_KLOCK;
	return class != CLASS_ONCPU && class != CLASS_UNTRACKED;
}

struct check {
	const struct flame_tree *tree;
	const struct loaded *loaded;
	const struct calls_options *o;
	uint64_t seed;
	uint64_t got_ns[SIM_SERIALS];
};

static const char *name_of(const struct check *c, const struct flame_frame *f)
{
	return flame_tree_string(c->tree, f->name, &(size_t){ 0 });
}

/* Is it "comm/tid" of that thread? Numbers are reused: several may be called that. */
static bool is_called(const struct thread *t, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s/%u", t->comm, t->tid);
	return !strcmp(name, text);
}

/* Is the stack that of one of the threads with this name? */
static bool is_own(const struct check *c, const char *name, const char *stack)
{
	char own[32];

	for (size_t i = 0; i < c->loaded->nr_threads; i++) {
		snprintf(own, sizeof(own), "[s%u]", c->loaded->threads[i]->serial);
		if (is_called(c->loaded->threads[i], name) && !strcmp(stack, own))
			return true;
	}
	return !strcmp(stack, CALLS_NOT_CAPTURED) || !strcmp(stack, CALLS_NEW);
}

/* Takes the time off one name's sum: see check_threads(). */
static int check_stack(const struct flame_frame *frames, size_t nr, const struct flame_value *value,
		       void *arg)
{
	struct check *c = arg;
	size_t at = c->o->mode == CALLS_LOCK ? 2 : 0;
	const char *name;

	assert_true(nr > at + 1);
	assert_int_equal(frames[at].kind, FLAME_THREAD);
	name = name_of(c, &frames[at]);
	if (!is_own(c, name, name_of(c, &frames[at + 1])))
		fail_msg("seed %" PRIu64 ", mode %d: %s is at %s", c->seed, (int)c->o->mode, name,
			 name_of(c, &frames[at + 1]));
	for (size_t i = 0; i < c->loaded->nr_threads; i++) {
		if (!is_called(c->loaded->threads[i], name))
			continue;
		c->got_ns[i] += value->value;
		return 0;
	}
	return -1;
}

static uint64_t ledger_of(const struct thread *t, enum calls_mode mode)
{
	uint64_t ns = 0;

	for (int class = 0; class < CLASS_NR; class ++)
		ns += is_wanted(mode, class) ? t->ledger_ns[class] : 0;
	return ns;
}

/* The first thread of a name got the time of all of that name. */
static void check_threads(struct check *c)
{
	const struct loaded *l = c->loaded;
	char name[64];

	for (size_t i = 0; i < l->nr_threads; i++) {
		uint64_t expected = 0;
		bool first = true;

		snprintf(name, sizeof(name), "%s/%u", l->threads[i]->comm, l->threads[i]->tid);
		for (size_t k = 0; k < l->nr_threads; k++) {
			if (!is_called(l->threads[k], name))
				continue;
			first &= k >= i;
			expected += ledger_of(l->threads[k], c->o->mode);
		}
		if (first && c->got_ns[i] != expected)
			fail_msg("seed %" PRIu64 ", mode %d: %s has %" PRIu64
				 " ns, by the ledger %" PRIu64,
				 c->seed, (int)c->o->mode, name, c->got_ns[i], expected);
	}
}

/* What is not captured, and all: added to *ret_missing_ns and *ret_total_ns. */
static void check_mode(const char *path, enum calls_mode mode, uint64_t seed, bool apart,
		       uint64_t *ret_missing_ns, uint64_t *ret_total_ns)
{
	const struct calls_options o = { .mode = mode, .per_thread = true };
	struct check c = { .o = &o, .seed = seed };
	struct calls_summary summary;
	struct flame_tree *tree;
	struct loaded *l = NULL;
	struct err err = {};
	uint64_t total = 0;

	if (calls_tree(path, &o, &tree, &summary, &err) || load_trace(path, &l, &err))
		fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
	for (int class = 0; class < CLASS_NR; class ++)
		total += is_wanted(mode, class) ? l->ledger_ns[class] : 0;
	if (summary.total_ns != total)
		fail_msg("seed %" PRIu64 ", mode %d: %" PRIu64 " ns, by the ledger %" PRIu64, seed,
			 (int)mode, summary.total_ns, total);
	assert_int_equal(flame_tree_nodes(tree, &(size_t){ 0 })[0].total.value, total);
	c.tree = tree;
	c.loaded = l;
	if (apart) {
		assert_int_equal(flame_tree_each(tree, check_stack, &c), 0);
		check_threads(&c);
	}
	*ret_missing_ns += summary.missing_ns;
	*ret_total_ns += total;
	load_free(l);
	flame_tree_free(tree);
	calls_summary_free(&summary);
}

static void streams(const struct sim_options *opt, unsigned int drop, double most_missing)
{
	uint64_t missing_ns[4] = { 0 }, total_ns[4] = { 0 };
	char dir[64], path[96];

	help_dir_new(dir);
	snprintf(path, sizeof(path), "%s/trace", dir);
	for (unsigned int seed = 0; seed < seeds(); seed++) {
		struct sim_options o = *opt;

		o.seed = seed;
		o.steps = 1000;
		o.locks = true;
		write_stream(path, &o, drop);
		for (int mode = CALLS_ON; mode <= CALLS_LOCK; mode++)
			check_mode(path, mode, seed, true, &missing_ns[mode], &total_ns[mode]);
	}
	help_dir_remove(dir);
	for (int mode = CALLS_ON; mode <= CALLS_LOCK; mode++) {
		assert_true(total_ns[mode] > 0);
		if ((double)missing_ns[mode] > most_missing * (double)total_ns[mode])
			fail_msg("mode %d: %" PRIu64 " of %" PRIu64 " ns have no stack", mode,
				 missing_ns[mode], total_ns[mode]);
	}
}

static void test_whole(void **state)
{
	(void)state;
	streams(&(struct sim_options){}, 0, 0.15);
}

static void test_ties(void **state)
{
	(void)state;
	streams(&(struct sim_options){ .ties = true }, 0, 0.15);
}

static void test_missed(void **state)
{
	(void)state;
	streams(&(struct sim_options){ .holes = true }, 0, 0.3);
}

static void test_dropped(void **state)
{
	(void)state;
	streams(&(struct sim_options){ .drops = true, .ties = true, .holes = true }, 10, 1);
}

/* ---- garbage ---- */

/* Any kind that is in a trace; small numbers in all places, so that some of it fits together. */
static void garbage(uint64_t rec[EV_MAX_WORDS], uint64_t now)
{
	static const unsigned char kinds[] = { EV_SWITCH, EV_SWITCH,  EV_WAKE,    EV_FUTEX,
					       EV_CALLS,  EV_CALLS,   EV_KSTACK,  EV_USTACK,
					       EV_KLOCK,  EV_UFRAMES, EV_PYSTACK, EV_PYCODE };
	unsigned int kind = rnd(4) ? kinds[rnd(sizeof(kinds))] : 1 + rnd(EV_KIND_NR - 1);

	for (unsigned int i = 1; i < EV_MAX_WORDS; i++)
		rec[i] = rnd(8) ? rnd(12) | (uint64_t)rnd(6) << 32 | (uint64_t)rnd(3) << 48 :
				  (uint64_t)rnd(UINT32_MAX) << 33 | rnd(UINT32_MAX);
	if (kind == EV_SWITCH && rnd(4)) {
		rec[2] &= ~0xffffffffull;
		rec[2] |= EV_STATE_INTERRUPTIBLE | (uint64_t)EV_HOW(202, 0, 0) << 8;
	}
	rec[0] = EV_WORD0(now, trace_kind_words[kind], kind, rnd(64));
}

static void test_garbage(void **state)
{
	uint64_t missing_ns = 0, total_ns = 0;
	char dir[64], path[96];

	(void)state;
	help_dir_new(dir);
	snprintf(path, sizeof(path), "%s/trace", dir);
	for (unsigned int seed = 0; seed < 6; seed++) {
		struct trace_writer *w = begin(path, 300000);
		uint64_t rec[EV_MAX_WORDS], now = 5;

		random_state = (seed + 1) * 0x9e3779b97f4a7c15ull;
		for (unsigned int i = 0; i < 10000; i++) {
			now += rnd(20) ? rnd(50) : 0;
			garbage(rec, now);
			assert_int_equal(trace_writer_records(w, rnd(SIM_CPUS), rec,
							      8u * EV_WORDS(rec[0]),
							      &(struct err){}),
					 0);
		}
		assert_int_equal(trace_writer_close(w, &(struct err){}), 0);
		for (int mode = CALLS_ON; mode <= CALLS_LOCK; mode++)
			check_mode(path, mode, seed, false, &missing_ns, &total_ns);
	}
	help_dir_remove(dir);
	assert_true(total_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),   cmocka_unit_test(test_ties),
		cmocka_unit_test(test_missed),  cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
