// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the reader of folded stacks, and the graphs and folded stacks that are made of them: the input's first byte says of what form
 * they are, the rest is the file.
 */
#include <unistd.h>

#include "fuzz.h"

static const char *const forms[][4] = {
	{ "--folded" },
	{ "--folded", "--reverse" },
	{ "-o", "-" },
	{ "-o", "-", "--inverted" },
	{ "-o", "-", "--sort", "value" },
	{ "-o", "-", "--threads" },
	{ "-o", "-", "--unit", "s" },
	{ "--folded", "--unit", "ms" },
};
#define NR_FORMS (sizeof(forms) / sizeof(forms[0]))

static void try_form(unsigned int which, const uint8_t *data, size_t len)
{
	const char *words[8] = { "--from-folded" };
	char path[FUZZ_PATH];
	int fd = fuzz_file(data, len, path);

	words[1] = path;
	for (int i = 0; i < 4 && forms[which][i]; i++)
		words[2 + i] = forms[which][i];
	fuzz_command(&cmd_flame, words);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_ways(NR_FORMS, data, len, try_form);
	return 0;
}
