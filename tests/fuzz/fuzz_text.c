// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes what reads texts and tables that others wrote: the input's first byte says which, the rest is the text.
 *
 *   /proc/kallsyms, perf-PID.map, mangled names, line tables of CPython, CPU lists, a strategy's result, the kept calibration
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/kallsyms.h"
#include "cli/calibration.h"
#include "fuzz.h"
#include "strategy/strategy_result.h"
#include "symbol/demangle.h"
#include "symbol/perf_map.h"
#include "symbol/python_lines.h"

static void ask_kallsyms(const uint8_t *data, size_t len)
{
	_cleanup_(fclose_p) FILE *f = len ? fmemopen((void *)data, len, "r") : NULL;
	struct kallsyms *k = NULL;
	struct kallsym symbol;
	struct err err = {};
	int r;

	if (!f)
		return;
	r = kallsyms_read(f, "made up", &k, &err);
	if (r && r != -EACCES)
		return;
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t at = UINT64_MAX << bit | 0x810;

		if (kallsyms_find(k, at, KALLSYMS_FUNCTION, &symbol))
			FUZZ_CHECK(strlen(symbol.name) < len && symbol.offset <= at);
		kallsyms_find(k, 1ull << bit, KALLSYMS_DATA, &symbol);
	}
	kallsyms_free(k);
}

static void ask_perf_map(const uint8_t *data, size_t len)
{
	char path[FUZZ_PATH];
	int fd = fuzz_file(data, len, path);
	struct perf_map *m;
	const char *name;
	uint64_t start;

	if (!perf_map_read(fd, &m)) {
		for (unsigned int bit = 0; bit < 64; bit++)
			for (uint64_t near = 0; near < 3; near++)
				if (perf_map_find(m, (1ull << bit) + near, &name, &start))
					FUZZ_CHECK(strlen(name) <= DEMANGLE_MAX + len &&
						   start <= (1ull << bit) + near);
		perf_map_free(m);
	}
	close(fd);
}

/* As a string: what takes one does not know where the input ends. */
static char *string_of(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	FUZZ_CHECK(text);
	memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

static void ask_demangle(const uint8_t *data, size_t len)
{
	_cleanup_(free_p) char *text = string_of(data, len);
	char written[DEMANGLE_MAX];

	if (demangle(text, written))
		FUZZ_CHECK(strlen(written) < DEMANGLE_MAX);
}

static void ask_python_lines(const uint8_t *data, size_t len)
{
	for (unsigned int minor = 7; minor < 15; minor++)
		for (uint32_t at = 0; at < 64; at += 2)
			python_line(minor, data, len, len ? data[0] : 1, at);
}

static void ask_cpus(const uint8_t *data, size_t len)
{
	_cleanup_(free_p) char *text = string_of(data, len);
	_cleanup_(free_p) bool *cpus = calloc(CPULIST_MAX, sizeof(*cpus));

	FUZZ_CHECK(cpus && cpulist_parse(text, cpus, CPULIST_MAX) <= CPULIST_MAX);
}

static void ask_result(const uint8_t *data, size_t len)
{
	struct strategy_result result = {};
	struct err err = {};

	if (!strategy_result_parse((const char *)data, len, &result, &err)) {
		strategy_result_check(&result, &err);
		strategy_result_free(&result);
	}
}

static void ask_calibration(const uint8_t *data, size_t len)
{
	struct calibration c;
	struct err err = {};

	if (!calibration_decode((const char *)data, len, &c, &err))
		json_decref(calibration_encode(&c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const readers[])(const uint8_t *, size_t) = {
		ask_kallsyms, ask_perf_map, ask_demangle,    ask_python_lines,
		ask_cpus,     ask_result,   ask_calibration,
	};

	if (len)
		readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](data + 1, len - 1);
	return 0;
}
