// SPDX-License-Identifier: GPL-2.0-only
/* Every event as a line: see script.h. One small function for each kind of event, found through a table. */
#include "report/script_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/report.h"
#include "report/units.h"
#include "report/who.h"

void script_put_head(const struct line *l, uint32_t who)
{
	uint64_t ns = l->script->base_ns + l->ev->time_ns;
	char text[WHO_TEXT_SIZE];

	fprintf(l->out, "%" PRIu64 ".%09" PRIu64 " cpu%u %s ", ns / 1000000000, ns % 1000000000,
		l->ev->cpu, who_text(l->script->names, who, text));
}

static void put_who(const struct line *l, const char *key, uint32_t who)
{
	char text[WHO_TEXT_SIZE];

	fprintf(l->out, " %s=%s", key, who_text(l->script->names, who, text));
}

static void put_name(const struct line *l, const char *key, const char *text, size_t len)
{
	char name[ESCAPE_SIZE(EV_FILE_LEN)];

	fprintf(l->out, " %s=%s", key, escape_terminal(name, sizeof(name), text, len, true));
}

void script_put_flag(const struct line *l, unsigned int flag, const char *name)
{
	if (l->flags & flag)
		fprintf(l->out, " %s=1", name);
}

/* As ps(1) writes it: R on the run queue ("R+": it was preempted), D, S, T, t, X, P, I is the rest. */
static const char *state_name(unsigned int state, bool runnable, bool preempted)
{
	if (preempted)
		return "R+";
	if (runnable || !state)
		return "R";
	if (state & EV_STATE_DEAD)
		return "X";
	if (state & EV_STATE_STOPPED)
		return "T";
	if (state & EV_STATE_TRACED)
		return "t";
	if (state & EV_STATE_PARKED)
		return "P";
	return state & EV_STATE_UNINTERRUPTIBLE ? "D" : "S";
}

static void put_syscall(const struct line *l, uint32_t how, bool compat)
{
	unsigned int nr = EV_HOW_NR(how);
	const char *name = compat ? NULL : syscall_name(l->script->arch, nr);

	if (nr == EV_NO_SYSCALL)
		fprintf(l->out, " syscall=-");
	else if (name)
		fprintf(l->out, " syscall=%s", name);
	else
		fprintf(l->out, " syscall=%s%u", compat ? "compat-" : "", nr);
	if (nr != EV_NO_SYSCALL)
		fprintf(l->out, " arg1=%u arg2=%u", EV_HOW_ARG1(how), EV_HOW_ARG2(how));
}

static int put_switch(const struct line *l)
{
	const struct ev_switch *e = (const void *)l->ev->rec;
	uint32_t how = e->how[0] | e->how[1] << 8 | (uint32_t)e->how[2] << 16;
	bool runnable = l->flags & SW_RUNNABLE;

	script_put_head(l, e->prev);
	fprintf(l->out, "switch");
	put_who(l, "prev", e->prev);
	put_who(l, "next", e->next);
	fprintf(l->out, " state=%s",
		state_name(e->state, runnable, e->prev && l->flags & SW_PREEMPT));
	if (e->prev && !(e->prev & WHO_UNTRACKED)) {
		put_syscall(l, how, l->flags & SW_COMPAT);
		fprintf(l->out, " seq=%u", e->prev_seq);
	}
	script_put_flag(l, SW_IOWAIT, "iowait");
	script_put_flag(l, SW_THROTTLED, "throttled");
	script_put_flag(l, SW_FROZEN, "frozen");
	return 0;
}

static int put_wake(const struct line *l)
{
	const struct ev_wake *e = (const void *)l->ev->rec;
	const char *context = "?";

	if (l->flags & WK_CONTEXT)
		context = l->flags & WK_HARDIRQ ? "hardirq" :
			  l->flags & WK_SOFTIRQ ? "softirq" :
						  "task";
	script_put_head(l, e->wakee);
	fprintf(l->out, "wake");
	put_who(l, "wakee", e->wakee);
	put_who(l, "waker", e->waker);
	fprintf(l->out, " context=%s cpu=%u seq=%u", context, e->cpu, e->seq);
	script_put_flag(l, WK_ON_CPU, "on_cpu");
	script_put_flag(l, WK_DELAYED, "delayed");
	if (e->why)
		fprintf(l->out, " why=%s",
			e->why == WHY_WOKEN   ? "woken" :
			e->why == WHY_TIMEOUT ? "timeout" :
			e->why == WHY_SIGNAL  ? "signal" :
						"?");
	return 0;
}

static int put_wakeup(const struct line *l)
{
	const struct ev_wake *e = (const void *)l->ev->rec;

	script_put_head(l, e->wakee);
	fprintf(l->out, "wakeup");
	put_who(l, "wakee", e->wakee);
	if (l->flags & WU_NO_WAKE)
		put_who(l, "waker", e->waker);
	else
		fprintf(l->out, " waker=-");
	fprintf(l->out, " cpu=%u seq=%u", e->cpu, e->seq);
	script_put_flag(l, WU_NEW, "new");
	script_put_flag(l, WU_THROTTLED, "throttled");
	return 0;
}

static int put_migrate(const struct line *l)
{
	const struct ev_migrate *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "migrate from=%u to=%u", e->from, e->to);
	script_put_flag(l, MG_QUEUED, "queued");
	return 0;
}

static int put_fork(const struct line *l)
{
	const struct ev_thread *e = (const void *)l->ev->rec;
	int r = who_set(l->script->names, e->who, e->tid, e->comm);

	script_put_head(l, e->who);
	fprintf(l->out, "fork");
	put_who(l, "parent", e->parent);
	fprintf(l->out, " tid=%" PRIu32 " pid=%" PRIu32 " clone_flags=0x%" PRIx64, e->tid, e->tgid,
		e->clone_flags);
	return r;
}

static int put_snap(const struct line *l)
{
	const struct ev_thread *e = (const void *)l->ev->rec;
	int r = who_set(l->script->names, e->who, e->tid, e->comm);

	script_put_head(l, e->who);
	fprintf(l->out, "snap tid=%" PRIu32 " pid=%" PRIu32 " state=%s", e->tid, e->tgid,
		l->flags & SN_BLOCKED ? state_name(e->state, false, false) : "R");
	if (l->flags & SN_BLOCKED)
		put_syscall(l, e->how, false);
	script_put_flag(l, SN_TARGET, "target");
	script_put_flag(l, SN_ON_CPU, "on_cpu");
	script_put_flag(l, SN_IOWAIT, "iowait");
	script_put_flag(l, SN_FROZEN, "frozen");
	script_put_flag(l, SN_KTHREAD, "kthread");
	if (e->more & SM_QUEUED)
		fprintf(l->out, " ready_since=%s",
			e->more & SM_THROTTLED ? "throttled" :
			e->more & SM_PREEMPTED ? "preempted" :
						 "wakeup");
	return r;
}

static int put_exec(const struct line *l)
{
	const struct ev_exec *e = (const void *)l->ev->rec;
	int r = who_set(l->script->names, e->who, e->tid, e->comm);

	script_put_head(l, e->who);
	fprintf(l->out, "exec tid=%" PRIu32 " pid=%" PRIu32 " old_tid=%" PRIu32, e->tid, e->tgid,
		e->old_tid);
	put_name(l, "file", e->file, sizeof(e->file));
	return r;
}

static int put_exit(const struct line *l)
{
	const struct ev_exit *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "exit code=%" PRIu32, e->code);
	return 0;
}

static int put_rename(const struct line *l)
{
	const struct ev_name *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "name");
	put_name(l, "comm", e->comm, sizeof(e->comm));
	if (e->tgid & WHO_OUTSIDE)
		fprintf(l->out, " pid=-");
	else
		fprintf(l->out, " pid=%" PRIu32, e->tgid);
	return who_set(l->script->names, e->who, 0, e->comm);
}

static int put_books(const struct line *l)
{
	const struct ev_books *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out,
		"books at=%s voluntary=%" PRIu64 " involuntary=%" PRIu64 " migrations=%" PRIu64
		" exec_ns=%" PRIu64 " delay_ns=%" PRIu64 " pcount=%" PRIu64,
		l->flags & BK_FIRST ? "first" :
		l->flags & BK_DEAD  ? "dead" :
				      "end",
		e->nvcsw, e->nivcsw, e->nr_migrations, e->exec_ns, e->delay_ns, e->pcount);
	fprintf(l->out, " utime_ns=%" PRIu64 " stime_ns=%" PRIu64 " start_ns=%" PRIu64, e->utime_ns,
		e->stime_ns, e->start_ns);
	if (l->flags & BK_STEAL)
		fprintf(l->out, " steal_ns=%" PRIu64, e->steal_ns);
	return 0;
}

static int put_task(const struct line *l)
{
	const struct ev_task *e = (const void *)l->ev->rec;
	char cpus[128];

	script_put_head(l, e->who);
	fprintf(l->out,
		"task policy=%s nice=%d prio=%u cpus=%s nr_cpus=%" PRIu32 " cgroup=%" PRIu64,
		report_policy(e->policy), e->nice, e->rt_priority,
		units_cpus(cpus, sizeof(cpus), e->cpus, EV_CPUS_WORDS), e->nr_cpus, e->cgroup);
	return 0;
}

static int put_missed(const struct line *l)
{
	const struct ev_missed *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out,
		"missed what=%s arrivals=%" PRIu32 " arrival_ns=%" PRIu64 " queue_ns=%" PRIu64,
		l->flags & MI_SWITCH_IN ? "switch" : "wakeup", e->arrivals, e->arrival_ns,
		e->queue_ns);
	return 0;
}

static int put_futex(const struct line *l)
{
	const struct ev_futex *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out,
		"futex uaddr=0x%" PRIx64 " op=0x%" PRIx32 " val=0x%" PRIx32 " pc=0x%" PRIx64,
		e->uaddr, e->op, e->val, e->pc);
	if (l->flags & FX_READ)
		fprintf(l->out, " word=0x%" PRIx32, e->word);
	if (l->flags & FX_NEAR)
		fprintf(l->out, " near=%" PRIu32 ",%" PRIu32 ",%" PRIu32, e->near[0], e->near[1],
			e->near[2]);
	fprintf(l->out, " seq=%u", e->seq);
	script_put_flag(l, FX_TIMEOUT, "timeout");
	script_put_flag(l, FX_VECTOR, "vector");
	script_put_flag(l, FX_FUTEX2, "futex2");
	return 0;
}

static int put_stack(const struct line *l)
{
	const struct ev_stack *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "stack part=%u parts=%u seq=%u", e->part, e->parts, e->seq);
	if (!e->part)
		fprintf(l->out, " pc=0x%" PRIx64 " sp=0x%" PRIx64, e->words[0], e->words[1]);
	return 0;
}

/* By its address, or by a number in the order in which they are met. 0 or -ENOMEM. */
static int put_kernel_lock(const struct line *l, uint64_t address)
{
	struct keymap *numbers = &l->script->locks;
	uint32_t number = keymap_get(numbers, address);

	if (l->script->kernel_addresses) {
		fprintf(l->out, " lock=0x%" PRIx64, address);
		return 0;
	}
	if (!number) {
		number = (uint32_t)numbers->used + 1;
		if (keymap_set(numbers, address, number))
			return -ENOMEM;
	}
	fprintf(l->out, " lock=%" PRIu32, number);
	return 0;
}

static int put_klock(const struct line *l)
{
	const struct ev_klock *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fputs("klock", l->out);
	if (put_kernel_lock(l, e->lock))
		return -ENOMEM;
	fprintf(l->out, " seq=%u", e->seq);
	return 0;
}

static int put_klock_end(const struct line *l)
{
	const struct ev_klock *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fputs("klock_end", l->out);
	if (put_kernel_lock(l, e->lock))
		return -ENOMEM;
	fprintf(l->out, " for_ns=%" PRIu64 " seq=%u", e->for_ns, e->seq);
	script_put_flag(l, KL_SPIN, "spin");
	script_put_flag(l, KL_READ, "read");
	script_put_flag(l, KL_WRITE, "write");
	script_put_flag(l, KL_RT, "rt");
	script_put_flag(l, KL_PERCPU, "percpu");
	script_put_flag(l, KL_MUTEX, "mutex");
	return 0;
}

/* About a CPU, not a thread: "-" stands in its place. */
static int put_lost(const struct line *l)
{
	const struct ev_lost *e = (const void *)l->ev->rec;
	uint64_t base = l->script->base_ns, ns = base + l->ev->time_ns;

	fprintf(l->out,
		"%" PRIu64 ".%09" PRIu64 " cpu%u - lost first=%" PRIu64 ".%09" PRIu64
		" last=%" PRIu64 ".%09" PRIu64 " full=%" PRIu64 " storage=%" PRIu64,
		ns / 1000000000, ns % 1000000000, l->ev->cpu, (base + e->first_time) / 1000000000,
		(base + e->first_time) % 1000000000, (base + e->last_time) / 1000000000,
		(base + e->last_time) % 1000000000, e->count[DROP_FULL], e->count[DROP_STORAGE]);
	return 0;
}

static int put_irq(const struct line *l)
{
	const struct ev_irq *e = (const void *)l->ev->rec;
	uint64_t ns = l->script->base_ns + l->ev->time_ns;

	fprintf(l->out, "%" PRIu64 ".%09" PRIu64 " cpu%u - irq", ns / 1000000000, ns % 1000000000,
		l->ev->cpu);
	if (!(l->flags & IQ_BEFORE))
		fprintf(l->out, " for_ns=%" PRIu64, e->ns);
	script_put_flag(l, IQ_BEFORE, "before");
	return 0;
}

static int put_unbooked(const struct line *l)
{
	const struct ev_unbooked *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "unbooked for_ns=%" PRIu32 " what=%s", e->ns,
		l->flags & UB_BEFORE ? "before" :
		l->flags & UB_MOVED  ? "moved" :
				       "left");
	return 0;
}

static int (*const printers[EV_KIND_NR])(const struct line *l) = {
	[EV_SWITCH] = put_switch,
	[EV_WAKE] = put_wake,
	[EV_WAKEUP] = put_wakeup,
	[EV_MIGRATE] = put_migrate,
	[EV_FORK] = put_fork,
	[EV_SNAP] = put_snap,
	[EV_EXEC] = put_exec,
	[EV_EXIT] = put_exit,
	[EV_NAME] = put_rename,
	[EV_BOOKS] = put_books,
	[EV_TASK] = put_task,
	[EV_MISSED] = put_missed,
	[EV_LOST] = put_lost,
	[EV_FUTEX] = put_futex,
	[EV_STACK] = put_stack,
	[EV_KLOCK] = put_klock,
	[EV_KLOCK_END] = put_klock_end,
	[EV_IRQ] = put_irq,
	[EV_CALLS] = script_put_calls,
	[EV_KSTACK] = script_put_frames,
	[EV_USTACK] = script_put_ustack,
	[EV_UFRAMES] = script_put_frames,
	[EV_PYSTACK] = script_put_pystack,
	[EV_PYCODE] = script_put_pycode,
	[EV_COUNTS] = script_put_counts,
	[EV_UNBOOKED] = put_unbooked,
};

int script_event(void *arg, const struct trace_event *ev)
{
	struct script *s = arg;
	struct line line = { .script = s, .out = s->out, .ev = ev, .flags = EV_FLAGS(*ev->rec) };
	unsigned int kind = EV_KIND(*ev->rec);
	int r;

	if (kind >= EV_KIND_NR || !printers[kind])
		return 0;
	r = printers[kind](&line);
	fputc('\n', s->out);
	return r ? r : ferror(s->out) ? -EIO : 0;
}

struct script *script_new(FILE *out, enum syscall_arch arch, const json_t *meta, uint64_t base_ns)
{
	struct script *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct script){ .out = out, .arch = arch, .base_ns = base_ns, .names = who_new() };
	if (!s->names) {
		free(s);
		return NULL;
	}
	s->nr_counters = counts_describe(meta, s->counters);
	s->symbols = json_object_get(meta, "kernel_symbols");
	return s;
}

void script_show_kernel_addresses(struct script *s)
{
	s->kernel_addresses = true;
}

void script_free(struct script *s)
{
	if (!s)
		return;
	who_free(s->names);
	keymap_free(&s->locks);
	free(s);
}
