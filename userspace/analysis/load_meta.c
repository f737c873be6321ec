// SPDX-License-Identifier: GPL-2.0-only
/* Decodes a trace's META, which is untrusted: see load.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/load.h"

#define CPUS_MAX 65536
#define TIME_MAX_NS (1ull << 60) /* 36 years: sums of such times do not overflow soon */

static uint64_t get_count(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static uint64_t get_time(const json_t *object, const char *key)
{
	uint64_t value = get_count(object, key);

	return value < TIME_MAX_NS ? value : TIME_MAX_NS;
}

static const char *get_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

/* Writes a word as a shell needs it; returns the length. With out NULL only counts. */
static size_t quote(const char *word, char *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+=./,:@%^";
	size_t len = 0;

	if (*word && !word[strspn(word, plain)]) {
		len = strlen(word);
		if (out)
			memcpy(out, word, len);
		return len;
	}
	for (const char *c = word; *c; c++) {
		size_t n = *c == '\'' ? 4 : 1;

		if (out)
			memcpy(out + 1 + len, *c == '\'' ? "'\\''" : c, n);
		len += n;
	}
	if (out)
		out[0] = out[1 + len] = '\'';
	return len + 2;
}

static char *join_words(const json_t *words)
{
	size_t len = 1, at = 0;
	char *joined;

	for (size_t i = 0; i < json_array_size(words); i++)
		len += quote(json_string_value(json_array_get(words, i)) ?: "", NULL) + 1;
	joined = malloc(len);
	if (!joined)
		return NULL;
	for (size_t i = 0; i < json_array_size(words); i++) {
		if (i)
			joined[at++] = ' ';
		at += quote(json_string_value(json_array_get(words, i)) ?: "", joined + at);
	}
	joined[at] = '\0';
	return joined;
}

static void decode_machine(const json_t *meta, struct load_meta *ret)
{
	const json_t *machine = json_object_get(meta, "machine");
	uint64_t cpus = get_count(machine, "cpus");
	size_t online = json_array_size(json_object_get(machine, "online"));

	ret->nr_cpus = cpus && cpus < CPUS_MAX ? (unsigned int)cpus : CPUS_MAX;
	if (online && online <= CPUS_MAX)
		ret->nr_online = (unsigned int)online;
	else
		ret->nr_online = cpus && cpus < CPUS_MAX ? (unsigned int)cpus : 0;
	ret->hostname = get_string(machine, "hostname");
	ret->kernel = get_string(meta, "kernel");
	ret->arch = get_string(meta, "arch");
}

static void decode_cost(const json_t *cost, struct load_cost *ret)
{
	ret->known = json_is_object(cost);
	ret->bpf_known = json_is_integer(json_object_get(cost, "bpf_ns"));
	ret->bpf_estimated = json_is_true(json_object_get(cost, "bpf_estimated"));
	ret->bpf_ns = get_time(cost, "bpf_ns");
	ret->bpf_runs = get_count(cost, "bpf_runs");
	ret->bpf_sampled_runs = get_count(cost, "bpf_sampled_runs");
	ret->recorder_cpu_ns = get_time(cost, "recorder_cpu_ns");
	ret->recorder_events = get_count(cost, "recorder_events");
	ret->recursion_misses = get_count(cost, "recursion_misses");
}

static void decode_kept(const json_t *kept, struct load_kept *ret)
{
	uint64_t serials = get_count(kept, "serials");

	ret->known = json_is_object(kept);
	ret->cut = json_is_integer(json_object_get(kept, "from_ns"));
	ret->began_ns = get_time(kept, "began_ns");
	ret->from_ns = get_time(kept, "from_ns");
	ret->asked_ns = get_time(kept, "asked_ns");
	ret->limit_bytes = get_count(kept, "limit_bytes");
	ret->is_short = json_is_true(json_object_get(kept, "short"));
	ret->serials = serials < UINT32_MAX ? (uint32_t)serials : UINT32_MAX;
}

int load_meta_decode(const json_t *meta, struct load_meta *ret)
{
	const json_t *clock = json_object_get(meta, "clock");
	const json_t *drops = json_object_get(meta, "drops");
	const json_t *status = json_object_get(json_object_get(meta, "exit"), "status");

	ret->version = get_string(meta, "version");
	ret->started = get_string(meta, "started");
	ret->why_not = get_string(meta, "why_not");
	decode_machine(meta, ret);
	ret->epoch_ns = get_time(clock, "epoch_ns");
	ret->realtime_ns = get_count(clock, "realtime_ns");
	ret->has_end = json_is_integer(json_object_get(meta, "ended_ns"));
	ret->ended_ns = get_time(meta, "ended_ns");
	ret->dropped_full = get_count(drops, "full");
	ret->dropped_storage = get_count(drops, "storage");
	ret->dropped_no_buffer = get_count(drops, "no_buffer");
	ret->bpf = !json_is_false(json_object_get(meta, "bpf"));
	ret->irqs = json_array_size(json_object_get(meta, "irqs")) > 0;
	ret->has_exit = json_is_integer(status);
	ret->exit_status = json_integer_value(status);
	decode_cost(json_object_get(meta, "cost"), &ret->cost);
	decode_kept(json_object_get(meta, "kept"), &ret->kept);
	ret->command = join_words(json_object_get(meta, "command"));
	return ret->command ? 0 : -ENOMEM;
}

/* One thread from the kernel's own counts; what they do not tell of its life is untracked. */
static void decode_thread(const json_t *from, uint64_t ended_ns, struct thread *t)
{
	uint64_t life, oncpu = get_time(from, "exec_ns"), runq = get_time(from, "delay_ns");

	t->tid = (uint32_t)get_count(from, "tid");
	t->tgid = (uint32_t)get_count(from, "tgid");
	strncpy(t->comm, get_string(from, "comm"), sizeof(t->comm) - 1);
	t->voluntary = get_count(from, "voluntary");
	t->involuntary = get_count(from, "involuntary");
	t->migrations = get_count(from, "migrations");
	t->start_ns = get_time(from, "start_ns");
	t->end_ns = get_time(from, "end_ns");
	if (!t->end_ns)
		t->end_ns = ended_ns;
	if (t->start_ns > t->end_ns)
		t->start_ns = t->end_ns;
	/* the kernel charges a thread from its enqueue: a little more than the life that we saw is possible */
	if (t->end_ns - t->start_ns < oncpu + runq)
		t->end_ns = t->start_ns + oncpu + runq;
	life = t->end_ns - t->start_ns;
	t->ledger_ns[CLASS_ONCPU] = oncpu;
	t->ledger_ns[CLASS_RUNQ_WAKEUP] = runq;
	t->ledger_ns[CLASS_UNTRACKED] = life - oncpu - runq;
	t->started = true;
}

int load_book_threads(struct loaded *l)
{
	const json_t *list = json_object_get(l->raw_meta, "threads");
	size_t nr = json_array_size(list);

	l->from_books = true;
	l->book_threads = calloc(nr + 1, sizeof(*l->book_threads));
	l->threads = calloc(nr + 1, sizeof(const struct thread *));
	if (!l->book_threads || !l->threads)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct thread *t = &l->book_threads[l->nr_threads];
		const json_t *from = json_array_get(list, i);

		if (!get_count(from, "tid"))
			continue;
		t->serial = (uint32_t)l->nr_threads + 1;
		decode_thread(from, l->meta.ended_ns, t);
		l->threads[l->nr_threads++] = t;
	}
	return 0;
}
