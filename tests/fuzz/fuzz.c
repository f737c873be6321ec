// SPDX-License-Identifier: GPL-2.0-only
/* What the fuzz targets share: see fuzz.h. */
#include "fuzz.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS_MAX 64

/* An input means the same wherever it is tried: nothing is asked of the environment. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	unsetenv("DEBUGINFOD_URLS");
	setlocale(LC_CTYPE, "C.UTF-8");
	return 0;
}

int fuzz_file(const void *data, size_t len, char ret_path[FUZZ_PATH])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(ret_path, FUZZ_PATH, "/proc/self/fd/%d", fd);
	return fd;
}

void fuzz_ways(unsigned int nr, const uint8_t *data, size_t len, fuzz_way_fn fn)
{
	bool all = getenv("ALL_WAYS") != NULL;
	unsigned int chosen = len ? data[0] % nr : 0;

	for (unsigned int way = 0; way < nr; way++)
		if (all || way == chosen)
			fn(way, data + !!len, len - !!len);
}

int fuzz_command(const struct cmd *cmd, const char *const *words)
{
	/* `owned` is what is freed: an option parser moves the words about */
	char *argv[WORDS_MAX] = { strdup(cmd->name) }, *owned[WORDS_MAX] = { argv[0] };
	int argc = 1, status;

	for (; words[argc - 1] && argc < WORDS_MAX - 1; argc++)
		argv[argc] = owned[argc] = strdup(words[argc - 1]);
	status = cmd->run(argc, argv);
	FUZZ_CHECK(status >= 0 && status <= 2);
	while (argc--)
		free(owned[argc]);
	return status;
}
