// SPDX-License-Identifier: GPL-2.0-only
/* A store of stacks for tests: see stack_help.h. */
#include "stack_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "symbol_help.h"
#include "trace/kinds.h"

static int add_mapping(void *arg, const struct mapping *m)
{
	struct mapping mine = *m;

	mine.tgid = STACK_TGID;
	return stack_store_mapping(arg, &mine);
}

void stack_world_open(struct stack_world *w, struct stack_store_options o)
{
	struct utsname machine;

	w->kernel = json_pack("{s:s, s:s, s:s}", "0xf1", "schedule", "0xf2", "bpf_prog_ab_switch",
			      "0xf3", "do_nanosleep");
	assert_int_equal(uname(&machine), 0);
	o.arch = syscall_arch_by_name(machine.machine);
	o.kernel_symbols = w->kernel;
	assert_int_equal(flame_tree_new(&w->names), 0);
	assert_int_equal(stack_store_new(&o, w->names, &w->store), 0);
	help_each_mapping(getpid(), 0, add_mapping, w->store);
}

void stack_world_close(struct stack_world *w)
{
	stack_store_free(w->store);
	flame_tree_free(w->names);
	json_decref(w->kernel);
}

void stack_world_feed(struct stack_world *w, void *rec, unsigned int kind)
{
	struct trace_event ev = { .time_ns = 100, .rec = rec };

	*(uint64_t *)rec = EV_WORD0(100, trace_kind_words[kind], kind, 0);
	assert_int_equal(stack_store_event(w->store, &ev), 0);
}

const char *stack_world_shown(struct stack_world *w, const struct stack_ids *ids,
			      struct stack_frames *frames)
{
	static char text[65536];
	size_t at = 0;

	assert_int_equal(stack_store_frames(w->store, ids, frames), 0);
	text[0] = '\0';
	for (size_t i = 0; i < frames->nr && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? ";" : "",
				       flame_tree_string(w->names, frames->frame[i].name,
							 &(size_t){ 0 }));
	return text;
}
