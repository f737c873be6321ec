// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process tree seen through /proc: see proc_watch.h.
 *
 *   a look: the processes watched and those known -> their threads -> the children of each thread that ran -> and so on
 *
 * A thread's schedstat costs 1.5 us and is read at every look. The rest (stat, status, children: 7 us) only when schedstat says that
 * it ran since, and once more when it says so no longer: its last switch comes after its last nanosecond is booked. Looking takes
 * at most a twentieth of one CPU: a tree too large for that is looked at less often. Without CONFIG_PROC_CHILDREN, children are
 * found by their parents' numbers in /proc/PID/stat. Not seen: a child that left the tree (its parent ended) before a look; that a
 * thread which is not the leader called exec, and goes on under the leader's number.
 */
#include "record/proc_watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "record/proc_task.h"

#define MAX_THREADS 65536u /* beyond that many, new ones are not seen */
#define HASH_SIZE 1024u
/* One part in COST_SHARE of the time is for looking; what was saved up allows for CREDIT_MAX_NS at once. */
#define COST_SHARE 20
#define CREDIT_MAX_NS ((int64_t)(20 * NSEC_PER_MSEC))

struct counts {
	struct proc_schedstat sched;
	struct proc_status status;
};

struct thread {
	pid_t tid;
	uint64_t start_ticks;
	uint64_t start_ns, seen_ns; /* CLOCK_MONOTONIC: first, last seen alive */
	struct counts first, last;
	char comm[16];
	uint32_t look;  /* the last one that found it */
	uint32_t next;  /* of those not gone, in its hash chain */
	bool unsettled; /* it ran before the last look: its status may be old */
	bool zombie;
};

struct parent {
	pid_t pid, ppid;
};

struct proc_watch {
	pid_t *ids;
	size_t nr_ids;
	bool only_threads;
	bool scan; /* there are no children files */
	uint64_t epoch_ns;
	uint64_t begin_ticks; /* who started since then has no history */
	uint64_t look_ns;     /* when the last look began */
	uint64_t credited_ns;
	int64_t credit_ns;
	uint32_t look; /* number of looks */

	struct thread *threads; /* all that were ever seen */
	size_t nr, cap;
	uint32_t heads[HASH_SIZE]; /* places in threads, counted from 1; 0 ends a chain */

	pid_t *queue; /* the processes of this look */
	size_t nr_queue, queue_cap;
	struct parent *parents; /* of every process, with scan */
	size_t nr_parents, parents_cap;
};

/* ---- processes ---- */

static void enqueue(struct proc_watch *w, pid_t pid)
{
	if (w->nr_queue < MAX_THREADS && !vec_room(&w->queue, &w->queue_cap, w->nr_queue + 1))
		w->queue[w->nr_queue++] = pid;
}

static void enqueue_children(struct proc_watch *w, pid_t pid, pid_t tid)
{
	_cleanup_(fclose_p) FILE *f = NULL;
	char path[64];
	int child;

	if (w->scan || w->only_threads)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		enqueue(w, child);
}

static void enqueue_scanned(struct proc_watch *w, pid_t pid)
{
	for (size_t i = 0; w->scan && i < w->nr_parents; i++)
		if (w->parents[i].ppid == pid)
			enqueue(w, w->parents[i].pid);
}

static void scan_parents(struct proc_watch *w)
{
	_cleanup_(closedir_p) DIR *dir = opendir("/proc");
	const struct dirent *entry;

	w->nr_parents = 0;
	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0;
		struct proc_stat s;

		if (pid && proc_read_stat(pid, pid, &s) &&
		    !vec_room(&w->parents, &w->parents_cap, w->nr_parents + 1))
			w->parents[w->nr_parents++] = (struct parent){ pid, s.ppid };
	}
}

/* ---- threads ---- */

static uint32_t *chain(struct proc_watch *w, pid_t tid)
{
	return &w->heads[(uint32_t)tid % HASH_SIZE];
}

static struct thread *find(struct proc_watch *w, pid_t tid)
{
	uint32_t i = w->threads ? *chain(w, tid) : 0;

	while (i && w->threads[i - 1].tid != tid)
		i = w->threads[i - 1].next;
	return i ? &w->threads[i - 1] : NULL;
}

/* It is gone; what is known of it stays. */
static void unlink_thread(struct proc_watch *w, const struct thread *t)
{
	uint32_t *link = chain(w, t->tid);

	while (&w->threads[*link - 1] != t)
		link = &w->threads[*link - 1].next;
	*link = t->next;
}

/*
 * Who appears after the first look and started since has no history: all that it counted is of the recording. It was not there
 * at the last look, and what it ran and waited is part of its life.
 */
static void set_beginning(const struct proc_watch *w, struct thread *t)
{
	uint64_t lived = t->last.sched.exec_ns + t->last.sched.delay_ns;
	uint64_t now = monotonic_ns();

	t->start_ns = now;
	if (w->look == 1 || t->start_ticks < w->begin_ticks)
		t->first = t->last;
	else
		t->start_ns = lived < now - w->look_ns ? now - lived : w->look_ns;
	t->seen_ns = now;
}

static struct thread *add_thread(struct proc_watch *w, pid_t pid, pid_t tid,
				 const struct proc_schedstat *sched, const struct proc_stat *stat)
{
	struct thread *t;

	if (w->nr >= MAX_THREADS || vec_room(&w->threads, &w->cap, w->nr + 1))
		return NULL;
	t = &w->threads[w->nr];
	*t = (struct thread){ .tid = tid, .start_ticks = stat->start_ticks, .last.sched = *sched };
	if (!proc_read_status(pid, tid, &t->last.status))
		return NULL;
	set_beginning(w, t);
	t->next = *chain(w, tid);
	*chain(w, tid) = (uint32_t)++w->nr;
	return t;
}

static bool ran(const struct proc_schedstat *now, const struct proc_schedstat *last)
{
	return now->exec_ns != last->exec_ns || now->runs != last->runs ||
	       now->delay_ns != last->delay_ns;
}

static bool is_other(const struct thread *t, const struct proc_schedstat *now,
		     const struct proc_stat *stat)
{
	const struct proc_schedstat *last = &t->last.sched;

	return t->start_ticks != stat->start_ticks || now->exec_ns < last->exec_ns ||
	       now->delay_ns < last->delay_ns || now->runs < last->runs;
}

/* Reads the files beside schedstat. NULL when the thread is gone meanwhile, or cannot be kept. */
static struct thread *look_closer(struct proc_watch *w, pid_t pid, pid_t tid,
				  const struct proc_schedstat *now)
{
	struct thread *t = find(w, tid);
	struct proc_stat stat;

	if (!proc_read_stat(pid, tid, &stat))
		return NULL;
	/* the number was given to another one */
	if (t && is_other(t, now, &stat)) {
		unlink_thread(w, t);
		t = NULL;
	}
	if (t) {
		t->unsettled = ran(now, &t->last.sched);
		t->last.sched = *now;
		proc_read_status(pid, tid, &t->last.status);
	} else {
		t = add_thread(w, pid, tid, now, &stat);
		if (!t)
			return NULL;
		t->unsettled = true;
	}
	memcpy(t->comm, stat.comm, sizeof(t->comm));
	if (!t->zombie)
		t->seen_ns = monotonic_ns();
	t->zombie = stat.state == 'Z' || stat.state == 'X';
	return t;
}

static void look_at_thread(struct proc_watch *w, pid_t pid, pid_t tid)
{
	struct thread *t = find(w, tid);
	struct proc_schedstat now;

	if ((t && t->look == w->look) || !proc_read_schedstat(pid, tid, &now))
		return;
	if (!t || t->unsettled || ran(&now, &t->last.sched)) {
		t = look_closer(w, pid, tid, &now);
		if (!t)
			return;
		enqueue_children(w, pid, tid);
	} else if (!t->zombie) {
		t->seen_ns = monotonic_ns();
	}
	t->look = w->look;
}

static void look_at_process(struct proc_watch *w, pid_t pid)
{
	const struct thread *leader = find(w, pid);
	_cleanup_(closedir_p) DIR *dir = NULL;
	const struct dirent *entry;
	char path[32];

	if (leader && leader->look == w->look)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			look_at_thread(w, pid, atoi(entry->d_name));
	enqueue_scanned(w, pid);
}

/* ---- a look ---- */

/* The watched ones, and the processes that were there at the last look: their parents may have ended since. */
static void look_at_tree(struct proc_watch *w)
{
	w->nr_queue = 0;
	if (w->scan)
		scan_parents(w);
	for (size_t i = 0; i < w->nr_ids; i++)
		enqueue(w, w->ids[i]);
	for (size_t chain_nr = 0; chain_nr < HASH_SIZE; chain_nr++)
		for (uint32_t i = w->heads[chain_nr]; i; i = w->threads[i - 1].next) {
			const struct thread *t = &w->threads[i - 1];

			if (t->tid == t->last.status.tgid)
				enqueue(w, t->tid);
		}
	for (size_t i = 0; i < w->nr_queue; i++)
		look_at_process(w, w->queue[i]);
}

static void forget_gone(struct proc_watch *w)
{
	for (size_t chain_nr = 0; chain_nr < HASH_SIZE; chain_nr++) {
		uint32_t *link = &w->heads[chain_nr];

		while (*link) {
			struct thread *t = &w->threads[*link - 1];

			if (t->look == w->look)
				link = &t->next;
			else
				*link = t->next;
		}
	}
}

/* Whether there was time enough since the last looks for their cost. */
static bool may_look(struct proc_watch *w, uint64_t now_ns)
{
	w->credit_ns += (int64_t)((now_ns - w->credited_ns) / COST_SHARE);
	if (w->credit_ns > CREDIT_MAX_NS)
		w->credit_ns = CREDIT_MAX_NS;
	w->credited_ns = now_ns;
	return w->credit_ns >= 0;
}

void proc_watch_look(struct proc_watch *w)
{
	uint64_t now_ns = monotonic_ns(), cpu_ns;

	if (!may_look(w, now_ns))
		return;
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	w->look++;
	if (w->only_threads)
		for (size_t i = 0; i < w->nr_ids; i++)
			look_at_thread(w, w->ids[i], w->ids[i]);
	else
		look_at_tree(w);
	forget_gone(w);
	w->look_ns = now_ns;
	w->credit_ns -= (int64_t)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns);
}

/* ---- beginning and end ---- */

int proc_watch_new(const pid_t *ids, size_t nr_ids, bool only_threads, uint64_t epoch_ns,
		   struct proc_watch **ret_watch, struct err *err)
{
	struct proc_watch *w = calloc(1, sizeof(*w));
	struct proc_schedstat self;

	if (!w || !(w->ids = calloc(nr_ids + 1, sizeof(*ids)))) {
		free(w);
		return err_sys(err, -ENOMEM, "cannot watch the processes");
	}
	memcpy(w->ids, ids, nr_ids * sizeof(*ids));
	w->nr_ids = nr_ids;
	w->only_threads = only_threads;
	w->scan = access("/proc/thread-self/children", F_OK) != 0;
	w->epoch_ns = epoch_ns;
	w->begin_ticks = clock_ns(CLOCK_BOOTTIME) / (NSEC_PER_SEC / sysconf(_SC_CLK_TCK));
	w->credited_ns = monotonic_ns();
	w->credit_ns = CREDIT_MAX_NS;
	if (!proc_read_schedstat(getpid(), getpid(), &self) || !self.runs) {
		proc_watch_free(w);
		return err_set(
			err, -ENOTSUP,
			"nothing can be measured here: /proc/PID/schedstat is missing or empty "
			"(is /proc mounted? the kernel needs CONFIG_SCHED_INFO)");
	}
	proc_watch_look(w);
	*ret_watch = w;
	return 0;
}

void proc_watch_free(struct proc_watch *w)
{
	if (!w)
		return;
	free(w->ids);
	free(w->threads);
	free(w->queue);
	free(w->parents);
	free(w);
}

/* A name that is no UTF-8 keeps what is ASCII of it. */
static json_t *name_json(const char *comm)
{
	json_t *name = json_string(comm);
	char ascii[16] = "";

	if (name)
		return name;
	for (size_t i = 0; comm[i]; i++)
		ascii[i] = comm[i] & 0x80 ? '?' : comm[i];
	return json_string(ascii);
}

static json_t *thread_json(const struct proc_watch *w, const struct thread *t)
{
	const struct counts *a = &t->first, *b = &t->last;

	return json_pack("{s:i,s:i,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I}}", "tid", t->tid,
			 "tgid", b->status.tgid, "comm", name_json(t->comm), "start_ns",
			 (json_int_t)(t->start_ns - w->epoch_ns), "end_ns",
			 (json_int_t)(t->seen_ns - w->epoch_ns), "exec_ns",
			 (json_int_t)(b->sched.exec_ns - a->sched.exec_ns), "delay_ns",
			 (json_int_t)(b->sched.delay_ns - a->sched.delay_ns), "voluntary",
			 (json_int_t)(b->status.voluntary - a->status.voluntary), "involuntary",
			 (json_int_t)(b->status.involuntary - a->status.involuntary), "first",
			 "exec_ns", (json_int_t)a->sched.exec_ns, "delay_ns",
			 (json_int_t)a->sched.delay_ns, "voluntary",
			 (json_int_t)a->status.voluntary, "involuntary",
			 (json_int_t)a->status.involuntary);
}

json_t *proc_watch_threads(const struct proc_watch *w)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < w->nr; i++)
		if (json_array_append_new(list, thread_json(w, &w->threads[i]))) {
			json_decref(list);
			list = NULL;
		}
	return list;
}
