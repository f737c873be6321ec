// SPDX-License-Identifier: GPL-2.0-only
/* Traces as text: see trace_text.h. */
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
#include <sys/mman.h>

#include "base/cleanup.h"
#include "trace/writer.h"
#include "trace_text.h"

#define MAX_ARGS 48

/* A line, split. seq: switch-outs so far of each thread. */
struct line {
	uint64_t time;
	unsigned int cpu;
	bool dropped;
	char *arg[MAX_ARGS];
	unsigned int nr;
	uint16_t *seq;
	struct ledger *ledger;
	struct passes *passes;
	struct locks *locks;
	struct trace_writer *writer; /* instead of all these */
};

static uint32_t who_of(const char *name)
{
	if (!strcmp(name, "idle"))
		return WHO_IDLE;
	if (name[0] == 'u')
		return WHO_UNTRACKED | (uint32_t)strtoul(name + 1, NULL, 10);
	if (name[0] < 'A' || name[0] > 'Z')
		fail_msg("no such thread: %s", name);
	return (uint32_t)(name[0] - 'A' + 1);
}

static uint16_t *seq_of(const struct line *line, uint32_t who)
{
	static uint16_t none;

	return who & WHO_UNTRACKED ? &none : &line->seq[who];
}

static bool has(const struct line *line, const char *word)
{
	for (unsigned int i = 0; i < line->nr; i++) {
		if (!strcmp(line->arg[i], word))
			return true;
	}
	return false;
}

/* The value of "key=value", or `otherwise`. */
static uint64_t value(const struct line *line, const char *key, uint64_t otherwise)
{
	size_t len = strlen(key);

	for (unsigned int i = 0; i < line->nr; i++) {
		if (!strncmp(line->arg[i], key, len) && line->arg[i][len] == '=')
			return strtoull(line->arg[i] + len + 1, NULL, 0);
	}
	return otherwise;
}

/* The numbers of "key=1,2,3"; those that are missing stay. */
static void values(const struct line *line, const char *key, uint32_t *ret, unsigned int nr)
{
	size_t len = strlen(key);

	for (unsigned int i = 0; i < line->nr; i++) {
		char *at = line->arg[i] + len + 1;

		if (strncmp(line->arg[i], key, len) || line->arg[i][len] != '=')
			continue;
		for (unsigned int k = 0; k < nr && at[-1]; k++, at++)
			ret[k] = (uint32_t)strtoul(at, &at, 10);
	}
}

static uint64_t number(const struct line *line, unsigned int i)
{
	return i < line->nr ? strtoull(line->arg[i], NULL, 10) : 0;
}

static void put(const struct line *line, void *rec, unsigned int kind, unsigned int flags,
		size_t bytes)
{
	struct trace_event ev = { .time_ns = line->time, .cpu = line->cpu, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(line->time, bytes / 8, kind, flags);
	if (line->dropped)
		return;
	if (line->writer) {
		assert_int_equal(trace_writer_records(line->writer, line->cpu, rec, bytes,
						      &(struct err){}),
				 0);
		return;
	}
	if (line->locks)
		assert_int_equal(locks_before(line->locks, &ev), 0);
	if (line->passes)
		assert_int_equal(passes_event(line->passes, &ev), 0);
	assert_int_equal(ledger_event(line->ledger, &ev), 0);
	if (line->locks)
		assert_int_equal(locks_after(line->locks, &ev), 0);
}

/* "S:futex,1,2" as state, flags and how. */
static unsigned int parse_state(const char *text, uint8_t *ret_state, uint32_t *ret_how)
{
	static const struct {
		char letter;
		uint8_t state, flags;
	} letters[] = {
		{ 'S', EV_STATE_INTERRUPTIBLE, 0 },
		{ 'D', EV_STATE_UNINTERRUPTIBLE, 0 },
		{ 'T', EV_STATE_STOPPED, 0 },
		{ 'F', 0, SW_FROZEN },
		{ 'I', EV_STATE_UNINTERRUPTIBLE, SW_IOWAIT },
		{ 'X', EV_STATE_DEAD, 0 },
		{ 'P', 0, SW_PREEMPT | SW_RUNNABLE },
		{ 'R', 0, SW_RUNNABLE },
		{ 'Y', 0, SW_RUNNABLE },
		{ 'Q', 0, SW_PREEMPT | SW_RUNNABLE | SW_THROTTLED },
	};
	char call[32] = "";
	unsigned int arg1 = 0, arg2 = 0;
	int nr = EV_NO_SYSCALL;

	if (text[1] == ':')
		sscanf(text + 2, "%31[^,],%u,%u", call, &arg1, &arg2);
	if (text[0] == 'Y')
		strcpy(call, "sched_yield");
	if (call[0])
		nr = syscall_number(ARCH_X86_64, call);
	assert_true(nr >= 0);
	*ret_how = EV_HOW(nr, arg2, arg1);
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (letters[i].letter == text[0]) {
			*ret_state = letters[i].state;
			return letters[i].flags;
		}
	}
	fail_msg("no such state: %s", text);
	return 0;
}

static void put_switch(const struct line *line)
{
	struct ev_switch rec = { .next = who_of(line->arg[1]) };
	char *slash = strchr(line->arg[0], '/');
	unsigned int flags = 0;
	uint32_t how = EV_NO_SYSCALL;

	rec.prev = who_of(line->arg[0]);
	if (slash)
		flags = parse_state(slash + 1, &rec.state, &how);
	rec.how[0] = (uint8_t)how;
	rec.how[1] = (uint8_t)(how >> 8);
	rec.how[2] = (uint8_t)(how >> 16);
	rec.prev_seq = ++*seq_of(line, rec.prev);
	rec.next_seq = *seq_of(line, rec.next);
	put(line, &rec, EV_SWITCH, flags, sizeof(rec));
}

static void put_wake(const struct line *line, unsigned int kind)
{
	struct ev_wake rec = { .wakee = who_of(line->arg[0]), .cpu = (uint16_t)line->cpu };
	unsigned int flags = 0;

	rec.seq = (uint16_t)value(line, "seq", *seq_of(line, rec.wakee));
	rec.cpu = (uint16_t)value(line, "on", line->cpu);
	rec.why = (uint8_t)value(line, "why", WHY_NONE);
	for (unsigned int i = 0; i < 3; i++)
		rec.queued[i] = (uint8_t)(value(line, "queued", 0) >> 8 * i);
	if (kind == EV_WAKE) {
		rec.waker = line->nr > 2 ? who_of(line->arg[2]) : 0;
		flags |= has(line, "oncpu") ? WK_ON_CPU : 0;
		flags |= has(line, "delayed") ? WK_DELAYED : 0;
		flags |= has(line, "task") ? WK_CONTEXT : 0;
		flags |= has(line, "hardirq") ? WK_CONTEXT | WK_HARDIRQ : 0;
		flags |= has(line, "softirq") ? WK_CONTEXT | WK_SOFTIRQ : 0;
	} else {
		flags |= has(line, "new") ? WU_NEW : 0;
		flags |= has(line, "throttled") ? WU_THROTTLED : 0;
		flags |= has(line, "nowake") ? WU_NO_WAKE : 0;
		rec.waker = line->nr > 2 && !strcmp(line->arg[1], "by") ? who_of(line->arg[2]) : 0;
	}
	put(line, &rec, kind, flags, sizeof(rec));
}

static void put_namespace(const struct line *line, struct ev_thread *rec)
{
	uint32_t ns[2] = { rec->tid, 1 };

	values(line, "ns", ns, 2);
	rec->ns_tid = ns[0];
	rec->pid_ns = ns[1];
}

static void put_fork(const struct line *line)
{
	struct ev_thread rec = {
		.who = who_of(line->arg[2]),
		.parent = who_of(line->arg[0]),
		.tid = (uint32_t)value(line, "tid", 0),
		.tgid = (uint32_t)value(line, "tgid", 1),
		.comm = "child",
	};

	put_namespace(line, &rec);
	put(line, &rec, EV_FORK, 0, sizeof(rec));
}

static void put_snap(const struct line *line)
{
	struct ev_thread rec = {
		.who = who_of(line->arg[0]),
		.tid = (uint32_t)value(line, "tid", 0),
		.tgid = (uint32_t)value(line, "tgid", 1),
		.comm = "old",
	};
	unsigned int flags = 0;

	put_namespace(line, &rec);
	flags |= has(line, "oncpu") ? SN_ON_CPU : 0;
	flags |= has(line, "target") ? SN_TARGET | SN_BLOCKED : 0;
	flags |= has(line, "blocked") ? SN_BLOCKED : 0;
	if (flags & SN_BLOCKED)
		parse_state(line->arg[line->nr - 1], &rec.state, &rec.how);
	rec.more = (has(line, "known") ? SM_KNOWN : 0) |
		   (has(line, "ready") ? SM_KNOWN | SM_QUEUED : 0) |
		   (has(line, "preempted") ? SM_PREEMPTED : 0) |
		   (has(line, "throttled") ? SM_THROTTLED : 0);
	rec.seq = rec.more ? *seq_of(line, rec.who) : 0;
	put(line, &rec, EV_SNAP, flags, sizeof(rec));
}

static void put_books(const struct line *line)
{
	struct ev_books rec = {
		.who = who_of(line->arg[0]),
		.nvcsw = value(line, "v", 0),
		.nivcsw = value(line, "i", 0),
		.nr_migrations = value(line, "m", 0),
		.exec_ns = value(line, "exec", 0),
		.delay_ns = value(line, "delay", 0),
		.steal_ns = value(line, "steal", 0),
	};
	unsigned int flags = value(line, "steal", 0) ? BK_STEAL : 0;

	flags |= has(line, "first") ? BK_FIRST : 0;
	flags |= has(line, "dead") ? BK_DEAD : 0;
	flags |= has(line, "end") ? BK_END : 0;
	put(line, &rec, EV_BOOKS, flags, sizeof(rec));
}

static void put_missed(const struct line *line)
{
	struct ev_missed rec = {
		.who = who_of(line->arg[0]),
		.arrivals = (uint32_t)value(line, "n", 1),
		.arrival_ns = value(line, "arrival", 0),
		.queue_ns = value(line, "queue", 0),
	};

	put(line, &rec, EV_MISSED, has(line, "in") ? MI_SWITCH_IN : MI_WAKEUP, sizeof(rec));
}

static void put_unbooked(const struct line *line)
{
	struct ev_unbooked rec = { .who = who_of(line->arg[0]), .ns = (uint32_t)number(line, 2) };

	put(line, &rec, EV_UNBOOKED,
	    has(line, "before") ? UB_BEFORE :
	    has(line, "moved")  ? UB_MOVED :
				  UB_LEFT,
	    sizeof(rec));
}

static void put_about_thread(const struct line *line, const char *event)
{
	struct ev_exec exec = { .who = who_of(line->arg[0]),
				.tgid = (uint32_t)value(line, "tgid", 1),
				.comm = "new" };
	struct ev_exit exit_rec = { .who = who_of(line->arg[0]) };
	struct ev_name name = { .who = who_of(line->arg[0]), .tgid = 1 };
	struct ev_migrate migrate = { .who = who_of(line->arg[0]) };

	if (!strcmp(event, "exec")) {
		exec.tid = (uint32_t)value(line, "tid", 0);
		exec.old_tid = (uint32_t)value(line, "old", exec.tid);
		put(line, &exec, EV_EXEC, 0, sizeof(exec));
	} else if (!strcmp(event, "exit")) {
		put(line, &exit_rec, EV_EXIT, 0, sizeof(exit_rec));
	} else if (!strcmp(event, "name")) {
		if (name.who & WHO_UNTRACKED)
			name.tgid = name.who & ~WHO_UNTRACKED;
		snprintf(name.comm, sizeof(name.comm), "%s", line->arg[1]);
		put(line, &name, EV_NAME, 0, sizeof(name));
	} else if (!strcmp(event, "migrate")) {
		migrate.from = (uint16_t)number(line, 1);
		migrate.to = (uint16_t)number(line, 2);
		put(line, &migrate, EV_MIGRATE, has(line, "queued") ? MG_QUEUED : 0,
		    sizeof(migrate));
	} else {
		fail_msg("no such event: %s", event);
	}
}

static void put_task(const struct line *line)
{
	struct ev_task rec = { .who = who_of(line->arg[0]) };

	rec.cpus[0] = value(line, "cpus", 1);
	rec.nr_cpus = (uint32_t)__builtin_popcountll(rec.cpus[0]);
	put(line, &rec, EV_TASK, 0, sizeof(rec));
}

static void put_lost(const struct line *line)
{
	struct ev_lost rec = {
		.first_time = number(line, 0),
		.last_time = number(line, 1),
		.count = { [DROP_FULL] = number(line, 2) },
	};

	put(line, &rec, EV_LOST, 0, sizeof(rec));
}

static void put_futex(const struct line *line)
{
	struct ev_futex rec = {
		.who = who_of(line->arg[0]),
		.uaddr = value(line, "addr", 0),
		.pc = value(line, "pc", 1),
		.op = (uint32_t)value(line, "op", 128),
		.val = (uint32_t)value(line, "val", 2),
	};
	unsigned int flags = FX_READ | FX_NEAR;

	rec.seq = (uint16_t)(*seq_of(line, rec.who) + !has(line, "now"));
	rec.word = (uint32_t)value(line, "word", rec.val);
	values(line, "owner", rec.near, 3);
	flags |= has(line, "timeout") ? FX_TIMEOUT : 0;
	flags |= has(line, "vector") ? FX_VECTOR | FX_FUTEX2 : 0;
	put(line, &rec, EV_FUTEX, flags, sizeof(rec));
}

static void put_klock(const struct line *line, bool end)
{
	struct ev_klock rec = {
		.who = who_of(line->arg[0]),
		.lock = value(line, "addr", 0),
		.for_ns = value(line, "for", 0),
	};

	rec.seq = (uint16_t)(*seq_of(line, rec.who) + !end);
	put(line, &rec, end ? EV_KLOCK_END : EV_KLOCK, has(line, "spin") ? KL_SPIN : KL_WRITE,
	    sizeof(rec));
}

/* As many values as "v=" has. enabled= and running= make it CT_SHARED; a total always is. */
static void put_counts(const struct line *line)
{
	struct {
		struct ev_counts head;
		uint64_t value[3 * COUNTERS_MAX];
	} rec = { .head = { .who = who_of(line->arg[0]),
			    .unknown = (uint16_t)value(line, "slices", 0) } };
	uint32_t v[3][COUNTERS_MAX] = {};
	bool total = has(line, "total") || has(line, "exec");
	bool shared = total || value(line, "enabled", 0);
	unsigned int nr = 1;

	for (unsigned int i = 0; i < line->nr; i++)
		for (const char *c = strncmp(line->arg[i], "v=", 2) ? "" : line->arg[i]; *c; c++)
			nr += *c == ',';
	values(line, "v", v[0], nr);
	values(line, "enabled", v[1], nr);
	values(line, "running", v[2], nr);
	for (unsigned int k = 0; k < 3; k++)
		for (unsigned int i = 0; i < nr; i++)
			rec.value[k * nr + i] = v[k][i];
	rec.head.seq = (uint16_t)(*seq_of(line, rec.head.who) + !total);
	put(line, &rec, EV_COUNTS,
	    (total ? CT_TOTAL : 0) | (has(line, "exec") ? CT_EXEC : 0) | (shared ? CT_SHARED : 0) |
		    (has(line, "unknown") ? CT_UNKNOWN : 0),
	    8 * COUNTS_WORDS(nr, shared));
}

static void put_irq(const struct line *line)
{
	struct ev_irq rec = { .ns = number(line, 0) };

	put(line, &rec, EV_IRQ, has(line, "before") ? IQ_BEFORE : 0, sizeof(rec));
}

/* ---- call stacks ---- */

static void put_calls(const struct line *line)
{
	struct ev_calls rec = {
		.who = who_of(line->arg[0]),
		.kernel = value(line, "k", 0),
		.user = value(line, "u", 0),
		.python = value(line, "py", 0),
	};
	bool off = has(line, "off");
	unsigned int flags = off ? CL_OFF : has(line, "wake") ? CL_WAKE : CL_SAMPLE;

	rec.seq = (uint16_t)(*seq_of(line, rec.who) + off);
	flags |= has(line, "nokernel") ? CL_NO_KERNEL : 0;
	flags |= has(line, "nouser") ? CL_NO_USER : 0;
	flags |= has(line, "nopython") ? CL_NO_PYTHON : 0;
	put(line, &rec, EV_CALLS, flags, sizeof(rec));
}

/* Which of the words of a line are no "key=value" and no flag: the numbers. */
static size_t numbers(const struct line *line, uint64_t *ret, size_t max)
{
	size_t nr = 0;

	for (unsigned int i = 1; i < line->nr && nr < max; i++)
		if (line->arg[i][0] >= '0' && line->arg[i][0] <= '9')
			ret[nr++] = strtoull(line->arg[i], NULL, 0);
	return nr;
}

static void put_frames(const struct line *line, unsigned int kind)
{
	struct ev_frames rec = {
		.id = number(line, 0),
		.part = (uint8_t)value(line, "part", 0),
		.parts = (uint8_t)value(line, "parts", 1),
		.cut = has(line, "cut"),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};

	numbers(line, (uint64_t *)rec.address, FRAMES_WORDS);
	put(line, &rec, kind, 0, sizeof(rec));
}

/* "7@12!": code, instruction, PY_ENTRY. */
static void put_pystack(const struct line *line)
{
	struct ev_pystack rec = {
		.id = number(line, 0),
		.part = (uint8_t)value(line, "part", 0),
		.parts = (uint8_t)value(line, "parts", 1),
		.cut = has(line, "cut"),
		.version = (uint8_t)value(line, "version", 11),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};
	unsigned int nr = 0;

	for (unsigned int i = 1; i < line->nr && nr < PYSTACK_FRAMES; i++) {
		char *at = strchr(line->arg[i], '@');

		if (!at)
			continue;
		rec.frame[nr].code = strtoull(line->arg[i], NULL, 0);
		rec.frame[nr].at = (uint32_t)strtoul(at + 1, &at, 0);
		rec.frame[nr++].flags = *at == '!' ? PY_ENTRY : 0;
	}
	put(line, &rec, EV_PYSTACK, 0, sizeof(rec));
}

/* Name and file are the second and third word; "table" is in hexadecimal digits. */
static void put_pycode(const struct line *line)
{
	struct ev_pycode rec = {
		.id = number(line, 0),
		.parts = 1,
		.version = (uint8_t)value(line, "version", 11),
		.first_line = (uint32_t)value(line, "line", 1),
		.tgid = (uint32_t)value(line, "tgid", 1),
	};
	const char *table = line->arg[line->nr - 1];
	unsigned int n;

	n = (unsigned int)snprintf((char *)rec.byte, PYCODE_BYTES, "%s%c%s", line->arg[1], 0,
				   line->arg[2]) +
	    1;
	if (!strncmp(table, "table=", 6))
		for (table += 6; table[0] && n < PYCODE_BYTES; table += 2)
			sscanf(table, "%2hhx", &rec.byte[n++]);
	rec.bytes = n;
	put(line, &rec, EV_PYCODE, 0, sizeof(rec));
}

/* "map START END PATH [tgid=N]" */
static void put_map(const struct line *line)
{
	const struct mapping m = {
		.time_ns = line->time,
		.kind = MAPPING_ADD,
		.tgid = (uint32_t)value(line, "tgid", 1),
		.prot = PROT_READ | PROT_EXEC,
		.flags = MAP_PRIVATE,
		.start = strtoull(line->arg[0], NULL, 0),
		.end = strtoull(line->arg[1], NULL, 0),
		.path = line->arg[2],
	};

	assert_non_null(line->writer);
	assert_int_equal(trace_writer_mapping(line->writer, &m, &(struct err){}), 0);
}

static bool put_stack(const struct line *line, const char *event)
{
	if (!strcmp(event, "calls"))
		put_calls(line);
	else if (!strcmp(event, "kstack"))
		put_frames(line, EV_KSTACK);
	else if (!strcmp(event, "uframes"))
		put_frames(line, EV_UFRAMES);
	else if (!strcmp(event, "pystack"))
		put_pystack(line);
	else if (!strcmp(event, "pycode"))
		put_pycode(line);
	else if (!strcmp(event, "map"))
		put_map(line);
	else
		return false;
	return true;
}

static void put_event(const struct line *line, const char *event)
{
	if (put_stack(line, event))
		return;
	if (!strcmp(event, "switch"))
		put_switch(line);
	else if (!strcmp(event, "wake"))
		put_wake(line, EV_WAKE);
	else if (!strcmp(event, "wakeup"))
		put_wake(line, EV_WAKEUP);
	else if (!strcmp(event, "fork"))
		put_fork(line);
	else if (!strcmp(event, "snap"))
		put_snap(line);
	else if (!strcmp(event, "books"))
		put_books(line);
	else if (!strcmp(event, "unbooked"))
		put_unbooked(line);
	else if (!strcmp(event, "missed"))
		put_missed(line);
	else if (!strcmp(event, "lost"))
		put_lost(line);
	else if (!strcmp(event, "task"))
		put_task(line);
	else if (!strcmp(event, "futex"))
		put_futex(line);
	else if (!strcmp(event, "counts"))
		put_counts(line);
	else if (!strcmp(event, "irq"))
		put_irq(line);
	else if (!strcmp(event, "klock") || !strcmp(event, "klockend"))
		put_klock(line, event[5]);
	else
		put_about_thread(line, event);
}

static void feed_line(struct line line, char *text)
{
	char *save = NULL, *time, *cpu, *event, *word;

	line.dropped = *text == '!';
	time = strtok_r(text + line.dropped, " \t", &save);
	if (!time || *time == '#')
		return;
	cpu = strtok_r(NULL, " \t", &save);
	event = strtok_r(NULL, " \t", &save);
	if (!cpu || !event || sscanf(cpu, "cpu%u", &line.cpu) != 1)
		fail_msg("not an event: %s", time);
	line.time = strtoull(time, NULL, 10);
	while (line.nr < MAX_ARGS && (word = strtok_r(NULL, " \t", &save)))
		line.arg[line.nr++] = word;
	put_event(&line, event);
}

static void feed_lines(struct line line, const char *text)
{
	_cleanup_(free_p) char *copy = strdup(text);
	uint16_t seq[32] = { 0 };
	char *save = NULL;

	assert_non_null(copy);
	line.seq = seq;
	for (char *at = strtok_r(copy, "\n", &save); at; at = strtok_r(NULL, "\n", &save))
		feed_line(line, at);
}

void trace_text_feed_locks(struct ledger *l, struct passes *passes, struct locks *locks,
			   const char *text)
{
	feed_lines((struct line){ .ledger = l, .passes = passes, .locks = locks }, text);
}

void trace_text_write(const char *path, const json_t *meta, const char *text)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
	struct line line = {};
	struct err err;

	assert_true(fd >= 0);
	assert_int_equal(trace_writer_open(fd, TRACE_TEXT_CPUS, &line.writer, &err), 0);
	assert_int_equal(trace_writer_meta(line.writer, meta, &err), 0);
	feed_lines(line, text);
	assert_int_equal(trace_writer_close(line.writer, &err), 0);
}

void trace_text_feed_passes(struct ledger *l, struct passes *passes, const char *text)
{
	trace_text_feed_locks(l, passes, NULL, text);
}

void trace_text_feed(struct ledger *l, const char *text)
{
	trace_text_feed_passes(l, NULL, text);
}

char *trace_text_show(const struct ledger *l)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	for (size_t i = 0; i < ledger_nr_threads(l); i++) {
		const struct thread *t = ledger_thread(l, i);

		fprintf(f, "%c %" PRIu64 "-%" PRIu64, 'A' + (int)t->serial - 1, t->start_ns,
			t->end_ns);
		for (int c = 0; c < CLASS_NR; c++) {
			if (t->ledger_ns[c])
				fprintf(f, " %s=%" PRIu64, class_name(c), t->ledger_ns[c]);
		}
		fprintf(f, " v=%" PRIu64 " i=%" PRIu64 "\n", t->voluntary, t->involuntary);
	}
	fclose(f);
	return text;
}
