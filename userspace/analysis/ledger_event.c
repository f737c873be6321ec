// SPDX-License-Identifier: GPL-2.0-only
/* A record to its handler: the switches and wake-ups go to the machine, the others say something about a thread. */
#include <string.h>

#include "analysis/ledger_impl.h"
#include "trace/kinds.h"

/*
 * The living thread that a record is about; NULL where there is none: idle, not ours, dead, or impossible. Its life begins with
 * its first record, if `begins`.
 */
static int find_living(struct ledger *l, uint32_t who, bool begins, struct thread **ret_thread)
{
	struct thread *t;
	int r;

	*ret_thread = NULL;
	if (who == WHO_IDLE || who & WHO_UNTRACKED)
		return 0;
	r = thread_find(l, who, &t);
	if (r || !t || t->ended || before_cut(l, t))
		return r;
	if (!t->started && (begins || t->unannounced))
		thread_begin(t, l->now_ns);
	*ret_thread = t;
	return 0;
}

static int on_switch(struct ledger *l, const struct ev_switch *rec, unsigned int cpu)
{
	struct thread *t;
	int r = find_living(l, rec->prev, true, &t);

	if (t)
		thread_switch_out(l, t, rec, cpu);
	if (!r)
		r = find_living(l, rec->next, true, &t);
	if (!r && t)
		thread_switch_in(l, t, rec, cpu);
	cpu_switch(l, cpu, rec);
	return r;
}

static int on_wake(struct ledger *l, const struct ev_wake *rec)
{
	struct thread *t;
	int r = find_living(l, rec->wakee, true, &t);

	if (!t)
		return r;
	if (EV_KIND(rec->w0) == EV_WAKE)
		thread_wake(l, t, rec);
	else
		thread_wakeup(l, t, rec);
	return 0;
}

static int on_migrate(struct ledger *l, const struct ev_migrate *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, false, &t);

	if (!t)
		return r;
	t->migrations++;
	t->audit.migrations++;
	/* from a CPU to which nothing had moved it, as note_cpu() */
	t->audit.missed_migrations += t->cpu_known && t->cpu != rec->from;
	t->cpu = rec->to;
	t->cpu_known = true;
	if (EV_FLAGS(rec->w0) & MG_QUEUED && !t->queued_asleep_ns &&
	    ((t->state == ST_BLOCKED && !t->woken_early) || t->uncounted))
		t->queued_asleep_ns = l->now_ns;
	return 0;
}

/* The state that the snapshot found. */
static void snap_state(struct ledger *l, struct thread *t, const struct ev_thread *rec)
{
	unsigned int snap = EV_FLAGS(rec->w0);
	unsigned int flags = 0;

	if (snap & SN_IOWAIT)
		flags |= SW_IOWAIT;
	if (snap & SN_FROZEN)
		flags |= SW_FROZEN;
	if (rec->more & SM_QUEUED)
		thread_enqueue(l, t, l->now_ns,
			       rec->more & SM_THROTTLED ? CLASS_THROTTLED :
			       rec->more & SM_PREEMPTED ? CLASS_RUNQ_PREEMPTED :
							  CLASS_RUNQ_WAKEUP);
	else if (snap & SN_ON_CPU)
		thread_set_state(l, t, l->now_ns, ST_ONCPU, CLASS_ONCPU);
	else if (snap & SN_BLOCKED)
		thread_set_state(l, t, l->now_ns, ST_BLOCKED,
				 class_of_wait(l->arch, flags, rec->state, rec->how));
}

/* EV_FORK and EV_SNAP. Where the state is known, so is the seq (EV_FORK: 0). A thread that was met before keeps the state that it has. */
static int on_thread(struct ledger *l, const struct ev_thread *rec)
{
	bool fork = EV_KIND(rec->w0) == EV_FORK;
	struct thread *t;
	int r = thread_find(l, rec->who, &t);

	if (r || !t)
		return r;
	t->parent = rec->parent;
	t->clone_flags = fork ? rec->clone_flags : 0;
	t->kthread = !fork && EV_FLAGS(rec->w0) & SN_KTHREAD;
	t->has_first |= fork;
	if (t->unannounced && !t->started) {
		if (fork || !(EV_FLAGS(rec->w0) & SN_TARGET))
			thread_begin(t, l->now_ns);
		thread_set_tid(l, t, rec->tid, rec->tgid);
		t->seq_known = fork || rec->more & SM_KNOWN ||
			       EV_FLAGS(rec->w0) & (SN_ON_CPU | SN_BLOCKED);
		t->seq = rec->seq;
		if (fork)
			thread_set_state(l, t, l->now_ns, ST_NEW, CLASS_RUNQ_WAKEUP);
		else
			snap_state(l, t, rec);
		t->enqueued_ns = l->now_ns;
	} else {
		thread_set_tid(l, t, rec->tid, rec->tgid);
	}
	t->unannounced = false;
	return thread_set_name(t, l->now_ns, rec->comm);
}

static int on_exec(struct ledger *l, const struct ev_exec *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, true, &t);

	if (!t)
		return r;
	t->exec = true;
	thread_set_tid(l, t, rec->tid, rec->tgid);
	memcpy(t->file, rec->file, sizeof(t->file));
	t->file[sizeof(t->file) - 1] = 0;
	return thread_set_name(t, l->now_ns, rec->comm);
}

static int on_exit_begun(struct ledger *l, const struct ev_exit *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, true, &t);

	if (t) {
		t->exited = true;
		t->exit_code = rec->code;
	}
	return r;
}

static int on_name(struct ledger *l, const struct ev_name *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, false, &t);

	return t ? thread_set_name(t, l->now_ns, rec->comm) : r;
}

/* From here on we count what the books count. */
static void books_first(struct ledger *l, struct thread *t, const struct ev_books *rec)
{
	t->first = *rec;
	t->first_ns = l->now_ns;
	t->has_first = true;
	memset(&t->audit, 0, sizeof(t->audit));
	t->runq_pending_ns = 0;
	t->moved_pending_ns = t->left_pending_ns = 0;
	t->audit_from_ns = l->now_ns;
}

/*
 * The beginning of its life was lost, and these books say when that was: what came before its first record is untracked, all of it where
 * there is none. Who was there before the recording was there when that began.
 */
static void tell_birth(struct ledger *l, struct thread *t, const struct ev_books *rec)
{
	uint64_t from_ns = rec->start_ns > l->epoch_ns ? rec->start_ns - l->epoch_ns : 0;
	uint64_t begun_ns = l->cut_ns > l->first_ns ? l->cut_ns : l->first_ns;

	if (!t->unannounced || !l->epoch_ns || !rec->start_ns || before_cut(l, t))
		return;
	/* as of an EV_FORK: it had no books before */
	t->has_first |= from_ns >= begun_ns;
	if (from_ns < begun_ns)
		from_ns = begun_ns;
	if (!t->started)
		thread_begin(t, from_ns < l->now_ns ? from_ns : l->now_ns);
	if (from_ns >= t->start_ns)
		return;
	t->ledger_ns[CLASS_UNTRACKED] += t->start_ns - from_ns;
	t->waits[CLASS_UNTRACKED]++;
	if (t->start_ns - from_ns > t->longest_ns[CLASS_UNTRACKED])
		t->longest_ns[CLASS_UNTRACKED] = t->start_ns - from_ns;
	t->untracked_losses++;
	t->met_ns = t->met_ns ?: t->start_ns;
	t->start_ns = from_ns;
}

static int on_books(struct ledger *l, const struct ev_books *rec)
{
	unsigned int flags = EV_FLAGS(rec->w0);
	struct thread *t;
	int r = thread_find(l, rec->who, &t);

	if (r || !t)
		return r;
	/* `record --keep` tells them now and then, of who was there */
	if (flags & BK_FIRST && !t->ended && !t->has_first && !before_cut(l, t))
		books_first(l, t, rec);
	if (!(flags & (BK_DEAD | BK_END)))
		return 0;
	tell_birth(l, t, rec);
	if (flags & BK_DEAD && t->started && !t->ended) {
		interval_lost(l, t, l->now_ns); /* its last switch was dropped */
		thread_die(l, t, l->now_ns);
	}
	t->last = *rec;
	t->has_last = true;
	t->audited = t->audit;
	return 0;
}

static int on_task(struct ledger *l, const struct ev_task *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, false, &t);

	if (!t)
		return r;
	t->has_task = true;
	t->policy = rec->policy;
	t->nice = rec->nice;
	t->rt_priority = rec->rt_priority;
	t->nr_allowed = rec->nr_cpus;
	t->cgroup = rec->cgroup;
	memcpy(t->allowed, rec->cpus, sizeof(t->allowed));
	return 0;
}

static int on_missed(struct ledger *l, const struct ev_missed *rec, unsigned int cpu)
{
	struct thread *t;
	int r = find_living(l, rec->who, true, &t);

	l->holes = true;
	if (t) {
		t->missed.time_ns = l->now_ns;
		t->missed.mark = cpu_mark(l, cpu);
		t->missed.cpu = (uint16_t)cpu;
		t->missed.flags = (uint16_t)EV_FLAGS(rec->w0);
		t->missed.arrivals = rec->arrivals;
		t->missed.arrival_ns = rec->arrival_ns;
		t->missed.queue_ns = rec->queue_ns;
	}
	return r;
}

/* What of it was before the first books that we have. */
static uint64_t charged_before(const struct ledger *l, const struct thread *t,
			       const struct ev_unbooked *rec)
{
	const struct ev_unbooked_before *before = (const void *)rec;
	uint64_t since_ns = l->now_ns - t->first_ns;

	if (EV_WORDS(rec->w0) < EV_WORDS_OF(struct ev_unbooked_before))
		return rec->ns;
	if (!t->first_ns || before->charged_ns < since_ns + UNBOOKED_LEFT_NS)
		return 0;
	return before->charged_ns - since_ns;
}

/* Kept until the switch-out after it, as the books are; no more than what is audited at all. */
static int on_unbooked(struct ledger *l, const struct ev_unbooked *rec)
{
	struct thread *t;
	int r = find_living(l, rec->who, true, &t);
	uint64_t audited_ns = t ? l->now_ns - t->audit_from_ns : 0;
	uint64_t ns = rec->ns < audited_ns ? rec->ns : audited_ns;

	if (t && EV_FLAGS(rec->w0) & UB_BEFORE) {
		ns = charged_before(l, t, rec);
		if (!ns)
			return r;
		/* the life of a command to be started begins after its first books, with its first record */
		t->audit.before_ns += ns;
		if (t->audit_from_ns > t->first_ns)
			t->audit.before_ns += t->audit_from_ns - t->first_ns;
		t->queued_asleep_ns = t->audit_from_ns;
	} else if (t && EV_FLAGS(rec->w0) & UB_MOVED) {
		t->moved_pending_ns = ns;
	} else if (t) {
		t->left_pending_ns = ns;
	}
	return r;
}

/* Kept until the switch-out that it belongs to. The two kinds begin alike, with who and seq. */
static int on_announced(struct ledger *l, const uint64_t *rec, unsigned int words)
{
	const struct ev_futex *futex = (const void *)rec;
	struct thread *t;
	int r = find_living(l, futex->who, true, &t);

	/* in front of its EV_SNAP */
	if (!r && !t && l->now_ns < l->cut_ns && futex->who && !(futex->who & WHO_UNTRACKED))
		r = thread_find(l, futex->who, &t);
	if (t)
		memcpy(t->announced, rec, words * sizeof(*rec));
	return r;
}

static void name_wait(struct ledger *l, struct thread *t)
{
	const struct ev_futex *futex = (const void *)t->announced;
	enum ledger_class class = t->class;

	if (t->state != ST_BLOCKED || !t->announced[0] || futex->seq != t->seq || t->woken_early)
		return;
	/* what it waited for up to now has its class by the system call */
	interval_close(l, t, l->now_ns, class);
	if (l->on_wait.fn && class != CLASS_STOPPED && class != CLASS_IO)
		class = l->on_wait.fn(l->on_wait.arg, t, t->announced, class);
	t->announced[0] = 0;
	thread_set_state(l, t, l->now_ns, ST_BLOCKED, class);
}

void ledger_name_waits(struct ledger *l)
{
	if (l->cut_ns > l->now_ns)
		l->now_ns = l->cut_ns;
	for (size_t i = 0; i < l->table.nr; i++)
		if (l->table.list[i]->started && !l->table.list[i]->ended)
			name_wait(l, l->table.list[i]);
}

int ledger_dispatch(struct ledger *l, const struct trace_event *ev)
{
	const void *rec = ev->rec;
	unsigned int kind = EV_KIND(ev->rec[0]);

	if (kind >= EV_KIND_NR || !trace_kind_words[kind] ||
	    EV_WORDS(ev->rec[0]) < trace_kind_words[kind]) {
		l->malformed++;
		return 0;
	}
	switch (kind) {
	case EV_SWITCH:
		return on_switch(l, rec, ev->cpu);
	case EV_WAKE:
	case EV_WAKEUP:
		return on_wake(l, rec);
	case EV_MIGRATE:
		return on_migrate(l, rec);
	case EV_FORK:
	case EV_SNAP:
		return on_thread(l, rec);
	case EV_EXEC:
		return on_exec(l, rec);
	case EV_EXIT:
		return on_exit_begun(l, rec);
	case EV_NAME:
		return on_name(l, rec);
	case EV_BOOKS:
		return on_books(l, rec);
	case EV_TASK:
		return on_task(l, rec);
	case EV_MISSED:
		return on_missed(l, rec, ev->cpu);
	case EV_UNBOOKED:
		return on_unbooked(l, rec);
	case EV_FUTEX:
	case EV_KLOCK:
		return on_announced(l, rec, trace_kind_words[kind]);
	case EV_STACK:
	case EV_KLOCK_END:
	case EV_IRQ:
	case EV_CALLS:
	case EV_KSTACK:
	case EV_USTACK:
	case EV_UFRAMES:
	case EV_PYSTACK:
	case EV_PYCODE:
	case EV_COUNTS:
		return 0;
	default:
		lost_add(l, ev->cpu, rec);
		return 0;
	}
}
