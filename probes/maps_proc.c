// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/maps and build ids: see maps_proc.h.
 *
 * A build id is looked for in the first pages of a file, as the kernel does when it is asked for one: whatever the file is, that is all
 * that is read of it.
 */
#include "probes/maps_proc.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "probes/maps_path.h"

#define FILE_BEGIN 8192 /* bytes of a file that are searched for its build id */
#define LINE_SIZE 8192  /* a path has at most 4095 */

struct known_file {
	dev_t dev;
	ino_t inode;
	struct timespec changed;
	uint32_t len; /* 0: it has none */
	uint8_t build_id[MAPPING_BUILD_ID_MAX];
};

struct maps_ids {
	struct known_file *files;
	size_t nr, cap;
	char path[PATH_MAX]; /* of the last mapping whose path was not ours */
};

bool maps_proc_parse(char *line, struct mapping *m)
{
	char prot[5] = "";
	int path_at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
		   &m->end, prot, &m->offset, &m->dev_major, &m->dev_minor, &m->inode,
		   &path_at) < 7 ||
	    strlen(prot) != 4 || m->start >= m->end)
		return false;
	m->kind = MAPPING_ADD;
	m->prot = (prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
		  (prot[2] == 'x' ? PROT_EXEC : 0);
	m->flags = prot[3] == 's' ? MAP_SHARED : MAP_PRIVATE;
	m->build_id_len = 0;
	m->path = path_at ? line + path_at : "";
	if (strlen(m->path) >= PATH_MAX)
		m->path = "//toolong"; /* what perf's records say then */
	return true;
}

int maps_proc_read(pid_t pid, uint64_t time_ns, maps_proc_fn fn, void *arg)
{
	_cleanup_(fclose_p) FILE *f = NULL;
	char line[LINE_SIZE];
	int r = 0;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	f = fopen(line, "re");
	if (!f)
		return errno == EACCES || errno == EPERM ? -EACCES : -ESRCH;
	while (!r && fgets(line, sizeof(line), f)) {
		struct mapping m = { .time_ns = time_ns, .tgid = (uint32_t)pid };

		if (maps_proc_parse(line, &m))
			r = fn(arg, &m);
	}
	return r;
}

/* The number behind a word of /proc/ID/status, or 0. */
static pid_t status_number(pid_t id, const char *word)
{
	_cleanup_(fclose_p) FILE *f = NULL;
	char line[256];

	snprintf(line, sizeof(line), "/proc/%d/status", id);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, word, strlen(word)))
			return (pid_t)strtol(line + strlen(word), NULL, 10);
	return 0;
}

pid_t maps_proc_parent(pid_t pid)
{
	return status_number(pid, "PPid:");
}

int maps_proc_threads(pid_t pid)
{
	return status_number(pid, "Threads:");
}

pid_t maps_proc_of_thread(pid_t tid)
{
	return status_number(tid, "Tgid:");
}

/* ---- build ids ---- */

struct maps_ids *maps_ids_new(void)
{
	return calloc(1, sizeof(struct maps_ids));
}

void maps_ids_free(struct maps_ids *ids)
{
	if (ids)
		free(ids->files);
	free(ids);
}

#define IDS_MANY 4096

void maps_ids_tidy(struct maps_ids *ids)
{
	if (ids->nr > IDS_MANY)
		ids->nr = 0;
}

/* A plain file, looked at before it is opened: another may do anything then. -1: there is none. */
static int open_plain(const char *path, struct stat *st)
{
	_cleanup_(close_p) int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	if (fd < 0 || fstat(fd, st) || !S_ISREG(st->st_mode))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC);
}

/* What the process has mapped there, even if its name is gone. On some file systems stat(2) has another inode than the mapping. */
static int open_mapped(const struct mapping *m, struct stat *st)
{
	char path[96], name[PATH_MAX];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, m->tgid, m->start,
		 m->end);
	len = readlink(path, name, sizeof(name) - 1);
	name[len > 0 ? len : 0] = '\0';
	fd = len > 0 ? open_plain(path, st) : -1;
	if (fd < 0 || st->st_ino == m->inode || !strcmp(name, m->path))
		return fd;
	close(fd);
	return -1;
}

/* By its name, as the process sees it or, when it has ended, as we do. */
static int open_named(const struct mapping *m, struct stat *st)
{
	char path[PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/root%s", m->tgid, m->path);
	fd = open_plain(path, st);
	if (fd < 0)
		fd = open_plain(m->path, st);
	if (fd < 0 || st->st_ino == m->inode)
		return fd;
	close(fd);
	return -1;
}

int maps_proc_open(const struct mapping *m, struct stat *ret_stat)
{
	int fd = open_mapped(m, ret_stat);

	if (fd < 0)
		fd = open_named(m, ret_stat);
	return fd < 0 ? maps_path_open_gone(m, ret_stat) : fd;
}

static void read_build_id(int fd, struct known_file *file)
{
	char begin[FILE_BEGIN] __attribute__((aligned(16)));
	ssize_t got = pread(fd, begin, sizeof(begin), 0), len;
	const void *bits;
	Elf *elf;

	if (got <= 0 || elf_version(EV_CURRENT) == EV_NONE)
		return;
	elf = elf_memory(begin, (size_t)got);
	len = elf ? dwelf_elf_gnu_build_id(elf, &bits) : -1;
	if (len > 0 && len <= MAPPING_BUILD_ID_MAX) {
		file->len = (uint32_t)len;
		memcpy(file->build_id, bits, (size_t)len);
	}
	elf_end(elf);
}

/* The file's place among those known, read if it is new or was written since. NULL: out of memory. */
static const struct known_file *know(struct maps_ids *ids, int fd, const struct stat *st)
{
	struct known_file *file;
	size_t i = 0;

	while (i < ids->nr &&
	       (ids->files[i].inode != st->st_ino || ids->files[i].dev != st->st_dev))
		i++;
	if (i == ids->nr && vec_room(&ids->files, &ids->cap, i + 1))
		return NULL;
	file = &ids->files[i];
	if (i < ids->nr && file->changed.tv_sec == st->st_ctim.tv_sec &&
	    file->changed.tv_nsec == st->st_ctim.tv_nsec)
		return file;
	ids->nr += i == ids->nr;
	*file = (struct known_file){ .dev = st->st_dev,
				     .inode = st->st_ino,
				     .changed = st->st_ctim };
	read_build_id(fd, file);
	return file;
}

void maps_ids_add(struct maps_ids *ids, struct mapping *m)
{
	_cleanup_(close_p) int fd = -1;
	const struct known_file *file;
	struct stat st;
	bool ours;

	if (m->kind != MAPPING_ADD || !m->inode || m->path[0] != '/')
		return;
	ours = maps_path_leads_there(m);
	if (ours && !(m->prot & PROT_EXEC))
		return;
	fd = maps_proc_open(m, &st);
	if (fd >= 0 && !ours && maps_path_here(fd, &st, ids->path))
		m->path = ids->path;
	file = fd < 0 || !(m->prot & PROT_EXEC) ? NULL : know(ids, fd, &st);
	if (!file)
		return;
	m->build_id_len = file->len;
	memcpy(m->build_id, file->build_id, sizeof(m->build_id));
}
