// SPDX-License-Identifier: GPL-2.0-only
/* Programs whose mappings are known: see maps_role.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bpf/maps_role.h"

#include "base/clock.h"
#include "base/cpulist.h"
#include "base/vec.h"
#include "probes/maps_proc.h"

#define PAGE 4096ul

/* ---- the roles ---- */

static void check(bool well)
{
	if (!well)
		_exit(3);
}

/* A file of 16 pages of our own, mapped in some ways. */
static void map_own_file(void)
{
	char path[] = "/tmp/test_maps.XXXXXX";
	int fd = mkstemp(path);

	check(fd >= 0 && !ftruncate(fd, 16 * PAGE));
	check(mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 3 * PAGE) != MAP_FAILED);
	check(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8 * PAGE) != MAP_FAILED);
	check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE) != MAP_FAILED);
	unlink(path); /* from here on "(deleted)" */
	close(fd);
}

static void map_shared_memory(void)
{
	int fd = memfd_create("test_maps", MFD_CLOEXEC);

	check(fd >= 0 && !ftruncate(fd, 4 * PAGE));
	check(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE) != MAP_FAILED);
	check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
	      MAP_FAILED);
	close(fd);
}

/* A library's addresses taken by memory without a name. */
static void hide_code(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	check(fd >= 0 && at != MAP_FAILED);
	check(mmap(at, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == at);
	close(fd);
}

static void flood(bool with_file)
{
	int fd = with_file ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC) : -1;

	for (int i = 0; i < MAPS_FLOOD; i++) {
		void *at = mmap(NULL, 2 * PAGE, PROT_READ | (with_file ? PROT_EXEC : PROT_WRITE),
				MAP_PRIVATE | (with_file ? 0 : MAP_ANONYMOUS), fd, 0);

		check(at != MAP_FAILED && !munmap(at, 2 * PAGE));
	}
}

/* "PID\n", the maps, "end\n". */
static void tell_maps(int out)
{
	int in = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char text[1 << 16];
	ssize_t n;

	check(dprintf(out, "%d\n", getpid()) > 0);
	while ((n = read(in, text, sizeof(text))) > 0)
		check(write(out, text, (size_t)n) == n);
	check(write(out, "end\n", 4) == 4);
	close(in);
}

static void work(const char *role)
{
	if (strstr(role, "library"))
		check(dlopen(MAPS_LIBRARY, RTLD_NOW));
	if (strstr(role, "file"))
		map_own_file();
	if (strstr(role, "shared"))
		map_shared_memory();
	if (strstr(role, "hide"))
		hide_code();
	if (strstr(role, "anonymous-flood"))
		flood(false);
	if (strstr(role, "code-flood"))
		flood(true);
}

int maps_play(const char *role, int out, int in)
{
	const char *again = strstr(role, "exec:");
	char none, fds[2][12];
	pid_t pid;

	if (!strncmp(role, "wait", 4)) {
		tell_maps(out);
		check(read(in, &none, 1) == 1);
	}
	if (again) {
		snprintf(fds[0], sizeof(fds[0]), "%d", out);
		snprintf(fds[1], sizeof(fds[1]), "%d", in);
		work("hide file");
		execl("/proc/self/exe", "test_maps", again + 5, fds[0], fds[1], NULL);
		return 3;
	}
	work(role);
	pid = strstr(role, "fork") ? fork() : 0;
	if (pid)
		waitid(P_PID, (id_t)pid, &(siginfo_t){}, WEXITED | WSTOPPED | WNOWAIT);
	else if (strstr(role, "fork"))
		work("library shared");
	tell_maps(out);
	if (!pid && strstr(role, "stay"))
		raise(SIGSTOP); /* its parent goes on, and so does it when it is ended */
	if (!pid && strstr(role, "fork"))
		_exit(0);
	check(read(in, &none, 1) == 1);
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* ---- recording them ---- */

int maps_told_add(void *arg, const struct mapping *m)
{
	struct maps_told *t = arg;

	if (t->nr)
		assert_true(m->time_ns >= t->all[t->nr - 1].time_ns);
	assert_int_equal(vec_room(&t->all, &t->cap, t->nr + 1), 0);
	t->all[t->nr] = *m;
	t->all[t->nr++].path = strdup(m->path ? m->path : "");
	return 0;
}

void maps_told_free(struct maps_told *t)
{
	for (size_t i = 0; i < t->nr; i++)
		free((char *)t->all[i].path);
	free(t->all);
	*t = (struct maps_told){};
}

static const struct probe *probe(void)
{
	return probe_by_name("maps");
}

void maps_open_probe(struct maps_run *r, enum probe_mode mode, pid_t command)
{
	struct err err = {};

	r->env = (struct probe_env){ .mode = mode,
				     .command = command,
				     .ids = &r->pid,
				     .nr_ids = mode == PROBE_PIDS || mode == PROBE_TIDS,
				     .epoch_ns = monotonic_ns(),
				     .mapping = maps_told_add,
				     .mapping_arg = &r->told,
				     .bufs_fd = -1 };
	assert_int_equal(cpulist_machine(&r->env.nr_cpus, &r->online, &err), 0);
	r->env.online = r->online;
	if (probe()->open(&r->env, &r->state, &err))
		fail_msg("%s", err.msg);
}

void maps_start_probe(struct maps_run *r)
{
	struct err err = {};

	assert_int_equal(probe()->start(r->state, &err), 0);
}

json_t *maps_stop_probe(struct maps_run *r)
{
	json_t *meta = json_object();
	struct err err = {};

	assert_int_equal(probe()->stop(r->state, &err), 0);
	assert_int_equal(probe()->meta(r->state, meta), 0);
	probe()->close(r->state);
	free(r->online);
	return meta;
}

int64_t maps_number(const json_t *meta, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(meta, "maps"), name));
}

struct maps_run maps_hold(const char *role)
{
	int go[2], out[2], in[2];
	struct maps_run r = {};

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	r.pid = fork();
	if (!r.pid) {
		char none, fds[2][12];

		close(go[1]);
		close(in[1]);
		check(read(go[0], &none, 1) == 1);
		fcntl(out[1], F_SETFD, 0);
		fcntl(in[0], F_SETFD, 0);
		snprintf(fds[0], sizeof(fds[0]), "%d", out[1]);
		snprintf(fds[1], sizeof(fds[1]), "%d", in[0]);
		execl("/proc/self/exe", "test_maps", role, fds[0], fds[1], NULL);
		_exit(3);
	}
	close(go[0]);
	close(out[1]);
	close(in[0]);
	r.go = go[1];
	r.in = in[1];
	r.texts = fdopen(out[0], "r");
	return r;
}

void maps_let(int fd)
{
	assert_int_equal(write(fd, "g", 1), 1);
}

void maps_end(struct maps_run *r)
{
	int status;

	maps_let(r->in);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	assert_int_equal(status, 0);
	close(r->go);
	close(r->in);
	fclose(r->texts);
	maps_told_free(&r->told);
}

void maps_tick(struct maps_run *r)
{
	struct pollfd fd = { .fd = fileno(r->texts), .events = POLLIN };

	while (!poll(&fd, 1, 2))
		probe()->tick(r->state);
	for (int i = 0; i < 10; i++) {
		probe()->tick(r->state);
		usleep(2000);
	}
}

/* ---- a reader of the trace ---- */

/* What is at an address of a process, from the mappings before `nr`: NULL: nothing that is known. */
static const struct mapping *look_up(const struct maps_told *t, size_t nr, uint32_t tgid,
				     uint64_t addr)
{
	while (nr--) {
		const struct mapping *m = &t->all[nr];

		if (m->tgid != tgid)
			continue;
		if (m->kind == MAPPING_EXEC)
			return NULL;
		if (m->kind == MAPPING_FORK)
			tgid = m->parent_tgid;
		else if (m->start <= addr && addr < m->end)
			return m;
	}
	return NULL;
}

static void read_build_id(const char *path, char *text, size_t size)
{
	char command[5000], line[512];
	FILE *f;

	snprintf(command, sizeof(command), "readelf -n '%s' 2>/dev/null", path);
	f = popen(command, "re");
	*text = '\0';
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "Build ID: "))
			snprintf(text, size, "%.*s",
				 (int)strcspn(strstr(line, "Build ID: ") + 10, "\n"),
				 strstr(line, "Build ID: ") + 10);
	pclose(f);
}

static void check_build_id(const struct mapping *m)
{
	char expected[100], got[2 * MAPPING_BUILD_ID_MAX + 1] = "";

	for (uint32_t i = 0; i < m->build_id_len; i++)
		sprintf(got + 2ul * i, "%02x", m->build_id[i]);
	read_build_id(m->path, expected, sizeof(expected));
	assert_string_equal(got, expected);
}

/* Code, what is shared, a file's writable pages: they must be known. */
static bool must_be_known(const struct mapping *is)
{
	return is->path[0] == '/' &&
	       ((is->prot & (PROT_EXEC | PROT_WRITE)) || (is->flags & MAP_SHARED));
}

static void check_line(const struct maps_told *t, uint32_t tgid, const struct mapping *is,
		       unsigned int *ids)
{
	const uint64_t at[] = { is->start, is->end - 1 };

	for (size_t i = 0; i < 2; i++) {
		const struct mapping *m = look_up(t, t->nr, tgid, at[i]);

		if (!must_be_known(is)) {
			/* by its right name or by none */
			if (m && m->path[0] == '/' && m->path[1] != '/')
				assert_int_equal(m->inode, is->inode);
			continue;
		}
		if (!m)
			fail_msg("%u: nothing is known of %lx: %s", tgid, at[i], is->path);
		/* the name was told before it was taken away */
		if (strncmp(m->path, is->path, strlen(m->path)) != 0 ||
		    (is->path[strlen(m->path)] &&
		     strcmp(is->path + strlen(m->path), " (deleted)") != 0))
			fail_msg("'%s' is '%s'", m->path, is->path);
		assert_int_equal(m->start - m->offset, is->start - is->offset);
		assert_int_equal(m->dev_major, is->dev_major);
		assert_int_equal(m->dev_minor, is->dev_minor);
		assert_int_equal(m->inode, is->inode);
		assert_int_equal(m->flags, is->flags);
		assert_true(!(is->prot & PROT_EXEC) || (m->prot & PROT_EXEC));
		if (i == 0 && (is->prot & PROT_EXEC) && !strstr(is->path, " (deleted)")) {
			check_build_id(m);
			++*ids;
		}
	}
}

uint32_t maps_check(struct maps_run *r, bool check_it)
{
	char line[5000];
	unsigned int known = 0, ids = 0;
	uint32_t pid;

	assert_non_null(fgets(line, sizeof(line), r->texts));
	pid = (uint32_t)atoi(line);
	while (fgets(line, sizeof(line), r->texts) && strcmp(line, "end\n") != 0) {
		struct mapping is = {};

		assert_true(maps_proc_parse(line, &is));
		if (check_it)
			check_line(&r->told, pid, &is, &ids);
		known += must_be_known(&is);
	}
	assert_true(known >= 4); /* the program, libc, and ld.so */
	assert_true(!check_it || ids >= 3);
	return pid;
}

size_t maps_count(const struct maps_told *t, uint32_t tgid, enum mapping_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nr; i++)
		n += t->all[i].tgid == tgid && t->all[i].kind == kind;
	return n;
}
