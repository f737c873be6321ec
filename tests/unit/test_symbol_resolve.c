// SPDX-License-Identifier: GPL-2.0-only
/* What data addresses of real processes are: this one's own variables, shared memory of two processes, Python's _PyRuntime. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* In .data, in .bss beside it, in .bss behind the file mapping, in .rodata. */
int resolve_test_data[9] = { 1 };
int resolve_test_small;
char resolve_test_large[1 << 20];
const char resolve_test_constant[64] = "constant";

static struct place place_of(struct help_world *w, uint32_t tgid, const void *address)
{
	struct place p;

	resolve_data(w->resolve, tgid, 5, (uintptr_t)address, &p);
	return p;
}

static void check_object(struct help_world *w, const void *address, const char *name,
			 uint64_t offset, const char *path)
{
	struct place p = place_of(w, (uint32_t)getpid(), address);

	assert_int_equal(p.kind, PLACE_OBJECT);
	assert_non_null(p.name);
	assert_string_equal(p.name, name);
	assert_int_equal(p.offset, offset);
	assert_non_null(strstr(p.path, path));
	assert_false(p.shared);
}

static void test_own_objects(void **state)
{
	struct help_world w;
	struct place p;

	(void)state;
	help_world_open(&w);
	help_add_proc(w.space, getpid(), 0);
	check_object(&w, &resolve_test_data[2], "resolve_test_data", 8, "/test_symbol_resolve");
	check_object(&w, &resolve_test_small, "resolve_test_small", 0, "/test_symbol_resolve");
	check_object(&w, resolve_test_large, "resolve_test_large", 0, "/test_symbol_resolve");
	check_object(&w, resolve_test_large + (1 << 20) - 1, "resolve_test_large", (1 << 20) - 1,
		     "/test_symbol_resolve");
	check_object(&w, resolve_test_constant + 3, "resolve_test_constant", 3,
		     "/test_symbol_resolve");
	/* In libc's data: an object that it exports. */
	check_object(&w, dlsym(RTLD_DEFAULT, "_IO_2_1_stdout_"), "_IO_2_1_stdout_", 0,
		     "/libc.so.6");
	check_object(&w, dlsym(RTLD_DEFAULT, "_rtld_global"), "_rtld_global", 0, "/ld-linux");
	p = place_of(&w, (uint32_t)getpid() + 1, resolve_test_large);
	assert_int_equal(p.kind, PLACE_UNKNOWN);
	help_world_close(&w);
}

/* The linker's own idea of where objects are is the load bias. */
static int check_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct help_world *w = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t bias, address = info->dlpi_addr + ph->p_vaddr;
		struct elf_symbols *elf;

		if (ph->p_type != PT_LOAD || !strncmp(info->dlpi_name, "linux-vdso", 10))
			continue;
		elf = resolve_object(w->resolve, (uint32_t)getpid(), 5, address, &bias);
		assert_non_null(elf);
		assert_int_equal(bias, info->dlpi_addr);
		elf = resolve_object(w->resolve, (uint32_t)getpid(), 5, address + ph->p_memsz - 1,
				     &bias);
		assert_non_null(elf);
		assert_int_equal(bias, info->dlpi_addr);
	}
	return 0;
}

static void test_load_bias(void **state)
{
	struct help_world w;

	(void)state;
	help_world_open(&w);
	help_add_proc(w.space, getpid(), 0);
	assert_int_equal(dl_iterate_phdr(check_bias, &w), 0);
	help_world_close(&w);
}

static uint64_t page_down(uint64_t address)
{
	return address & ~UINT64_C(4095);
}

/* As ld.so does it: the whole span from the file first, then each segment over it, then the rest of .bss, here with the heap
 * right behind it, as without address randomization. */
static void load_as_linker(struct space *s, const struct elf_segment *segs, size_t nr,
			   uint64_t base, const char *path)
{
	const struct elf_segment *last = &segs[nr - 1];
	uint64_t file_end = last->address + last->file_bytes;
	uint64_t memory_end = last->address + last->memory_bytes;
	struct mapping m = { .kind = MAPPING_ADD,
			     .tgid = 1,
			     .prot = PROT_READ,
			     .flags = MAP_PRIVATE,
			     .inode = 9,
			     .start = base + page_down(segs[0].address),
			     .end = base + page_down(memory_end + 4095),
			     .path = path };

	assert_int_equal(space_add(s, &m), 0);
	for (size_t i = 1; i < nr; i++) {
		m.time_ns = i;
		m.start = base + page_down(segs[i].address);
		m.end = base + page_down(segs[i].address + segs[i].file_bytes + 4095);
		m.offset = page_down(segs[i].offset);
		m.prot = PROT_READ | (segs[i].flags & PF_W ? PROT_WRITE : 0) |
			 (segs[i].flags & PF_X ? PROT_EXEC : 0);
		assert_int_equal(space_add(s, &m), 0);
	}
	m.offset = m.inode = 0;
	m.start = base + page_down(file_end + 4095);
	m.end = base + page_down(memory_end + 4095) + (1 << 20);
	m.path = "[heap]";
	assert_int_equal(space_add(s, &m), 0);
}

static void test_loaded_by_linker(void **state)
{
	static const char *const objects[] = { "resolve_test_data", "resolve_test_small",
					       "resolve_test_large", "resolve_test_constant" };
	const uint64_t base = 0x7f1234567000;
	const struct elf_segment *segs;
	struct elf_symbol symbol;
	struct elf_symbols *elf;
	char self[PATH_MAX] = "";
	struct help_world w;
	struct place p;
	struct err err;
	size_t nr;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_int_equal(elf_symbols_open(self, NULL, 0, NULL, &elf, &err), 0);
	segs = elf_symbols_segments(elf, &nr);
	assert_true(nr > 2);
	help_world_open(&w);
	load_as_linker(w.space, segs, nr, base, self);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		assert_true(elf_symbols_find_object(elf, objects[i], &symbol));
		resolve_data(w.resolve, 1, 100, base + symbol.address + symbol.size - 1, &p);
		assert_int_equal(p.kind, PLACE_OBJECT);
		assert_string_equal(p.name, objects[i]);
		assert_string_equal(p.path, self);
		assert_int_equal(p.offset, symbol.size - 1);
	}
	resolve_data(w.resolve, 1, 100,
		     base + page_down(segs[nr - 1].address + segs[nr - 1].memory_bytes) + 4096, &p);
	assert_int_equal(p.kind, PLACE_HEAP);
	help_world_close(&w);
	elf_symbols_close(elf);
}

static void test_memory(void **state)
{
	void *anon = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FILE *self = fopen("/etc/passwd", "re");
	void *file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(self), 0);
	char *heap = sbrk(4096); /* not malloc(): a sanitizer's has a heap of its own */
	struct help_world w;
	struct place p;
	uint32_t me = (uint32_t)getpid();

	(void)state;
	help_world_open(&w);
	help_add_proc(w.space, getpid(), 0);
	assert_int_equal(place_of(&w, me, (char *)anon + 5).kind, PLACE_ANON);
	p = place_of(&w, me, (char *)shared + 5);
	assert_int_equal(p.kind, PLACE_SHARED);
	assert_true(p.shared && p.identified && p.inode);
	p = place_of(&w, me, (char *)file + 7);
	assert_int_equal(p.kind, PLACE_FILE);
	assert_string_equal(p.path, "/etc/passwd");
	assert_int_equal(p.offset, 7);
	assert_int_equal(place_of(&w, me, heap).kind, PLACE_HEAP);
	assert_int_equal(place_of(&w, me, &w).kind, PLACE_STACK);
	assert_int_equal(place_of(&w, me, (void *)8).kind, PLACE_UNKNOWN);
	help_world_close(&w);
	munmap(anon, 8192);
	munmap(shared, 8192);
	munmap(file, 4096);
	fclose(self);
}

/* One memfd, mapped by two processes at different addresses and offsets. */
static void test_same_lock_in_two_processes(void **state)
{
	int fd = memfd_create("whyscale lock", MFD_CLOEXEC), sync[2];
	char *here, *there = NULL;
	struct help_world w;
	struct place a, b;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 16384), 0);
	assert_int_equal(pipe(sync), 0);
	here = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8192);
		if (write(sync[1], &there, sizeof(there)) == sizeof(there))
			pause();
		_exit(0);
	}
	assert_int_equal(read(sync[0], &there, sizeof(there)), sizeof(there));
	help_world_open(&w);
	help_add_proc(w.space, getpid(), 0);
	help_add_proc(w.space, pid, 0);
	a = place_of(&w, (uint32_t)getpid(), here + 8192 + 40);
	b = place_of(&w, (uint32_t)pid, there + 40);
	assert_true(place_same_shared(&a, &b));
	assert_int_equal(b.offset, 8192 + 40);
	b = place_of(&w, (uint32_t)pid, there + 44);
	assert_false(place_same_shared(&a, &b));
	/* A private mapping is nobody else's. */
	a = place_of(&w, (uint32_t)getpid(), resolve_test_large);
	b = place_of(&w, (uint32_t)pid, resolve_test_large);
	assert_false(place_same_shared(&a, &b));
	help_world_close(&w);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(sync[0]);
	close(sync[1]);
	close(fd);
	munmap(here, 16384);
}

/* The size that readelf gives for _PyRuntime among the dynamic symbols of an object; 0: there is none. */
static uint64_t readelf_runtime_size(const char *path)
{
	size_t nr;
	struct help_symbol *nm = help_nm("-D", path, &nr);
	uint64_t size = 0;

	for (size_t i = 0; i < nr; i++)
		size = strcmp(nm[i].name, "_PyRuntime") ? size : nm[i].size;
	free(nm);
	return size;
}

static const char python_program[] =
	"import ctypes, sys, time\n"
	"try:\n"
	"    a = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))\n"
	"except ValueError:\n"
	"    a = ctypes.cast(ctypes.pythonapi.PyErr_NoMemory, ctypes.c_void_p).value\n"
	"sys.stdout.write('%d %d %d\\n' % (sys.version_info[0], sys.version_info[1], a))\n"
	"sys.stdout.flush()\n"
	"time.sleep(100)\n";

/* An interpreter that runs, and where it says that its _PyRuntime is. */
struct python {
	pid_t pid;
	FILE *out;
	int major, minor;
	uint64_t address;
};

static void python_start(struct python *py, const char *path)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	py->pid = fork();
	assert_true(py->pid >= 0);
	if (!py->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		execl(path, path, "-S", "-c", python_program, NULL);
		_exit(127);
	}
	close(fds[1]);
	py->out = fdopen(fds[0], "r");
	assert_non_null(py->out);
	if (fscanf(py->out, "%d %d %lu", &py->major, &py->minor, &py->address) != 3)
		fail_msg("%s does not tell where _PyRuntime is", path);
}

static void python_end(struct python *py)
{
	kill(py->pid, SIGKILL);
	waitpid(py->pid, NULL, 0);
	fclose(py->out);
}

static void check_python(const char *path)
{
	struct runtime_place at = { 0 };
	struct help_world w;
	struct python py;
	uint32_t tgid;

	python_start(&py, path);
	tgid = (uint32_t)py.pid;
	help_world_open(&w);
	help_add_proc(w.space, py.pid, 0);
	if (py.major * 100 + py.minor < 307) {
		assert_false(resolve_runtime(w.resolve, tgid, 5, py.address, &at));
	} else {
		assert_true(resolve_runtime(w.resolve, tgid, 5, py.address + 0x1b8, &at));
		assert_int_equal(at.offset, 0x1b8);
		assert_int_equal(at.major, py.major);
		assert_int_equal(at.minor, py.minor);
		assert_true(at.size > 0);
		assert_int_equal(at.size, readelf_runtime_size(at.path));
		assert_true(resolve_runtime(w.resolve, tgid, 5, py.address + at.size - 1, &at));
		assert_false(resolve_runtime(w.resolve, tgid, 5, py.address + at.size, &at));
		assert_false(resolve_runtime(w.resolve, tgid, 5, py.address - 1, &at));
	}
	help_world_close(&w);
	python_end(&py);
}

static void test_python_runtime(void **state)
{
	(void)state;
	help_each_python(check_python);
}

static void count_problem(void *arg, const char *path, const char *reason)
{
	int *seen = arg;

	if (!strcmp(path, "/no/such/file"))
		*seen |= 1;
	else if (strstr(reason, "another build"))
		*seen |= 2;
	else if (strstr(reason, "deleted"))
		*seen |= 4;
	else
		*seen |= 8;
}

static void test_files_that_cannot_be_used(void **state)
{
	char self[PATH_MAX] = "", gone[PATH_MAX + 16];
	struct mapping m = { .kind = MAPPING_ADD,
			     .tgid = 1,
			     .start = 0x1000,
			     .end = 0x2000,
			     .prot = PROT_READ | PROT_EXEC,
			     .flags = MAP_PRIVATE,
			     .inode = 1 };
	struct code_place code;
	struct help_world w;
	int seen = 0;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(gone, sizeof(gone), "%s (deleted)", self);
	help_world_open(&w);
	m.path = "/no/such/file";
	assert_int_equal(space_add(w.space, &m), 0);
	m.start += 0x1000, m.end += 0x1000, m.path = gone;
	assert_int_equal(space_add(w.space, &m), 0);
	m.start += 0x1000, m.end += 0x1000, m.path = "/etc/passwd";
	assert_int_equal(space_add(w.space, &m), 0);
	m.start += 0x1000, m.end += 0x1000, m.path = self, m.build_id_len = 20;
	assert_int_equal(space_add(w.space, &m), 0);
	for (uint64_t at = 0x1234; at < 0x5000; at += 0x1000) {
		resolve_code(w.resolve, 1, 0, at, &code);
		assert_non_null(code.path);
		assert_null(code.name);
		assert_int_equal(code.offset, 0x234);
	}
	resolve_code(w.resolve, 1, 0, 0x5000, &code);
	assert_null(code.path);
	resolve_problems(w.resolve, count_problem, &seen);
	assert_int_equal(seen, 7);
	help_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_objects),
		cmocka_unit_test(test_load_bias),
		cmocka_unit_test(test_loaded_by_linker),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_same_lock_in_two_processes),
		cmocka_unit_test(test_python_runtime),
		cmocka_unit_test(test_files_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
