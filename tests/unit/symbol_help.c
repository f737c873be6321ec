// SPDX-License-Identifier: GPL-2.0-only
/* See symbol_help.h. */
#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/vec.h"
#include "symbol_help.h"

static void take_line(pid_t pid, uint64_t time_ns, char *line, help_mapping_fn fn, void *arg)
{
	struct mapping m = { .time_ns = time_ns, .kind = MAPPING_ADD, .tgid = (uint32_t)pid };
	char prot[5];
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &m.start, &m.end, prot,
				&m.offset, &m.dev_major, &m.dev_minor, &m.inode, &path),
			 7);
	m.prot = (prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
		 (prot[2] == 'x' ? PROT_EXEC : 0);
	m.flags = prot[3] == 's' ? MAP_SHARED : MAP_PRIVATE;
	m.path = line + path;
	assert_int_equal(fn(arg, &m), 0);
}

void help_each_mapping(pid_t pid, uint64_t time_ns, help_mapping_fn fn, void *arg)
{
	char path[64], line[PATH_MAX + 128];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[vsyscall]"))
			take_line(pid, time_ns, line, fn, arg);
	}
	fclose(maps);
}

static int add_to_space(void *arg, const struct mapping *m)
{
	return space_add(arg, m);
}

void help_add_proc(struct space *s, pid_t pid, uint64_t time_ns)
{
	help_each_mapping(pid, time_ns, add_to_space, s);
}

/* The build-id as readelf says it. */
static void build_id_of(const char *path, struct mapping *m)
{
	char command[PATH_MAX + 64], hex[2 * MAPPING_BUILD_ID_MAX + 8] = "";
	FILE *f;

	snprintf(command, sizeof(command), "readelf -n %s | sed -n 's/.*Build ID: //p'", path);
	f = popen(command, "re");
	assert_non_null(f);
	assert_non_null(fgets(hex, sizeof(hex), f));
	pclose(f);
	while (m->build_id_len < MAPPING_BUILD_ID_MAX &&
	       sscanf(hex + 2 * m->build_id_len, "%2hhx", &m->build_id[m->build_id_len]) == 1)
		m->build_id_len++;
	assert_int_equal(m->build_id_len, MAPPING_BUILD_ID_MAX);
}

void help_map_file(struct space *s, pid_t tgid, uint64_t base, const char *path,
		   const char *recorded, bool build_id)
{
	struct mapping m = { .kind = MAPPING_ADD,
			     .tgid = (uint32_t)tgid,
			     .flags = MAP_PRIVATE,
			     .path = recorded ? recorded : path };
	struct elf_symbols *elf = help_open(path);
	const struct elf_segment *segs;
	struct stat st;
	size_t nr;

	assert_int_equal(stat(path, &st), 0);
	m.dev_major = major(st.st_dev);
	m.dev_minor = minor(st.st_dev);
	m.inode = st.st_ino;
	if (build_id)
		build_id_of(path, &m);
	segs = elf_symbols_segments(elf, &nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t in_page = segs[i].address & 4095;

		m.prot = PROT_READ | (segs[i].flags & PF_X ? PROT_EXEC : 0);
		m.start = base + segs[i].address - in_page;
		m.end = (base + segs[i].address + segs[i].file_bytes + 4095) & ~UINT64_C(4095);
		m.offset = segs[i].offset - in_page;
		if (segs[i].file_bytes)
			assert_int_equal(space_add(s, &m), 0);
	}
	elf_symbols_close(elf);
}

void help_world_open(struct help_world *w)
{
	assert_int_equal(space_new(&w->space), 0);
	assert_int_equal(resolve_new(w->space, NULL, &w->resolve), 0);
}

void help_world_close(struct help_world *w)
{
	resolve_free(w->resolve);
	space_free(w->space);
}

static bool in_futex(pid_t pid, pid_t tid)
{
	char path[64], text[64] = "";
	FILE *f;
	bool in;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	in = fgets(text, sizeof(text), f) && strtol(text, NULL, 10) == SYS_futex && text[0] != 'r';
	fclose(f);
	return in;
}

bool help_stop_in_futex(pid_t pid, pid_t tid)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int status;

	for (int i = 0; i < 2500 && !in_futex(pid, tid); i++)
		nanosleep(&pause, NULL);
	if (!in_futex(pid, tid) || ptrace(PTRACE_SEIZE, tid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return false;
	return waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status);
}

#if defined(__x86_64__)
static void fill(struct unwind_state *s, const struct user_regs_struct *regs)
{
	*s = (struct unwind_state){ .machine = EM_X86_64, .pc = regs->rip, .known = 0xf0c8 };
	s->registers[UNWIND_X86_BX] = regs->rbx;
	s->registers[UNWIND_X86_BP] = regs->rbp;
	s->registers[UNWIND_X86_SP] = regs->rsp;
	s->registers[UNWIND_X86_R12] = regs->r12;
	s->registers[UNWIND_X86_R12 + 1] = regs->r13;
	s->registers[UNWIND_X86_R12 + 2] = regs->r14;
	s->registers[UNWIND_X86_R12 + 3] = regs->r15;
}
#define SP UNWIND_X86_SP
#elif defined(__aarch64__)
static void fill(struct unwind_state *s, const struct user_regs_struct *regs)
{
	*s = (struct unwind_state){ .machine = EM_AARCH64, .pc = regs->pc, .known = 0xfff80000 };
	for (int i = 19; i <= 30; i++)
		s->registers[i] = regs->regs[i];
	s->registers[UNWIND_ARM64_SP] = regs->sp;
}
#define SP UNWIND_ARM64_SP
#endif

void help_state(pid_t pid, pid_t tid, uint8_t *stack, size_t bytes, struct unwind_state *ret_state)
{
	struct user_regs_struct regs;
	struct iovec iov = { .iov_base = &regs, .iov_len = sizeof(regs) };
	char path[64];
	ssize_t n;
	int fd;

	assert_int_equal(ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov), 0);
	fill(ret_state, &regs);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = pread(fd, stack, bytes, (off_t)ret_state->registers[SP]);
	close(fd);
	assert_true(n > 0);
	ret_state->stack = stack;
	ret_state->stack_bytes = (size_t)n;
}

struct help_symbol *help_nm(const char *option, const char *file, size_t *ret_nr)
{
	char command[PATH_MAX + 64], line[1024];
	struct help_symbol *list = NULL;
	size_t nr = 0, cap = 0;
	FILE *f;

	snprintf(command, sizeof(command), "LC_ALL=C nm -S %s '%s' 2>/dev/null", option, file);
	f = popen(command, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct help_symbol s;

		if (sscanf(line, "%lx %lx %c %255s", &s.address, &s.size, &s.type, s.name) != 4)
			continue;
		s.name[strcspn(s.name, "@")] = '\0';
		assert_int_equal(vec_room(&list, &cap, nr + 1), 0);
		list[nr++] = s;
	}
	pclose(f);
	*ret_nr = nr;
	return list;
}

void help_run(const char *fmt, ...)
{
	char command[4096];
	va_list args;

	va_start(args, fmt);
	assert_true(vsnprintf(command, sizeof(command), fmt, args) < (int)sizeof(command));
	va_end(args);
	if (system(command)) /* NOLINT(cert-env33-c): fixed commands on our own files */
		fail_msg("failed: %s", command);
}

void help_loaded(const char *name, char ret_path[PATH_MAX])
{
	char line[PATH_MAX + 128];
	FILE *maps = fopen("/proc/self/maps", "re");

	assert_non_null(maps);
	*ret_path = '\0';
	while (!*ret_path && fgets(line, sizeof(line), maps)) {
		const char *slash = strchr(line, '/');

		if (slash && strstr(slash, name))
			sscanf(slash, "%4095[^\n]", ret_path);
	}
	fclose(maps);
	assert_string_not_equal(ret_path, "");
}

struct elf_symbols *help_open(const char *path)
{
	struct elf_symbols *s;
	struct err err = { 0 };

	if (elf_symbols_open(path, NULL, 0, NULL, &s, &err))
		fail_msg("%s", err.msg);
	return s;
}

char *help_dir_new(char buf[64])
{
	strcpy(buf, "/tmp/whyscale-symbol-XXXXXX");
	assert_non_null(mkdtemp(buf));
	return buf;
}

void help_dir_remove(const char *dir)
{
	help_run("rm -rf '%s'", dir);
}

char **help_pythons(size_t *ret_nr)
{
	const char *home = getenv("HOME");
	char pattern[PATH_MAX];
	glob_t found = { 0 };
	char **list;
	size_t nr = 0;

	glob("/usr/bin/python[0-9].[0-9]*[0-9]", 0, NULL, &found);
	snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/*/bin/python[0-9].[0-9]*",
		 home ? home : "/root");
	glob(pattern, GLOB_APPEND, NULL, &found);
	list = calloc(found.gl_pathc + 1, sizeof(*list));
	assert_non_null(list);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *end = found.gl_pathv[i] + strlen(found.gl_pathv[i]) - 1;

		/* Not python3.11-config, nor python3.7m beside python3.7. */
		if (*end >= '0' && *end <= '9' && !strstr(found.gl_pathv[i], "-config"))
			list[nr++] = realpath(found.gl_pathv[i], NULL);
	}
	globfree(&found);
	*ret_nr = nr;
	return list;
}

void help_each_python(void (*fn)(const char *python))
{
	size_t nr;
	char **pythons = help_pythons(&nr);

	assert_true(nr > 0);
	for (size_t i = 0; i < nr; i++) {
		fn(pythons[i]);
		free(pythons[i]);
	}
	free(pythons);
}

void help_write(const char *path, const uint8_t *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

uint8_t *help_read(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	uint8_t *bytes = malloc(1 << 22);

	assert_non_null(f);
	assert_non_null(bytes);
	*ret_len = fread(bytes, 1, 1 << 22, f);
	assert_true(*ret_len > 4096 && *ret_len < 1 << 22);
	fclose(f);
	return bytes;
}

uint64_t help_function_address(const char *path, const char *function)
{
	struct elf_symbols *s = help_open(path);
	struct elf_symbol symbol;

	assert_true(elf_symbols_find_function(s, function, &symbol));
	elf_symbols_close(s);
	return symbol.address;
}
