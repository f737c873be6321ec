// SPDX-License-Identifier: GPL-2.0-only
/* The table of strategies, built from strategies.def, and what can be asked about it. */
#include "strategy/strategy.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "strategy/python.h"
#include "strategy/strategy_result.h"

/*
 * A Python program is embedded by the assembler, with a NUL behind it. The path is relative to the
 * top directory, where make runs the compiler.
 */
#define DECLARE_C(id, py) STRATEGY_RUN(id);
#define DECLARE_PYTHON(id, py)                                  \
	extern const char id##_source[];                        \
	__asm__(".pushsection .rodata\n"                        \
		".globl " #id "_source\n" #id "_source:\n"      \
		".incbin \"userspace/strategy/py/" py ".py\"\n" \
		".byte 0\n"                                     \
		".popsection\n");
#define STRATEGY(id, language_, name_, single_, summary_) DECLARE_##language_(id, name_)
#include "strategies.def"
#undef STRATEGY

#define CODE_C(id) .run = id##_run
#define CODE_PYTHON(id) .source = id##_source
#define STRATEGY(id, language_, name_, single_, summary_) \
	{                                                 \
		.name = name_,                            \
		.summary = summary_,                      \
		.language = STRATEGY_##language_,         \
		.single = single_,                        \
		CODE_##language_(id),                     \
	},
static const struct strategy strategies[] = {
#include "strategies.def"
};
#undef STRATEGY

#define NR_STRATEGIES (sizeof(strategies) / sizeof(strategies[0]))

/* Every name with ", " before it; strategy_names() skips the first comma. */
#define STRATEGY(id, language_, name_, single_, summary_) ", " name_
static const char names[] =
#include "strategies.def"
	;
#undef STRATEGY

const char *strategy_language_name(const struct strategy *strategy)
{
	return strategy->language == STRATEGY_C ? "C" : "Python";
}

const struct strategy *strategy_at(size_t i)
{
	return i < NR_STRATEGIES ? &strategies[i] : NULL;
}

const char *strategy_names(void)
{
	return names + 2;
}

const struct strategy *strategy_find(const char *name, struct err *err)
{
	for (size_t i = 0; i < NR_STRATEGIES; i++)
		if (!strcmp(strategies[i].name, name))
			return &strategies[i];
	err_set(err, -EINVAL, "there is no strategy '%.64s'; use one of: %s", name,
		strategy_names());
	return NULL;
}

const struct strategy *strategy_baseline(const struct strategy *strategy)
{
	for (size_t i = 0; i < NR_STRATEGIES; i++)
		if (strategies[i].single && strategies[i].language == strategy->language)
			return &strategies[i];
	return NULL;
}

/*
 * Measured at 0.13 to 0.8 ns a turn in C and 18 to 50 ns in Python: C takes the article's count
 * anyway, as less would be over before there is something to see; Python sets the length of the
 * whole run.
 */
uint64_t strategy_default_count(const struct strategy *strategy, bool full)
{
	if (strategy->language == STRATEGY_C)
		return 2000000000;
	return full ? 200000000 : 150000000;
}

uint64_t strategy_share(uint64_t count, unsigned int workers, unsigned int index)
{
	return count / workers + (index < count % workers);
}

int strategy_run(const struct strategy_job *job, struct err *err)
{
	_cleanup_(strategy_result_free) struct strategy_result result = {};
	int ret;

	if (job->strategy->language == STRATEGY_PYTHON)
		return python_exec(job, err);
	ret = job->strategy->run(job, &result, err);
	if (!ret)
		ret = strategy_result_check(&result, err);
	if (!ret)
		ret = strategy_result_write(&result, job->result_fd, err);
	return ret;
}
