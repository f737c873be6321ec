// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the command line: the input's first byte chooses the command, then come its words, each ended by a 0. What would record is
 * replaced below (the linker's --wrap): what reaches it must be within the bounds that the options promise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bpf/events.h"
#include "cli/run_lab.h"
#include "cli/sweep_lab.h"
#include "fuzz.h"
#include "probes/counter_names.h"
#include "record/record.h"

#define WORDS_MAX 16

int __wrap_record_run(const struct record_options *o, struct record_result *ret, struct err *err);
int __wrap_sweep_lab_run(const struct sweep_options *o, struct sweep_result *ret, struct err *err);
int __wrap_lab_run(const struct lab_options *o, struct lab *ret_lab, struct err *err);
int __wrap_output_create(void *o, const char *path, int *ret_fd, struct err *err);

int __wrap_record_run(const struct record_options *o, struct record_result *ret, struct err *err)
{
	struct counter_list list;

	*ret = (struct record_result){};
	FUZZ_CHECK(o->output && *o->output);
	FUZZ_CHECK(o->what != RECORD_COMMAND || (o->argv && *o->argv[0]));
	FUZZ_CHECK(!(o->buffer_bytes & (o->buffer_bytes - 1)) && o->buffer_bytes <= 32u << 20);
	FUZZ_CHECK(o->sample_hz <= 10000 && o->stack_bytes <= STACK_LIMIT);
	FUZZ_CHECK(o->stacks <= (STACKS_ON | STACKS_OFF | STACKS_WAKE | STACKS_LOCK));
	FUZZ_CHECK(!o->events || !counter_list_parse(&list, o->events, err));
	for (size_t i = 0; i < o->nr_ids; i++)
		FUZZ_CHECK(o->ids[i] > 0);
	return err_set(err, -EINVAL, "nothing is recorded here");
}

int __wrap_sweep_lab_run(const struct sweep_options *o, struct sweep_result *ret, struct err *err)
{
	(void)ret;
	FUZZ_CHECK(o->nr <= SWEEP_POINTS_MAX && o->repeats && o->argv && *o->argv);
	for (size_t i = 0; i < o->nr; i++)
		FUZZ_CHECK(o->n[i] && (!i || o->n[i] > o->n[i - 1]));
	return err_set(err, -EINVAL, "nothing is recorded here");
}

int __wrap_lab_run(const struct lab_options *o, struct lab *ret_lab, struct err *err)
{
	(void)ret_lab;
	FUZZ_CHECK(o->nr <= LAB_MAX && o->repeats);
	return err_set(err, -EINVAL, "nothing is recorded here");
}

int __wrap_output_create(void *o, const char *path, int *ret_fd, struct err *err)
{
	(void)o;
	(void)ret_fd;
	FUZZ_CHECK(path && *path);
	return err_set(err, -EINVAL, "nothing is written here");
}

static const struct cmd *const cmds[] = { &cmd_record, &cmd_report, &cmd_explain, &cmd_flame,
					  &cmd_script, &cmd_diff,   &cmd_sweep,   &cmd_run };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(free_p) char *text = calloc(len + 1, 1);
	const char *words[WORDS_MAX + 1] = {};
	size_t nr = 0;

	if (!len)
		return 0;
	memcpy(text, data + 1, len - 1);
	for (size_t at = 0; at < len - 1 && nr < WORDS_MAX; at += strlen(text + at) + 1)
		words[nr++] = text + at;
	fuzz_command(cmds[data[0] % (sizeof(cmds) / sizeof(cmds[0]))], words);
	return 0;
}
