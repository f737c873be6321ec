// SPDX-License-Identifier: GPL-2.0-only
/* Debug files from a server, if the environment names one; and no connection to anywhere if it does not. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol/elf_dwarf.h"
#include "symbol/frames.h"
#include "symbol_help.h"

#define BASE 0x7a0000000000
#define NOBODY 0x7ffffff0

static const char source[] = "static __attribute__((noipa)) int secret(int n) { return n * 3; }\n"
			     "int shown(int n); int shown(int n) { return secret(n) + 1; }\n";

/* bare.so without symbols and full.so with them; and served/ as a server has them. */
static void build(const char *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/source.c", d);
	help_write(path, (const uint8_t *)source, strlen(source));
	help_run("cd %s && gcc -O2 -g -shared -fPIC -Wl,--build-id -o full.so source.c && "
		 "strip -o bare.so full.so && "
		 "id=$(readelf -n full.so | sed -n 's/.*Build ID: //p') && "
		 "mkdir -p cache served/buildid/$id && cp bare.so served/buildid/$id/executable && "
		 "objcopy --only-keep-debug full.so served/buildid/$id/debuginfo",
		 d);
}

/* What the function without a dynamic symbol is called, in a library that is there or not. */
static void ask(const char *d, uint64_t address, char *ret_name, size_t size)
{
	struct help_world w;
	struct frames *frames;
	struct frame_name f;
	char path[128];

	snprintf(path, sizeof(path), "%s/bare.so", d);
	help_world_open(&w);
	assert_int_equal(frames_new(w.resolve, NULL, &frames), 0);
	help_map_file(w.space, NOBODY, BASE, path, NULL, true);
	help_run("if test -e %s/absent; then mv %s %s/moved; fi", d, path, d);
	frames_of(frames, NOBODY, 5, BASE + address, true, &f, 1);
	snprintf(ret_name, size, "%s", f.name);
	frames_free(frames);
	help_world_close(&w);
	help_run("if test -e %s/moved; then mv %s/moved %s; fi", d, d, path);
}

/* A server on a port that the system chooses. */
static pid_t serve(const char *d, int *ret_port)
{
	static const char program[] =
		"import http.server, os, sys\n"
		"os.chdir(sys.argv[1])\n"
		"s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
		"sys.stdout.write('%d\\n' % s.server_port); sys.stdout.flush()\n"
		"s.serve_forever()\n";
	int fds[2];
	FILE *out;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		char served[128];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(served, sizeof(served), "%s/served", d);
		dup2(fds[1], STDOUT_FILENO);
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execl("/usr/bin/python3", "python3", "-c", program, served, NULL);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%d", ret_port), 1);
	fclose(out);
	return pid;
}

static bool have_library(void)
{
	return !system(
		"ldconfig -p 2>/dev/null | grep -q libdebuginfod.so.1 || "
		"ls /usr/lib/*/libdebuginfod.so.1 >/dev/null 2>&1"); /* NOLINT(cert-env33-c) */
}

static void test_server(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], name[128], url[64];
	uint64_t address;
	int port;
	pid_t pid;

	(void)state;
	if (!have_library() || access("/usr/bin/python3", X_OK)) {
		help_dir_remove(d);
		skip();
	}
	build(d);
	snprintf(path, sizeof(path), "%s/full.so", d);
	address = help_function_address(path, "secret");
	unsetenv("DEBUGINFOD_URLS");
	snprintf(path, sizeof(path), "%s/cache", d);
	setenv("DEBUGINFOD_CACHE_PATH", path, 1);
	setenv("DEBUGINFOD_TIMEOUT", "5", 1);
	ask(d, address, name, sizeof(name));
	assert_string_equal(name, "[bare.so]");
	setenv("DEBUGINFOD_URLS", "", 1);
	ask(d, address, name, sizeof(name));
	assert_string_equal(name, "[bare.so]");
	pid = serve(d, &port);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
	setenv("DEBUGINFOD_URLS", url, 1);
	ask(d, address, name, sizeof(name));
	assert_string_equal(name, "secret");
	/* the library itself is not on this machine any more */
	help_run("touch %s/absent", d);
	ask(d, address, name, sizeof(name));
	assert_string_equal(name, "secret");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* a server that does not answer: without it, and not for long */
	help_run("rm -r %s/cache %s/absent", d, d);
	ask(d, address, name, sizeof(name));
	assert_string_equal(name, "[bare.so]");
	unsetenv("DEBUGINFOD_URLS");
	help_dir_remove(d);
}

/* strace sees every system call of this program, started anew to ask for one name. */
static void test_no_connection(void **state)
{
	char buf[64], *d = help_dir_new(buf), path[128], self[PATH_MAX] = "";
	uint64_t address;

	(void)state;
	if (system("strace -V >/dev/null 2>&1") || !have_library()) { /* NOLINT(cert-env33-c) */
		help_dir_remove(d);
		skip();
	}
	build(d);
	snprintf(path, sizeof(path), "%s/full.so", d);
	address = help_function_address(path, "secret");
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	help_run("cd %s && env -u DEBUGINFOD_URLS ASAN_OPTIONS=detect_leaks=0 strace -f -o log "
		 "%s ask %s %lu >answer 2>/dev/null && grep -qx '\\[bare.so\\]' answer && "
		 "! grep -E 'socket\\(|connect\\(|libdebuginfod' log",
		 d, self, d, address);
	/* and that it would be seen: port 9 of this machine answers nobody */
	help_run(
		"cd %s && DEBUGINFOD_CACHE_PATH=%s/cache DEBUGINFOD_URLS=http://127.0.0.1:9 "
		"ASAN_OPTIONS=detect_leaks=0 strace -f -o log %s ask %s %lu >answer 2>/dev/null && "
		"grep -qx '\\[bare.so\\]' answer && grep -q 'connect(.*htons(9)' log",
		d, d, self, d, address);
	help_dir_remove(d);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_no_connection),
	};
	char name[128];

	if (argc == 4 && !strcmp(argv[1], "ask")) {
		ask(argv[2], strtoull(argv[3], NULL, 10), name, sizeof(name));
		puts(name);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
