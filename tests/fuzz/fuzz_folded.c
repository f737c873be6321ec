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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *words[8] = { "--from-folded" };
	const char *const *form = forms[len ? data[0] % NR_FORMS : 0];
	char path[FUZZ_PATH];
	int fd = fuzz_file(data + !!len, len - !!len, path);

	words[1] = path;
	for (int i = 0; i < 4 && form[i]; i++)
		words[2 + i] = form[i];
	fuzz_command(&cmd_flame, words);
	close(fd);
	return 0;
}
