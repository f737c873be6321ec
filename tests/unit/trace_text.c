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

#include "base/cleanup.h"
#include "trace_text_line.h"

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
		.start_ns = value(line, "born", 0) ? TRACE_TEXT_EPOCH + value(line, "born", 0) : 0,
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

struct ledger *trace_text_ledger(void)
{
	struct ledger *l = NULL;
	struct err err;

	assert_int_equal(ledger_new(ARCH_X86_64, TRACE_TEXT_CPUS, &l, &err), 0);
	ledger_epoch(l, TRACE_TEXT_EPOCH);
	return l;
}

void trace_text_feed_locks(struct ledger *l, struct passes *passes, struct locks *locks,
			   const char *text)
{
	feed_lines((struct line){ .ledger = l, .passes = passes, .locks = locks }, text);
}

enum ledger_class trace_text_on_wait(void *arg, struct thread *t, const uint64_t *rec,
				     enum ledger_class class)
{
	struct lock *lock =
		(struct lock *)arg + ((const struct ev_futex *)(const void *)rec)->uaddr - 1;

	(void)class;
	t->waits_on = lock;
	return lock_kind_class(lock->kind);
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
