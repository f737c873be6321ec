/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzz targets share: an input as a file that has no name, and commands of the program called in this very process. Each
 * target is one fuzz_*.c with LLVMFuzzerTestOneInput(); tests/fuzz/run builds and runs them, corpus/NAME holds inputs to begin with
 * and every input that once found something.
 */
#ifndef WHYSCALE_TESTS_FUZZ_H
#define WHYSCALE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cmd.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

#define FUZZ_PATH 32

/* A file in memory with these bytes, and a path to it that holds as long as the descriptor, which the caller closes. */
int fuzz_file(const void *data, size_t len, char ret_path[FUZZ_PATH]);

/* Runs a command with these words behind its name, up to a NULL, and returns its status: 0, 1 or 2. */
int fuzz_command(const struct cmd *cmd, const char *const *words);

/*
 * Which of `nr` ways an input is tried in: calls fn for the one that its first byte chooses, or for each of them if ALL_WAYS is set in the
 * environment: an input that was kept is tried in all. The bytes behind that first one are handed on; an empty input is tried as it is.
 */
typedef void (*fuzz_way_fn)(unsigned int way, const uint8_t *data, size_t len);
void fuzz_ways(unsigned int nr, const uint8_t *data, size_t len, fuzz_way_fn fn);

/* Makes an assumption fail loudly: unlike assert(), whatever NDEBUG is. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
