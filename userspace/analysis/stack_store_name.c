// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses to names. An address of a process is looked up once for as long as the process's mappings stay the same; a stack once.
 *
 * Kernel stacks begin with what the measurement itself put there, innermost:
 *
 *   at a switch or wake-up   our BPF program, bpf_trace_run4, __bpf_trace_..., __traceiter_... | __schedule, schedule, ...
 *   at a sample              ... __perf_event_overflow, ..., hrtimer_interrupt, asm_sysvec_apic_timer_interrupt | what was interrupted
 *
 * What was interrupted may be one of our programs at another event: then that goes, too, and its time belongs to who caused the event.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "analysis/stack_store_impl.h"
#include "base/vec.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

int stack_store_number(struct stack_store *s, const char *name, uint32_t *ret_number)
{
	return flame_tree_name(s->names, name, strlen(name), ret_number);
}

int stack_store_put(struct stack_store *s, uint32_t name, enum flame_kind kind)
{
	if (vec_room(&s->out, &s->cap_out, s->nr_out + 1))
		return -ENOMEM;
	s->out[s->nr_out++] = (struct flame_frame){ name, kind };
	return 0;
}

int stack_store_put_text(struct stack_store *s, const char *name, enum flame_kind kind)
{
	uint32_t number;
	int r = stack_store_number(s, name, &number);

	return r ?: stack_store_put(s, number, kind);
}

/* ---- the kernel ---- */

static int kernel_name(struct stack_store *s, uint64_t address, uint32_t *ret_number)
{
	uint32_t known = keymap_get(&s->kernel_name, address);
	const char *name;
	char key[24];
	int r;

	if (known) {
		*ret_number = known - 1;
		return 0;
	}
	snprintf(key, sizeof(key), "0x%" PRIx64, address);
	name = json_string_value(json_object_get(s->o.kernel_symbols, key));
	r = stack_store_number(s, name && *name ? name : "[kernel]", ret_number);
	return r ?: keymap_set(&s->kernel_name, address, *ret_number + 1);
}

static bool begins_with_any(const char *name, const char *const *parts, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(name, parts[i], strlen(parts[i])))
			return true;
	return false;
}

/* How our programs are reached from a tracepoint. */
static bool is_tracing(const char *name)
{
	static const char *const parts[] = { "bpf_prog_",       "bpf_trampoline_", "bpf_trace_run",
					     "__bpf_trace",     "__traceiter_",    "bpf_get_stack",
					     "__bpf_get_stack", "trace_call_bpf",  "__bpf_prog_" };

	return begins_with_any(name, parts, LEN(parts));
}

/* What takes a sample. */
static bool is_sampling(const char *name)
{
	static const char *const parts[] = { "bpf_overflow_handler", "__perf_event_overflow",
					     "perf_event_overflow", "perf_swevent_hrtimer",
					     "perf_event_nmi_handler" };

	return begins_with_any(name, parts, LEN(parts));
}

/* Where an interrupt enters the kernel. */
static bool is_interrupt_entry(const char *name)
{
	static const char *const parts[] = { "asm_sysvec_",         "asm_common_interrupt",
					     "asm_exc_nmi",         "el1h_64_irq",
					     "el0t_64_irq",         "el1h_64_fiq",
					     "el0t_64_fiq",         "asm_exc_int",
					     "apic_timer_interrupt" };

	return begins_with_any(name, parts, LEN(parts));
}

#define OURS_MAX 48 /* frames that the measurement puts on a stack at most */

/* How many of the innermost frames are the measurement's own. */
static uint32_t count_ours(const struct stack_store *s, const struct flame_frame *frame,
			   uint32_t nr)
{
	bool sampling = false;
	uint32_t ours = 0;

	for (uint32_t i = 0; i < nr && i < OURS_MAX; i++) {
		const char *name =
			flame_tree_string(s->names, frame[nr - 1 - i].name, &(size_t){ 0 });

		sampling |= is_sampling(name);
		if (is_tracing(name) || (sampling && is_interrupt_entry(name)))
			ours = i + 1;
		else if (!sampling && *name != '[' && i > 0)
			break;
		if (sampling && is_interrupt_entry(name))
			break;
	}
	return ours;
}

/* How many of the innermost frames are those of a program at a tracepoint, on which a sample came. */
static uint32_t count_interrupted(const struct stack_store *s, const struct flame_frame *frame,
				  uint32_t nr)
{
	uint32_t ours = 0;

	for (uint32_t i = 0; i < nr && i < OURS_MAX; i++) {
		const char *name =
			flame_tree_string(s->names, frame[nr - 1 - i].name, &(size_t){ 0 });

		if (!strncmp(name, "bpf_trace_run", strlen("bpf_trace_run")) ||
		    (ours && is_tracing(name)))
			ours = i + 1;
		else if (ours)
			break;
	}
	return ours;
}

/* Turns the addresses into frames. */
static int name_kernel(struct stack_store *s, struct stored *st)
{
	const uint64_t *address = st->data;
	struct flame_frame *frame = calloc(st->nr + 1, sizeof(*frame));
	int r = frame ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < st->nr && !r; i++) {
		struct flame_frame *f = &frame[st->nr - 1 - i];

		f->kind = FLAME_KERNEL;
		r = kernel_name(s, address[i], &f->name);
	}
	if (r) {
		free(frame);
		return r;
	}
	st->nr -= count_ours(s, frame, st->nr);
	st->nr -= count_interrupted(s, frame, st->nr);
	free(st->data);
	st->data = frame;
	return 0;
}

/* ---- user space ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int frame_number(struct stack_store *s, const struct frame_name *name, uint32_t *ret_number)
{
	char text[FLAME_NAME_MAX];

	if (!s->o.lines || !name->file || !name->line)
		return stack_store_number(s, name->name, ret_number);
	snprintf(text, sizeof(text), "%s (%s:%d)", name->name, base_name(name->file), name->line);
	return stack_store_number(s, text, ret_number);
}

/* How often the process's mappings had changed by then. */
static uint32_t generation_of(const struct stack_store *s, uint32_t tgid, uint64_t time_ns)
{
	uint32_t i = keymap_get(&s->mapped_of, tgid);
	const struct mapped *m = i ? &s->mapped[i - 1] : NULL;
	size_t low = 0, high = m ? m->nr : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->time_ns[mid] <= time_ns)
			low = mid + 1;
		else
			high = mid;
	}
	return (uint32_t)low;
}

static int look_up(struct stack_store *s, const struct stored *st, struct known_address *known)
{
	struct frame_name name[FRAMES_MAX];
	size_t nr = frames_of(s->frames, st->tgid, st->time_ns, known->address & ~ADDRESS_EXACT,
			      known->address & ADDRESS_EXACT, name, FRAMES_MAX);

	known->first = (uint32_t)s->nr_pool;
	known->nr = (uint32_t)nr;
	if (s->nr_pool + nr > UINT32_MAX || vec_room(&s->pool, &s->cap_pool, s->nr_pool + nr))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct flame_frame *f = &s->pool[s->nr_pool++];
		int r = frame_number(s, &name[i], &f->name);

		if (r)
			return r;
		f->kind = name[i].inlined ? FLAME_INLINED : FLAME_USER;
	}
	return 0;
}

static const struct known_address *address_get(struct stack_store *s, const struct stored *st,
					       uint32_t generation, uint64_t address, int *ret_r)
{
	struct known_address wanted = { .address = address,
					.tgid = st->tgid,
					.generation = generation };
	uint64_t key = XXH64(&wanted, sizeof(wanted), s->seed);
	uint32_t i;

	for (; (i = keymap_get(&s->address_of, key)); key++) {
		const struct known_address *a = &s->address[i - 1];

		if (a->address == address && a->tgid == wanted.tgid && a->generation == generation)
			return a;
	}
	*ret_r = look_up(s, st, &wanted);
	if (!*ret_r && (vec_room(&s->address, &s->cap_addresses, s->nr_addresses + 1) ||
			keymap_set(&s->address_of, key, (uint32_t)s->nr_addresses + 1)))
		*ret_r = -ENOMEM;
	if (*ret_r)
		return NULL;
	s->address[s->nr_addresses++] = wanted;
	return &s->address[s->nr_addresses - 1];
}

static int name_user(struct stack_store *s, struct stored *st)
{
	uint32_t generation = generation_of(s, st->tgid, st->time_ns);
	const uint64_t *address = st->data;
	struct flame_frame *frame = NULL;
	size_t nr = 0, cap = 0;
	int r = 0;

	for (uint32_t i = st->nr; i-- > 0 && !r;) {
		const struct known_address *a = address_get(s, st, generation, address[i], &r);

		if (!r && vec_room(&frame, &cap, nr + a->nr))
			r = -ENOMEM;
		for (uint32_t k = 0; !r && k < a->nr; k++)
			frame[nr++] = s->pool[a->first + k];
	}
	if (r) {
		free(frame);
		return r;
	}
	free(st->data);
	st->data = frame;
	st->nr = (uint32_t)nr;
	return 0;
}

int stored_name(struct stack_store *s, struct stored *st)
{
	int r;

	if (st->named)
		return 0;
	r = st->kind == EV_KSTACK ? name_kernel(s, st) : name_user(s, st);
	if (!r)
		st->named = true;
	return r;
}
