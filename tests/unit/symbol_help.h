/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of userspace/symbol share: mappings from /proc, a stopped process's registers and stack, other programs' output. */
#ifndef WHYSCALE_TESTS_SYMBOL_HELP_H
#define WHYSCALE_TESTS_SYMBOL_HELP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/resolve.h"
#include "symbol/space.h"
#include "symbol/unwind.h"

/* Calls fn for what /proc/PID/maps says, as of time_ns. Build-ids are left unknown. fn's result must be 0. */
typedef int (*help_mapping_fn)(void *arg, const struct mapping *m);
void help_each_mapping(pid_t pid, uint64_t time_ns, help_mapping_fn fn, void *arg);

/* Adds what /proc/PID/maps says, as of time_ns. Build-ids are left unknown. */
void help_add_proc(struct space *s, pid_t pid, uint64_t time_ns);

/* Adds the segments of the ELF file `path` as process `tgid` maps them at `base`, under another name if `recorded` is not NULL, with its
 * build-id or with its inode. */
void help_map_file(struct space *s, pid_t tgid, uint64_t base, const char *path,
		   const char *recorded, bool build_id);

/* A space and a resolver for it. */
struct help_world {
	struct space *space;
	struct resolve *resolve;
};
void help_world_open(struct help_world *w);
void help_world_close(struct help_world *w);

/* Waits until the process (its thread `tid`) blocks in futex(2), attaches to it and stops it. False: it did not within 5 s. */
bool help_stop_in_futex(pid_t pid, pid_t tid);

/* The registers of a thread that is stopped so, and `bytes` of its stack, in `stack`. */
void help_state(pid_t pid, pid_t tid, uint8_t *stack, size_t bytes, struct unwind_state *ret_state);

/* One line of nm -S: a name without its version. */
struct help_symbol {
	uint64_t address, size;
	char type;
	char name[256];
};

/* What "nm -S OPTION FILE" prints, sized symbols only; the caller frees it. */
struct help_symbol *help_nm(const char *option, const char *file, size_t *ret_nr);

/* Runs a command, which must succeed. */
void help_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The path of a library that this process has loaded, by a part of it. */
void help_loaded(const char *name, char ret_path[PATH_MAX]);

/* elf_symbols_open(), which must succeed. */
struct elf_symbols *help_open(const char *path);

/* Where a function of the ELF file is, which must have it. */
uint64_t help_function_address(const char *path, const char *function);

/* A file of 4 KiB to 4 MiB, the caller's to free; and one that is written anew. */
uint8_t *help_read(const char *path, size_t *ret_len);
void help_write(const char *path, const uint8_t *bytes, size_t len);

/* A temporary directory, which is removed with all that is in it. */
char *help_dir_new(char buf[64]);
void help_dir_remove(const char *dir);

/* The Python interpreters of this machine, as full paths to the ELF file of the program; the caller frees the list and its items. */
char **help_pythons(size_t *ret_nr);

/* Calls fn for each of them; there is at least one. */
void help_each_python(void (*fn)(const char *python));

#endif
