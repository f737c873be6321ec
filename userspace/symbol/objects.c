// SPDX-License-Identifier: GPL-2.0-only
/* The ELF objects of mapped files: see objects.h. */
#include "symbol/objects.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define DELETED " (deleted)"

int objects_init(struct objects *o, const struct elf_where *where)
{
	*o = (struct objects){ 0 };
	o->root = strdup(where && where->root ? where->root : "");
	o->debug = strdup(where && where->debug ? where->debug : "/usr/lib/debug");
	return o->root && o->debug ? 0 : -ENOMEM;
}

void objects_free(struct objects *o)
{
	for (size_t i = 0; i < o->nr; i++) {
		elf_symbols_close(o->objects[i].elf);
		cfi_close(o->objects[i].cfi);
		free(o->objects[i].path);
		free(o->objects[i].problem);
	}
	free(o->objects);
	free(o->root);
	free(o->debug);
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

static void try_open(const struct objects *o, struct object *obj, const struct space_file *file)
{
	struct elf_where where = { .root = o->root, .debug = o->debug };
	char path[PATH_MAX];
	struct err err = { 0 };
	int code;

	if (objects_path_is_special(file->path))
		return;
	if (plain_path(file, path) && !file->build_id_len)
		code = err_set(&err, -ESTALE, "%s was deleted while it was mapped", path);
	else
		code = elf_symbols_open(path, file->build_id, file->build_id_len, &where, &obj->elf,
					&err);
	if (!code || code == -ENOEXEC)
		return; /* data files are mapped too */
	obj->path = strdup(path);
	obj->problem = strdup(err.msg);
}

struct object *objects_get(struct objects *o, const struct space_file *file)
{
	struct object *obj;

	if (file->index >= o->nr) {
		if (vec_room(&o->objects, &o->cap, (size_t)file->index + 1))
			return NULL;
		memset(o->objects + o->nr, 0, (file->index + 1 - o->nr) * sizeof(*obj));
		o->nr = (size_t)file->index + 1;
	}
	obj = &o->objects[file->index];
	if (!obj->tried) {
		obj->tried = true;
		try_open(o, obj, file);
	}
	return obj->elf ? obj : NULL;
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
