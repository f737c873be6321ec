// SPDX-License-Identifier: GPL-2.0-only
/* Maps of just-in-time compilers: of a process that generates code and says so, and of those that should not be believed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "symbol/frames.h"
#include "symbol/perf_map.h"
#include "symbol_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct perf_map *map_of_text(const char *text, size_t len, int *ret_code)
{
	int fd = memfd_create("map", MFD_CLOEXEC);
	struct perf_map *map = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	*ret_code = perf_map_read(fd, &map);
	close(fd);
	return map;
}

static void test_lines(void **state)
{
	static const char text[] = "1000 100 first\n"
				   "2000 10 a name with spaces, and ;semicolons;\n"
				   "1010 10 later one within the first\n"
				   "0x3000 0x20 prefixed\r\n"
				   "nonsense\n"
				   "\n"
				   "5000\n"
				   "5000 \n"
				   "5000 10\n"
				   "5000 10 \n"
				   "-5000 10 negative\n"
				   "6000 0 empty\n"
				   "ffffffffffffffff 10 beyond\n"
				   "fffffffffffffffff0000 10 too long\n"
				   "7000 10 moved\n"
				   "7000 10 moved again\n"
				   "8000 10 not finish";
	static const struct {
		uint64_t address;
		const char *name;
		uint64_t start;
	} cases[] = {
		{ 0xfff, NULL, 0 },
		{ 0x1000, "first", 0x1000 },
		{ 0x1010, "later one within the first", 0x1010 },
		{ 0x101f, "later one within the first", 0x1010 },
		{ 0x1020, "first", 0x1000 },
		{ 0x10ff, "first", 0x1000 },
		{ 0x1100, NULL, 0 },
		{ 0x2008, "a name with spaces, and ;semicolons;", 0x2000 },
		{ 0x301f, "prefixed", 0x3000 },
		{ 0x5000, NULL, 0 },
		{ 0x6000, NULL, 0 },
		{ 0x7008, "moved again", 0x7000 },
		{ 0x8000, NULL, 0 },
		{ UINT64_MAX, NULL, 0 },
	};
	int code;
	struct perf_map *map = map_of_text(text, sizeof(text) - 1, &code);

	(void)state;
	assert_int_equal(code, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name;
		uint64_t start;
		bool found = perf_map_find(map, cases[i].address, &name, &start);

		assert_int_equal(found, cases[i].name != NULL);
		if (!found)
			continue;
		assert_string_equal(name, cases[i].name);
		assert_int_equal(start, cases[i].start);
	}
	perf_map_free(map);
	map_of_text("", 0, &code);
	assert_int_equal(code, -EINVAL);
	map_of_text("\0\0\n1 1 \0x\n", 10, &code);
	assert_int_equal(code, -EINVAL);
	map_of_text("1000 10 no newline", 18, &code);
	assert_int_equal(code, -EINVAL);
}

/* Many pieces, and bytes changed at random: some answer, soon. */
static void test_mangled_maps(void **state)
{
	static char text[1 << 20];
	uint64_t seed = 88172645463325252u, begin = monotonic_ns();
	size_t len = 0, found = 0;

	(void)state;
	for (uint64_t i = 0; len < sizeof(text) - 64; i++)
		len += (size_t)snprintf(text + len, 64, "%lx %x piece %lu\n", 0x10000 + 64 * i, 128,
					i);
	for (int round = 0; round < 20; round++) {
		struct perf_map *map;
		const char *name;
		uint64_t start;
		int code;

		map = map_of_text(text, len, &code);
		for (uint64_t at = 0; !code && at < 1 << 20; at += 4001)
			found += perf_map_find(map, at, &name, &start) && strlen(name) < 4096;
		perf_map_free(map);
		for (int i = 0; i < 2000; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			text[seed % len] = (char)(seed >> 32);
		}
	}
	assert_true(found > 1000);
	assert_true(monotonic_ns() - begin < 20 * NSEC_PER_SEC);
}

/* A process that generates a function, calls it, and writes its map. */
struct jit {
	const char *root; /* to be its root directory, or NULL */
	bool own_pids;    /* it is in a pid name space of its own */
	pid_t pid;
	uint64_t code;
};

static bool generate(uint64_t *ret_code)
{
#ifdef __x86_64__
	static const uint8_t machine[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
#else
	static const uint8_t machine[] = { 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6 };
#endif
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*function)(void);

	if (code == MAP_FAILED)
		return false;
	memcpy(code, machine, sizeof(machine));
	if (mprotect(code, 4096, PROT_READ | PROT_EXEC))
		return false;
	__builtin___clear_cache(code, (char *)code + sizeof(machine));
	memcpy(&function, &code, sizeof(function));
	*ret_code = (uintptr_t)code;
	return function() == 42;
}

static bool write_map(uint64_t code)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	f = fopen(path, "we");
	return f &&
	       fprintf(f, "%lx 40 generated;function 1\n%lx 10 _ZN2vm4stubEv\n", code,
		       code + 0x40) > 0 &&
	       !fclose(f);
}

static void run_jit(const struct jit *j, int fd)
{
	uint64_t code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (j->root && (chroot(j->root) || chdir("/")))
		_exit(1);
	if (generate(&code) && write_map(code) && write(fd, &code, sizeof(code)) == sizeof(code))
		pause();
	_exit(1);
}

static void jit_start(struct jit *j)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	if (j->own_pids)
		assert_int_equal(unshare(CLONE_NEWPID), 0);
	j->pid = fork();
	assert_true(j->pid >= 0);
	if (!j->pid)
		run_jit(j, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &j->code, sizeof(j->code)), sizeof(j->code));
	close(fds[0]);
}

static void jit_end(struct jit *j)
{
	kill(j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
}

static void count_problem(void *arg, const char *path, const char *reason)
{
	assert_non_null(strstr(path, ".map"));
	assert_non_null(strstr(reason, path));
	++*(int *)arg;
}

/* What the first byte of the code is called, and how many maps were refused. */
static struct frame_name name_now(const struct jit *j, struct space *space,
				  const struct frames_options *options, int *ret_refused)
{
	static struct frame_name f;
	static char name[128], object[128];
	struct resolve *resolve;
	struct frames *frames;

	assert_int_equal(resolve_new(space, NULL, &resolve), 0);
	assert_int_equal(frames_new(resolve, options, &frames), 0);
	assert_int_equal(frames_of(frames, (uint32_t)j->pid, 5, j->code + 2, true, &f, 1), 1);
	*ret_refused = 0;
	frames_problems(frames, count_problem, ret_refused);
	snprintf(name, sizeof(name), "%s", f.name);
	snprintf(object, sizeof(object), "%s", f.object);
	f.name = name;
	f.object = object;
	frames_free(frames);
	resolve_free(resolve);
	return f;
}

static void test_living_process(void **state)
{
	struct jit j = { 0 };
	struct frame_name f;
	struct space *space;
	int refused;

	(void)state;
	jit_start(&j);
	assert_int_equal(space_new(&space), 0);
	help_add_proc(space, j.pid, 0);
	f = name_now(&j, space, NULL, &refused);
	assert_string_equal(f.name, "generated;function 1");
	assert_true(f.jit && f.named && !f.guessed);
	assert_int_equal(refused, 0);
	j.code += 0x40;
	f = name_now(&j, space, NULL, &refused);
	assert_string_equal(f.name, "vm::stub");
	j.code += 0x40;
	f = name_now(&j, space, NULL, &refused);
	assert_string_equal(f.name, "[anon]");
	assert_false(f.jit || f.named);
	j.code -= 0x80;
	f = name_now(&j, space, &(struct frames_options){ .no_jit = true }, &refused);
	assert_string_equal(f.name, "[anon]");
	help_run("rm /tmp/perf-%d.map", j.pid);
	f = name_now(&j, space, NULL, &refused);
	assert_string_equal(f.name, "[anon]");
	assert_int_equal(refused, 0);
	jit_end(&j);
	space_free(space);
}

/* Each of these is a reason not to believe a map. */
static void test_refused_maps(void **state)
{
	static const char *const commands[] = {
		"cd /tmp && mv perf-%d.map perf-%d.real && ln -s perf-%d.real perf-%d.map",
		"cd /tmp && rm perf-%d.map && mkfifo perf-%d.map # %d %d",
		"cd /tmp && rm perf-%d.map && mkdir perf-%d.map # %d %d",
		"cd /tmp && chown 65534 perf-%d.map # %d %d %d",
		"cd /tmp && ln perf-%d.map perf-%d.real # %d %d",
		"cd /tmp && touch -d '2001-01-01' perf-%d.map # %d %d %d",
		"cd /tmp && : >perf-%d.map # %d %d %d",
	};

	(void)state;
	if (geteuid())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct jit j = { 0 };
		struct frame_name f;
		struct space *space;
		char command[256];
		int refused;

		jit_start(&j);
		assert_int_equal(space_new(&space), 0);
		help_add_proc(space, j.pid, 0);
		/* the same four numbers for each */
		snprintf(command, sizeof(command), "%s", commands[i]);
		for (char *at; (at = strstr(command, "%d"));) {
			char rest[256];

			snprintf(rest, sizeof(rest), "%s", at + 2);
			snprintf(at, sizeof(command) - (size_t)(at - command), "%d%s", j.pid, rest);
		}
		help_run("%s", command);
		f = name_now(&j, space, NULL, &refused);
		if (strcmp(f.name, "[anon]") || refused != 1)
			fail_msg("%s: %s, %d refused", commands[i], f.name, refused);
		jit_end(&j);
		help_run("rm -rf /tmp/perf-%d.map /tmp/perf-%d.real", j.pid, j.pid);
		space_free(space);
	}
}

/* Of a process with another root directory, whose /tmp is a link to the host's: a map made there is not that process's. */
static void test_link_out_of_root(void **state)
{
	uint64_t code = (uint64_t)(uintptr_t)test_refused_maps;
	char root[] = "/tmp/whyscale-root.XXXXXX";
	struct perf_maps_place place;
	struct perf_maps *maps;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	assert_non_null(mkdtemp(root));
	help_run("mkdir %s/inside && ln -s /inside %s/tmp", root, root);
	pid = fork();
	if (!pid) {
		if (!chroot(root))
			pause();
		_exit(1);
	}
	help_run("until [ \"$(readlink /proc/%d/root)\" = %s ]; do sleep 0.01; done", pid, root);
	for (int inside = 1; inside >= 0; inside--) {
		/* the link leads into its own root, then to a directory of that name outside of it */
		help_run("echo '%llx 100 made_up' >%s/inside/perf-%d.map", (unsigned long long)code,
			 root, pid);
		if (!inside)
			help_run("rm %s/tmp && ln -s %s/inside %s/tmp", root, root, root);
		assert_int_equal(perf_maps_new(0, &maps), 0);
		assert_int_equal(perf_maps_find(maps, (uint32_t)pid, 0, 0, code, &place), inside);
		perf_maps_free(maps);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	help_run("rm -rf %s", root);
}

/* When the process is gone, its map in /tmp is taken if the trace's time is known. */
static void test_ended_process(void **state)
{
	struct frames_options options = { .realtime_ns = clock_ns(CLOCK_REALTIME) };
	struct mapping exec = { .kind = MAPPING_EXEC, .time_ns = 3 };
	struct jit j = { 0 };
	struct frame_name f;
	struct space *space;
	int refused;

	(void)state;
	jit_start(&j);
	assert_int_equal(space_new(&space), 0);
	help_add_proc(space, j.pid, 4);
	jit_end(&j);
	f = name_now(&j, space, NULL, &refused);
	assert_string_equal(f.name, "[anon]");
	f = name_now(&j, space, &options, &refused);
	assert_string_equal(f.name, "generated;function 1");
	assert_true(f.jit && f.guessed); /* when it began is not in the trace */
	exec.tgid = (uint32_t)j.pid;
	assert_int_equal(space_add(space, &exec), 0);
	f = name_now(&j, space, &options, &refused);
	assert_string_equal(f.name, "generated;function 1");
	assert_false(f.guessed);
	/* the process of the trace began long after this file was written */
	options.realtime_ns += 3600 * NSEC_PER_SEC;
	f = name_now(&j, space, &options, &refused);
	assert_string_equal(f.name, "[anon]");
	assert_int_equal(refused, 1);
	help_run("rm /tmp/perf-%d.map", j.pid);
	space_free(space);
}

/* In a container it has another pid, and another /tmp. */
static void test_container(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[96];
	struct jit j = { .root = d, .own_pids = true };
	struct frame_name f;
	struct space *space;
	int refused, status;
	pid_t apart;

	(void)state;
	if (geteuid())
		skip();
	help_run("mkdir -m 1777 %s/tmp", d);
	/* unshare() would be for all later children of this process */
	apart = fork();
	if (!apart) {
		jit_start(&j);
		assert_int_equal(space_new(&space), 0);
		help_add_proc(space, j.pid, 0);
		snprintf(path, sizeof(path), "%s/tmp/perf-1.map", d);
		assert_int_equal(access(path, R_OK), 0);
		f = name_now(&j, space, NULL, &refused);
		jit_end(&j);
		_exit(strcmp(f.name, "generated;function 1") ? 1 : 0);
	}
	assert_int_equal(waitpid(apart, &status, 0), apart);
	assert_int_equal(status, 0);
	help_dir_remove(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),          cmocka_unit_test(test_mangled_maps),
		cmocka_unit_test(test_living_process), cmocka_unit_test(test_link_out_of_root),
		cmocka_unit_test(test_refused_maps),   cmocka_unit_test(test_ended_process),
		cmocka_unit_test(test_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
