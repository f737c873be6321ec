// SPDX-License-Identifier: GPL-2.0-only
/* The ELF objects of mapped files: see objects.h. */
#include "symbol/objects.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "symbol/debuginfod.h"
#include "symbol/vdso.h"

#define DELETED " (deleted)"
#define MAX_HELD 64 /* files of other root directories that are kept open */
#define MAX_TRIES 8 /* processes that are asked for a file */

int objects_init(struct objects *o, const struct elf_where *where)
{
	*o = (struct objects){ 0 };
	o->root = strdup(where && where->root ? where->root : "");
	o->debug = strdup(where && where->debug ? where->debug : "/usr/lib/debug");
	o->kernel = where && where->kernel ? strdup(where->kernel) : NULL;
	return o->root && o->debug ? 0 : -ENOMEM;
}

void objects_free(struct objects *o)
{
	for (size_t i = 0; i < o->nr; i++) {
		elf_symbols_close(o->objects[i].elf);
		cfi_close(o->objects[i].cfi);
		elf_dwarf_close(o->objects[i].dwarf);
		free(o->objects[i].path);
		free(o->objects[i].problem);
	}
	free(o->objects);
	free(o->root);
	free(o->debug);
	free(o->kernel);
}

bool objects_path_is_special(const char *path)
{
	static const char *const begins[] = { "//anon", "/memfd:", "/dev/zero", "/SYSV",
					      "/anon_hugepage" };

	if (*path != '/')
		return true;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		if (!strncmp(path, begins[i], strlen(begins[i])))
			return true;
	}
	return false;
}

/* What the file was recorded as, without what the kernel adds when it is unlinked; whether it was is returned. */
static bool plain_path(const struct space_file *file, char ret_path[PATH_MAX])
{
	size_t len = strlen(file->path), tail = strlen(DELETED);
	bool deleted = len > tail && !strcmp(file->path + len - tail, DELETED);

	snprintf(ret_path, PATH_MAX, "%.*s", (int)(deleted ? len - tail : len), file->path);
	return deleted;
}

/* A file that is being looked for. */
struct search {
	struct objects *o;
	struct object *obj;
	const struct space_mapping *m;
	uint32_t tgid;
	const char *path;    /* as recorded, without " (deleted)" */
	struct err err;      /* the first failure: that of ROOT + path */
	bool other, not_elf; /* another build was there; no ELF file */
};

static bool is_the_one(const struct space_file *file, const struct elf_symbols *elf)
{
	if (file->build_id_len)
		return elf_symbols_is_build(elf, file->build_id, file->build_id_len);
	return elf_symbols_is_inode(elf, file->dev_major, file->dev_minor, file->inode);
}

/* Takes the file at a path if it is the one. */
static bool try_path(struct search *s, const struct elf_source *source, bool any)
{
	struct elf_symbols *elf;
	struct err err = { 0 };
	int code = elf_symbols_open_source(source, &elf, &err);

	if (!code && (any || is_the_one(s->m->file, elf))) {
		s->obj->elf = elf;
		return true;
	}
	if (!code) {
		elf_symbols_close(elf);
		if (!s->m->file->build_id_len)
			return false;
		code = err_set(&err, -ESTALE, "%s is another build than the recorded one",
			       source->path);
	}
	s->other |= code == -ESTALE;
	s->not_elf |= code == -ENOEXEC;
	if (!s->err.code)
		s->err = err;
	return false;
}

static bool try_root(struct search *s, bool any)
{
	_cleanup_(free_p) char *path = NULL;
	struct elf_source source = { .debug = s->o->debug };

	if (asprintf(&path, "%s%s", s->o->root, s->path) < 0) {
		path = NULL;
		return false;
	}
	source.path = path;
	return try_path(s, &source, any);
}

/* As the process sees it. Its pid may be another one's by now: build-id or inode decide. */
static bool try_process(struct search *s)
{
	char path[PATH_MAX + 64], inside[64];
	struct elf_source source = {
		.path = path, .debug = s->o->debug, .inside = inside, .hold = s->o->held < MAX_HELD
	};

	if (*s->o->root)
		return false;
	snprintf(inside, sizeof(inside), "/proc/%u/root/usr/lib/debug", s->tgid);
	snprintf(path, sizeof(path), "/proc/%u/root%s", s->tgid, s->path);
	if (!try_path(s, &source, false)) {
		snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, s->tgid,
			 s->m->start, s->m->end);
		if (!try_path(s, &source, false))
			return false;
	}
	s->o->held += source.hold;
	return true;
}

static bool try_server(struct search *s)
{
	char path[PATH_MAX];
	struct elf_source source = { .path = path, .debug = s->o->debug };

	return !debuginfod_fetch(DEBUGINFOD_PROGRAM, s->m->file->build_id, s->m->file->build_id_len,
				 path) &&
	       try_path(s, &source, false);
}

/* Looks everywhere; what was not found may be found through another process that maps it. */
static void look(struct search *s)
{
	struct object *obj = s->obj;
	char path[PATH_MAX];
	bool deleted = plain_path(s->m->file, path), known = s->m->file->build_id_len;

	s->path = path;
	if (try_root(s, false) || try_process(s) || (obj->tries == 1 && try_server(s)))
		return;
	if (!known && !deleted && try_root(s, true)) {
		obj->guessed = true;
		return;
	}
	if (!known && deleted)
		err_set(&s->err, -ESTALE, "%s was deleted while it was mapped", path);
	if (s->not_elf && !s->other)
		return; /* data files are mapped too */
	obj->replaced = s->err.code == -ESTALE;
	free(obj->problem);
	obj->problem = strdup(s->err.msg);
}

static void try_open(struct search *s)
{
	struct object *obj = s->obj;
	char path[PATH_MAX];

	obj->tries++;
	obj->tgid = s->tgid;
	if (!obj->path) {
		plain_path(s->m->file, path);
		obj->path = strdup(path);
	}
	if (!strcmp(s->m->file->path, "[vdso]"))
		vdso_open(s->o->kernel, s->m->end - s->m->start, &obj->elf);
	else if (!objects_path_is_special(s->m->file->path))
		look(s);
	if (!obj->problem || obj->tries == MAX_TRIES)
		obj->done = true;
	if (obj->elf) {
		free(obj->problem);
		obj->problem = NULL;
		obj->replaced = false;
	}
}

struct object *objects_get(struct objects *o, const struct space_mapping *m, uint32_t tgid)
{
	uint32_t index = m->file->index;
	struct object *obj;

	if (index >= o->nr) {
		if (vec_room(&o->objects, &o->cap, (size_t)index + 1))
			return NULL;
		memset(o->objects + o->nr, 0, (index + 1 - o->nr) * sizeof(*obj));
		o->nr = (size_t)index + 1;
	}
	obj = &o->objects[index];
	if (!obj->elf && !obj->done && (!obj->tries || obj->tgid != tgid)) {
		struct search s = { .o = o, .obj = obj, .m = m, .tgid = tgid };

		try_open(&s);
	}
	return obj->elf ? obj : NULL;
}

const struct object *objects_known(const struct objects *o, const struct space_file *file)
{
	return file->index < o->nr ? &o->objects[file->index] : NULL;
}

struct elf_dwarf *object_dwarf(struct object *obj)
{
	int code;

	if (!obj->tried_dwarf) {
		obj->tried_dwarf = true;
		code = elf_dwarf_open(obj->elf, &obj->dwarf);
		obj->no_alt = code == -ENODATA;
		if (code)
			obj->dwarf = NULL;
	}
	return obj->dwarf;
}

const struct cfi *object_cfi(struct object *obj)
{
	if (!obj->tried_cfi) {
		obj->tried_cfi = true;
		if (cfi_open(obj->elf, &obj->cfi))
			obj->cfi = NULL;
	}
	return obj->cfi;
}

/* Py_Version is an unsigned long: 0x030b02f0 is 3.11.2 final. */
static bool version_from_object(struct elf_symbols *elf, struct object_runtime *rt)
{
	struct elf_symbol symbol;
	uint64_t hex;

	if (!elf_symbols_find_object(elf, "Py_Version", &symbol) || symbol.size != sizeof(hex) ||
	    elf_symbols_read(elf, symbol.address, &hex, sizeof(hex)) || hex >> 32 || hex >> 24 < 3)
		return false;
	rt->major = (int)(hex >> 24);
	rt->minor = (int)(hex >> 16 & 0xff);
	return true;
}

static void version_from_name(const char *path, struct object_runtime *rt)
{
	const char *slash = strrchr(path, '/');
	const char *python = strstr(slash ? slash : path, "python");
	int major, minor;

	if (python && sscanf(python, "python%2d.%3d", &major, &minor) == 2 && major > 0 &&
	    minor >= 0) {
		rt->major = major;
		rt->minor = minor;
	}
}

const struct object_runtime *object_runtime(struct object *obj, const char *path)
{
	struct object_runtime *rt = &obj->runtime;
	struct elf_symbol symbol;

	if (!obj->tried_runtime) {
		obj->tried_runtime = true;
		if (elf_symbols_find_object(obj->elf, "_PyRuntime", &symbol)) {
			rt->address = symbol.address;
			rt->size = symbol.size;
			if (!version_from_object(obj->elf, rt))
				version_from_name(path, rt);
		}
	}
	return rt->size ? rt : NULL;
}
